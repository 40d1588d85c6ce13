import { Injectable } from '@nestjs/common';
import { withTimeout } from '../common/index.js';
import { JobsError } from './errors.js';
import type { ObligationEntity } from './obligation.entity.js';
import type { RunEntity } from './run.entity.js';
import type { HandlerOptions, ObligationPayer, PayerOptions, RunHandler, RunKind, RunReferences } from './types.js';

/** Who carries out a kind of run, and who undoes a kind of thing. Filled once, while the application starts. */
@Injectable()
export class RunRegistry {
  private readonly handlers = new Map<RunKind, RunHandler>();
  private readonly options = new Map<RunKind, HandlerOptions>();
  private readonly payers = new Map<string, ObligationPayer>();
  private readonly references: RunReferences[] = [];
  private readonly inUse = new Map<string, (terms: never) => string>();
  private readonly systems = new Map<string, (terms: never) => string>();

  /** @throws JobsError RUN_HANDLER_DUPLICATE: two handlers would make it chance what a run does. */
  registerHandler(kind: RunKind, handler: RunHandler, options: HandlerOptions = {}): void {
    if (this.handlers.has(kind)) {
      throw new JobsError(`Runs of kind "${kind}" already have a handler.`, { code: 'RUN_HANDLER_DUPLICATE', subject: kind });
    }
    this.handlers.set(kind, handler);
    this.options.set(kind, options);
  }

  /** @throws JobsError RUN_HANDLER_MISSING. */
  handler(kind: RunKind): RunHandler {
    const handler = this.handlers.get(kind);
    if (handler === undefined) {
      throw new JobsError(`This service has no handler for runs of kind "${kind}".`, { code: 'RUN_HANDLER_MISSING', subject: kind });
    }
    return handler;
  }

  /**
   * Asks what is outside the run's row whether the run has reached its aim, a repository that may hang among it.
   * @returns its result; undefined when it has not, or when nothing there can tell.
   * @throws TimeoutError; the signal's reason; what the kind's room says.
   */
  async conclude(
    { kind, payload }: Pick<RunEntity, 'kind' | 'payload'>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Record<string, unknown> | undefined> {
    const concludeLost = this.options.get(kind)?.concludeLost;
    if (concludeLost === undefined) return undefined;
    return await withTimeout('Asking whether the run had reached its aim', timeoutMs, signal, (either) =>
      concludeLost(payload as never, either),
    );
  }

  cannotBeUndone({ kind, id }: Pick<RunEntity, 'kind' | 'id'>): Promise<string[]> {
    return this.options.get(kind)?.cannotBeUndone?.(id) ?? Promise.resolve([]);
  }

  resumable({ kind, payload }: Pick<RunEntity, 'kind' | 'payload'>): boolean {
    const resumable = this.options.get(kind)?.resumable ?? false;
    return typeof resumable === 'function' ? resumable(payload as never) : resumable;
  }

  retry(kind: RunKind): HandlerOptions['retry'] {
    return this.options.get(kind)?.retry;
  }

  /** The kinds whose runs write what is in use from their end on. */
  get kindsThatWriteWhatIsUsed(): RunKind[] {
    return this.kinds.filter((kind) => this.options.get(kind)?.writesWhatIsUsed === true);
  }

  /** The kinds this process can carry out. */
  get kinds(): RunKind[] {
    return [...this.handlers.keys()];
  }

  registerReferences(references: RunReferences): void {
    this.references.push(references);
  }

  /** Which of these runs something else refers to. */
  async referenced(runIds: readonly string[]): Promise<Set<string>> {
    const found = await Promise.all(this.references.map((references) => references(runIds)));
    return new Set(found.flatMap((ids) => [...ids]));
  }

  /** @throws JobsError PAYER_DUPLICATE. */
  registerPayer(kind: string, payer: ObligationPayer, { mayBeInUse, system }: PayerOptions = {}): void {
    if (this.payers.has(kind)) {
      throw new JobsError(`Obligations of kind "${kind}" already have a payer.`, { code: 'PAYER_DUPLICATE', subject: kind });
    }
    this.payers.set(kind, payer);
    if (mayBeInUse !== undefined) this.inUse.set(kind, mayBeInUse);
    if (system !== undefined) this.systems.set(kind, system);
  }

  /** By the kinds of debts whose things may be somebody's by now: how a person finds such a thing. */
  get mayBeInUse(): ReadonlyMap<string, (terms: never) => string> {
    return this.inUse;
  }

  /** Whom paying this debt asks. */
  system({ kind, terms }: Pick<ObligationEntity, 'kind' | 'terms'>): string {
    return this.systems.get(kind)?.(terms as never) ?? kind;
  }

  /** @throws JobsError PAYER_MISSING. The debt stays: a service that knows the kind pays it later. */
  payer(kind: string): ObligationPayer {
    const payer = this.payers.get(kind);
    if (payer === undefined) {
      throw new JobsError(`This service does not know how to undo "${kind}"; start the version that made it, or undo it by hand.`, {
        code: 'PAYER_MISSING',
        subject: kind,
      });
    }
    return payer;
  }
}
