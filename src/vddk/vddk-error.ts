import { VaultError } from '../common/index.js';

/** What failed about a disk or about the process that reads it. */
export class VddkError extends VaultError {
  /** VixError's class (its low 16 bits); undefined when the library was not what failed. */
  readonly vixCode: number | undefined;

  constructor(
    message: string,
    fields: { code: string; retryable?: boolean; subject?: string; details?: Record<string, unknown>; cause?: unknown; vixCode?: number },
  ) {
    super(message, fields);
    this.vixCode = fields.vixCode;
  }
}

interface VixClass {
  code: string;
  retryable?: true;
  /** Ends the sentence: what the person can do. */
  advice?: string;
}

const RECONNECT = 'The network or the ESXi host is the likely cause; the copy can be tried again';

/** Classes of VixDiskLib errors as callers of VDDK have learnt them; those not listed are final. */
const CLASSES: ReadonlyMap<number, VixClass> = new Map<number, VixClass>([
  // Ambiguous: wrong thumbprint, disk locked by a running VM, NFC memory. The log lines tell which.
  [1, { code: 'VIX_FAIL', retryable: true, advice: "Check vCenter's thumbprint and that nobody else holds the disk" }],
  [2, { code: 'VIX_OUT_OF_MEMORY', advice: 'A smaller request size may help (NFC memory of the ESXi host)' }],
  [3, { code: 'VIX_INVALID_ARGUMENT' }],
  [4, { code: 'VIX_FILE_NOT_FOUND', advice: 'Check that the disk still exists on its datastore' }],
  [5, { code: 'VIX_OBJECT_BUSY', retryable: true }],
  [6, { code: 'VIX_NOT_SUPPORTED' }],
  [7, { code: 'VIX_FILE_ERROR' }],
  [8, { code: 'VIX_DISK_FULL', advice: 'Free space on the datastore' }],
  [11, { code: 'VIX_READ_ONLY' }],
  [13, { code: 'VIX_ACCESS_DENIED', advice: 'A powered-on VM needs a snapshot; otherwise check the privileges of the vCenter user' }],
  [15, { code: 'VIX_FILE_LOCKED', retryable: true }],
  [35, { code: 'VIX_AUTHENTICATION_FAILED', retryable: true, advice: "Check the vCenter user's password" }],
  [36, { code: 'VIX_CONNECTION_LOST', retryable: true, advice: RECONNECT }],
  [3014, { code: 'VIX_PERMISSION_DENIED', advice: 'Check the privileges of the vCenter user' }],
  [3047, { code: 'VIX_SESSION_EXPIRED', retryable: true, advice: 'Log in to vCenter again' }],
  [4000, { code: 'VIX_VM_NOT_FOUND' }],
  [13003, { code: 'VIX_SNAPSHOT_NOT_FOUND' }],
  [13010, { code: 'VIX_SNAPSHOT_LOCKED', retryable: true }],
  [16007, { code: 'VIX_OUT_OF_RANGE' }],
  [18000, { code: 'VIX_CANNOT_CONNECT', retryable: true, advice: RECONNECT }],
]);

const TRANSIENT_HTTP = new Set([30006, 30007, 30028, 30035]);

function classOf(vixCode: number): VixClass {
  const known = CLASSES.get(vixCode);
  if (known) return known;
  if ((vixCode >= 14006 && vixCode <= 14011) || vixCode === 14014 || vixCode === 14015 || TRANSIENT_HTTP.has(vixCode)) {
    return { code: 'VIX_NETWORK', retryable: true, advice: RECONNECT };
  }
  if (vixCode >= 16000 && vixCode <= 16069) return { code: 'VIX_DISK' };
  return { code: 'VIX_ERROR' };
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
  const { code, retryable, advice } = classOf(vixCode);
  const at = failure.offsetBytes === undefined ? '' : ` at byte ${failure.offsetBytes}`;
  const text = failure.text.replace(/\.\s*$/, '') || 'no text';
  return new VddkError(`VDDK could not ${activity}${at}: error ${vixCode} (${text})${advice === undefined ? '' : `. ${advice}`}`, {
    code,
    retryable: retryable ?? false,
    subject,
    vixCode,
    details: { function: failure.function, vixError: failure.vixError, logLines: failure.lines, offsetBytes: failure.offsetBytes },
  });
}
