import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { JobsError } from './errors.js';
import { defaultPriority } from './fair-pick.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RunQueue } from './run-queue.js';
import { RunRegistry } from './run-registry.js';
import { type RunFilter, type RunStanding, RunStore } from './run-store.js';
import { isFinal } from './run-view.js';
import type { HandlerOptions, RunHandler, RunKind, RunReferences, RunView } from './types.js';

/** What the rooms above and the REST edge use: make runs, see them, cancel them. */
@Injectable()
export class RunService {
  constructor(
    private readonly store: RunStore,
    private readonly queue: RunQueue,
    private readonly registry: RunRegistry,
    private readonly keeper: LeaseKeeper,
  ) {}

  /**
   * Once per kind, while the application starts.
   * @throws JobsError RUN_HANDLER_DUPLICATE.
   */
  registerHandler(kind: RunKind, handler: RunHandler, options?: HandlerOptions): void {
    this.registry.registerHandler(kind, handler, options);
  }

  /** While the application starts: rooms tell which runs they name. */
  registerReferences(references: RunReferences): void {
    this.registry.registerReferences(references);
  }

  /**
   * @param subject the object as a person knows it: `vApp "shop"`.
   * @param payload JSON, everything the run needs, frozen from now on; no secrets.
   * @param options.exclusiveKey at most one unfinished run has it: `vapp:<id>` keeps a vApp from
   * being backed up and restored at once.
   * @param options.priority 0 to 9; by default what the kind has.
   * @throws JobsError RUN_HANDLER_MISSING: a run nobody can carry out is not made; RUN_BUSY.
   */
  async create(
    kind: RunKind,
    subject: string,
    payload: Record<string, unknown>,
    options: { organizationId: string; exclusiveKey?: string; priority?: number; retryOf?: string },
  ): Promise<RunView> {
    this.registry.handler(kind);
    const { organizationId, exclusiveKey, retryOf, priority = defaultPriority(kind) } = options;
    const id = await this.store.create({ kind, subject, payload, organizationId, exclusiveKey, priority, retryOf }, this.queue);
    if (id === undefined) {
      throw new JobsError(`Another run is already under way for ${subject}; wait for its end or cancel it.`, { code: 'RUN_BUSY', subject });
    }
    this.queue.bell.ring();
    return await this.view(id);
  }

  /**
   * A run as part of the caller's transaction: made with what the caller writes, or not at all. Call `ring` after its commit.
   * @returns its id; undefined when an unfinished run has the same exclusive key.
   * @throws JobsError RUN_HANDLER_MISSING.
   */
  async createWithin(
    manager: EntityManager,
    kind: RunKind,
    subject: string,
    payload: Record<string, unknown>,
    options: { organizationId: string; exclusiveKey?: string; priority?: number },
  ): Promise<string | undefined> {
    this.registry.handler(kind);
    const { organizationId, exclusiveKey, priority = defaultPriority(kind) } = options;
    const run = { kind, subject, payload, organizationId, exclusiveKey, priority, retryOf: undefined };
    return await this.store.createWithin(manager, run, this.queue);
  }

  /** Tells the workers of this process that a run waits. */
  ring(): void {
    this.queue.bell.ring();
  }

  /** @throws JobsError RUN_NOT_FOUND. */
  async view(runId: string): Promise<RunView> {
    const view = await this.store.view(runId);
    if (view === undefined) throw runNotFound(runId);
    return view;
  }

  /** How thousands of runs stand. What is not there any more is not in the answer. */
  async standings(runIds: readonly string[]): Promise<Map<string, RunStanding>> {
    return await this.store.standings(runIds);
  }

  /** The oldest run of that kind that has not ended and whose payload contains this. */
  async unfinished(kind: RunKind, payload: Record<string, unknown>): Promise<RunView | undefined> {
    return await this.store.unfinished(kind, payload);
  }

  /** Newest first. */
  async list(filter: RunFilter): Promise<{ items: RunView[]; nextCursor: string | null }> {
    const views = await this.store.list(filter);
    const items = views.slice(0, filter.limit);
    return { items, nextCursor: views.length > filter.limit ? (items.at(-1)?.id ?? null) : null };
  }

  /**
   * A waiting run is cancelled when this answers; a running one stops within about a second and
   * becomes `cancelled` when it has cleaned up.
   * @param reason a sentence for people, where it was not a person who asked.
   * @throws JobsError RUN_NOT_FOUND, RUN_ENDED.
   */
  async cancel(runId: string, reason?: string): Promise<RunView> {
    const state = await this.store.requestCancel(runId, reason);
    if (state === undefined) throw runNotFound(runId);
    if (isFinal(state)) {
      throw new JobsError(`Run ${runId} has already ended (${state}); there is nothing to cancel.`, {
        code: 'RUN_ENDED',
        subject: `run ${runId}`,
      });
    }
    this.keeper.cancel(runId, reason);
    return await this.view(runId);
  }
}

export function runNotFound(runId: string): JobsError {
  return new JobsError(`There is no run ${runId}.`, { code: 'RUN_NOT_FOUND', subject: `run ${runId}` });
}
