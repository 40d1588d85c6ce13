import { VaultError } from '../common/index.js';
import { explainedBy, type VixRetry, vixClass } from './vix-codes.js';

/** What failed about a disk or about the process that reads it. */
export class VddkError extends VaultError {
  /** VixError's class (its low 16 bits); undefined when the library was not what failed. */
  readonly vixCode: number | undefined;
  /** How it is met; undefined when the library was not what failed. */
  readonly retry: VixRetry | undefined;

  constructor(
    message: string,
    fields: {
      code: string;
      retryable?: boolean;
      subject?: string;
      details?: Record<string, unknown>;
      cause?: unknown;
      vixCode?: number;
      retry?: VixRetry;
    },
  ) {
    super(message, fields);
    this.vixCode = fields.vixCode;
    this.retry = fields.retry;
  }
}

/** How what failed may be tried again; undefined where no try can help. */
export function retryOf(error: unknown): VixRetry | undefined {
  if (!(error instanceof VddkError)) return undefined;
  if (error.retry !== undefined) return error.retry === 'final' ? undefined : error.retry;
  // A crash or a hang may have been one of a kind: once more, and no oftener.
  return error.code === 'VDDK_HOST_DIED' || error.code === 'VDDK_HOST_TIMEOUT' ? 'once' : undefined;
}

export interface VixFailure {
  /** The exported function that failed. */
  function: string;
  /** The full 64-bit VixError, decimal. */
  vixError: string;
  /** VixDiskLib_GetErrorText. */
  text: string;
  /** The library's last log lines: often the only place where the cause is named. */
  lines: string[];
  offsetBytes?: string;
}

/** @param activity ends "VDDK could not …", for instance `open [ds-1] web/web.vmdk`. */
export function vixError(activity: string, subject: string | undefined, failure: VixFailure): VddkError {
  const vixCode = Number(BigInt(failure.vixError) & 0xffffn);
  const { code, retry, advice: known } = vixClass(vixCode);
  // "Unknown error" says nothing; the last lines of VDDK's log often do.
  const explained = vixCode === 1 ? explainedBy(failure.lines) : undefined;
  const advice = explained === undefined ? known : `The likely cause: ${explained}`;
  const at = failure.offsetBytes === undefined ? '' : ` at byte ${failure.offsetBytes}`;
  const text = failure.text.replace(/\.\s*$/, '') || 'no text';
  return new VddkError(`VDDK could not ${activity}${at}: error ${vixCode} (${text})${advice === undefined ? '' : `. ${advice}`}`, {
    code,
    retryable: retry !== 'final',
    retry,
    subject,
    vixCode,
    details: { function: failure.function, vixError: failure.vixError, logLines: failure.lines, offsetBytes: failure.offsetBytes },
  });
}
