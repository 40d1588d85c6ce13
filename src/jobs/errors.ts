import { VaultError, type VaultErrorFields } from '../common/index.js';

export type JobsErrorCode =
  | 'RUN_NOT_FOUND'
  | 'RUN_ENDED'
  | 'RUN_BUSY'
  | 'RUN_RETRY_CONFLICT'
  | 'READER_TOO_SLOW'
  | 'RUN_HANDLER_MISSING'
  | 'RUN_HANDLER_DUPLICATE'
  | 'PAYER_DUPLICATE'
  | 'PAYER_MISSING'
  | 'OBLIGATION_CLAIMED'
  | 'LEASE_LOST'
  | 'WORKER_LOST'
  | 'DATABASE_PUT_BACK'
  | 'SERVICE_STOPPING'
  | 'INTERNAL';

/** Everything that can go wrong with carrying out a run, as opposed to what the run does. */
export class JobsError extends VaultError {
  declare readonly code: JobsErrorCode;

  constructor(message: string, fields: VaultErrorFields & { code: JobsErrorCode }) {
    super(message, fields);
  }
}

export const leaseLost = (runId: string): JobsError =>
  new JobsError(`Run ${runId} no longer belongs to this worker: its lease was not renewed in time.`, {
    code: 'LEASE_LOST',
    subject: `run ${runId}`,
    retryable: true,
  });
