import { Injectable } from '@nestjs/common';
import { JobsError } from './errors.js';
import { RunRegistry } from './run-registry.js';
import { runNotFound, RunService } from './run.service.js';
import { type RunSource, RunStore } from './run-store.js';
import { isFinal } from './run-view.js';
import type { RunView } from './types.js';

/** Does again what failed: a new run, because the old one's row is the record of what happened. */
@Injectable()
export class RunRetry {
  constructor(
    private readonly store: RunStore,
    private readonly runs: RunService,
    private readonly registry: RunRegistry,
  ) {}

  /**
   * @returns the new run.
   * @throws JobsError RUN_NOT_FOUND; RUN_RETRY_CONFLICT: it is under way, or nothing of it failed; RUN_BUSY.
   */
  async retry(runId: string): Promise<RunView> {
    const before = await this.store.source(runId);
    if (before === undefined) throw runNotFound(runId);
    if (!isFinal(before.state)) throw conflict(runId, 'has not ended; cancel it, or wait for its end');
    const payload = await this.payloadFor(before);
    if (payload === undefined) throw conflict(runId, 'ended well, so there is nothing to do again; start a new one');
    const { kind, subject, organizationId, exclusiveKey, priority } = before;
    return await this.runs.create(kind, subject, payload, {
      ...{ organizationId, priority, retryOf: runId },
      ...(exclusiveKey !== null && { exclusiveKey }),
    });
  }

  private async payloadFor({ kind, state, payload, result }: RunSource): Promise<Record<string, unknown> | undefined> {
    const again = this.registry.retry(kind);
    if (again !== undefined) return await again(payload as never, { failed: state === 'failed' || state === 'cancelled', result });
    return state === 'failed' || state === 'cancelled' ? payload : undefined;
  }
}

function conflict(runId: string, why: string): JobsError {
  return new JobsError(`Run ${runId} ${why}.`, { code: 'RUN_RETRY_CONFLICT', subject: `run ${runId}` });
}
