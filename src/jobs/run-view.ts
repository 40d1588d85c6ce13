import type { ObligationEntity } from './obligation.entity.js';
import type { RunEntity } from './run.entity.js';
import { transferOf } from './transfer.js';
import type { FinalRunState, RunState, RunView } from './types.js';

export const FINAL_STATES: readonly FinalRunState[] = ['succeeded', 'warning', 'failed', 'cancelled'];

export function isFinal(state: RunState): state is FinalRunState {
  return state !== 'queued' && state !== 'running';
}

/** @param open the run's unsettled obligations, oldest first. */
export function toRunView(run: RunEntity, open: readonly ObligationEntity[]): RunView {
  return {
    id: run.id,
    kind: run.kind,
    state: run.state,
    subject: run.subject,
    createdAt: run.createdAt.toISOString(),
    startedAt: run.startedAt?.toISOString() ?? null,
    endedAt: run.endedAt?.toISOString() ?? null,
    // Written before runs were resumed, a step is of the first attempt.
    steps: run.steps.map((step) => ({ ...step, attempt: step.attempt ?? 1 })),
    progress: Object.fromEntries(
      Object.entries(run.progress).flatMap(([key, { doneBytes, totalBytes, waits }]) => (waits ? [] : [[key, { doneBytes, totalBytes }]])),
    ),
    transfer: transferOf(run.progress, run.state === 'running'),
    warnings: run.warnings,
    error: run.error,
    result: run.result,
    organizationId: run.organizationId,
    cancelRequestedAt: run.cancelRequestedAt?.toISOString() ?? null,
    attempt: run.attempt,
    priority: run.priority,
    retryOf: run.retryOf,
    revision: run.revision,
    openObligations: open.map((obligation) => ({
      id: obligation.id,
      kind: obligation.kind,
      createdAt: obligation.createdAt.toISOString(),
      attempts: obligation.attempts,
      lastError: obligation.lastError,
      nextTryAt: obligation.nextTryAt?.toISOString() ?? null,
    })),
  };
}
