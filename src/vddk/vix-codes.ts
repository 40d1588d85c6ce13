/**
 * VixError's classes (its low 16 bits) as a table: what each is called here, whether and how it is worth trying
 * again, and what a person can do. Codes not listed are final. Sources: the guide's "Error Codes" and its table of
 * retries (chapter 7, "Best Practices for NBD Transport"); the 6.7 release notes.
 */

/**
 * How a failure is met.
 * - final: the same call would fail again
 * - reconnect: on a fresh connection, several times, patiently
 * - login: after a new session with vCenter
 * - soon: the ESXi host is entering maintenance mode; vCenter moves to another one, three tries after a short delay (guide)
 * - later: the ESXi host is in maintenance mode and there is no other; a run may be asked for again later (guide)
 * - once: ambiguous, one try on a fresh connection
 */
export type VixRetry = 'final' | 'reconnect' | 'login' | 'soon' | 'later' | 'once';

export interface VixClass {
  code: string;
  retry: VixRetry;
  /** Ends the sentence: what the person can do. */
  advice?: string;
}

const NETWORK = 'The network or the ESXi host is the likely cause; the copy can be tried again';
const PRIVILEGES = 'Check the privileges of the vCenter user';
const CHAIN = "The disk's chain of snapshots is damaged on its datastore; check it with vCenter (vmkfstools -x check) before it is copied";

const again = (code: string, retry: VixRetry, advice?: string): VixClass => ({ code, retry, ...(advice === undefined ? {} : { advice }) });
const final = (code: string, advice?: string): VixClass => again(code, 'final', advice);

const CLASSES: ReadonlyMap<number, VixClass> = new Map<number, VixClass>([
  // Ambiguous: wrong thumbprint, disk locked by a running VM, NFC memory. The log lines tell which.
  [1, again('VIX_FAIL', 'once', "Check vCenter's thumbprint and that nobody else holds the disk")],
  [2, final('VIX_OUT_OF_MEMORY', 'A smaller request size, or fewer disks at once, may help (NFC memory of the ESXi host)')],
  [3, final('VIX_INVALID_ARGUMENT')],
  [4, final('VIX_FILE_NOT_FOUND', 'Check that the disk still exists on its datastore')],
  [5, again('VIX_OBJECT_BUSY', 'reconnect')],
  [6, final('VIX_NOT_SUPPORTED')],
  [7, final('VIX_FILE_ERROR', 'With HotAdd on a Linux proxy, check the order of its SCSI controllers')],
  [8, final('VIX_DISK_FULL', 'Free space on the datastore')],
  [9, final('VIX_WRONG_FILE_TYPE')],
  [10, final('VIX_CANCELLED')],
  [11, final('VIX_READ_ONLY')],
  [12, final('VIX_ALREADY_EXISTS')],
  [13, final('VIX_ACCESS_DENIED', 'A powered-on VM needs a snapshot; otherwise check the privileges of the vCenter user')],
  [15, again('VIX_FILE_LOCKED', 'reconnect', 'Somebody holds the disk: a running VM, a migration, or another backup')],
  [20, final('VIX_NOT_SUPPORTED')],
  [25, final('VIX_OBJECT_NOT_FOUND')],
  [26, again('VIX_HOST_DISCONNECTED', 'reconnect', NETWORK)],
  [30, final('VIX_KEY_MISSING', 'The disk is encrypted: vCenter must reach its key provider')],
  [31, again('VIX_OBJECT_BUSY', 'reconnect')],
  [32, final('VIX_LICENSE', `VDDK says so too where a privilege is given lower than at the vCenter. ${PRIVILEGES}`)],
  [34, again('VIX_HOST_DISCONNECTED', 'reconnect', NETWORK)],
  [35, again('VIX_AUTHENTICATION_FAILED', 'login', "Check the vCenter user's password")],
  [36, again('VIX_CONNECTION_LOST', 'reconnect', NETWORK)],
  [3014, final('VIX_PERMISSION_DENIED', PRIVILEGES)],
  [3047, again('VIX_SESSION_EXPIRED', 'login', 'Log in to vCenter again')],
  [4000, final('VIX_VM_NOT_FOUND')],
  [13003, final('VIX_SNAPSHOT_NOT_FOUND')],
  [13010, again('VIX_SNAPSHOT_LOCKED', 'reconnect')],
  [13014, again('VIX_SNAPSHOT_LOCKED', 'reconnect')],
  [14005, final('VIX_FILE_ERROR')],
  [14009, again('VIX_CONNECTION_REFUSED', 'reconnect', NETWORK)],
  [14014, again('VIX_HOST_ENTERS_MAINTENANCE', 'soon', 'The ESXi host is entering maintenance mode')],
  [
    14015,
    again(
      'VIX_HOST_IN_MAINTENANCE',
      'later',
      'The ESXi host is in maintenance mode and vCenter has no other for the disk; run it again afterwards',
    ),
  ],
  [16006, final('VIX_DISK_NEEDS_REPAIR', CHAIN)],
  [16007, final('VIX_OUT_OF_RANGE')],
  [16008, final('VIX_CHAIN_BROKEN', CHAIN)],
  [16014, final('VIX_KEY_MISSING', 'The disk is encrypted: vCenter must reach its key provider')],
  [16027, final('VIX_TOO_MANY_FILES')],
  [16030, final('VIX_CHAIN_BROKEN', CHAIN)],
  [18000, again('VIX_CANNOT_CONNECT', 'reconnect', NETWORK)],
]);

/** Socket and handshake failures of NFC, and of the HTTP requests VDDK makes to vCenter. */
const NETWORK_CODES = new Set([14006, 14007, 14008, 14010, 14011, 30005, 30006, 30007, 30028, 30035, 30200]);

export function vixClass(vixCode: number): VixClass {
  const known = CLASSES.get(vixCode);
  if (known !== undefined) return known;
  if (NETWORK_CODES.has(vixCode)) return again('VIX_NETWORK', 'reconnect', NETWORK);
  if (vixCode >= 13000 && vixCode < 13100) return final('VIX_SNAPSHOT');
  if (vixCode >= 16000 && vixCode < 16100) return final('VIX_DISK');
  if (vixCode >= 17000 && vixCode < 17100) return final('VIX_ENCRYPTION', 'vCenter must reach the key provider of the disk');
  return final('VIX_ERROR');
}

export interface RetryRule {
  /** Tries altogether, the first included. */
  attempts: number;
  /** Before each further one. */
  delayMs: number;
}

/** How often, and how long apart, a kind of failure is met. */
export const RETRIES: Readonly<Record<VixRetry, RetryRule>> = {
  final: { attempts: 1, delayMs: 0 },
  once: { attempts: 2, delayMs: 2_000 },
  login: { attempts: 2, delayMs: 0 },
  // "Soon, 3 times" (guide): the switch to another host takes some ten seconds.
  soon: { attempts: 4, delayMs: 15_000 },
  reconnect: { attempts: 6, delayMs: 5_000 },
  // "After waiting?": a host stays in maintenance for minutes to hours, longer than a run should hold its snapshot.
  later: { attempts: 1, delayMs: 0 },
};

/** What VDDK's own log says about a failure that its code leaves open. */
const EXPLANATIONS: readonly { pattern: RegExp; says: string }[] = [
  {
    pattern: /thumbprint|SSL_Verify|certificate verify|SSLVerify/i,
    says: "vCenter's certificate has another thumbprint than was given, or cannot be checked (DNS must work on this machine)",
  },
  {
    pattern: /NFC error 5|NfcFssrvr.*memory|Failed to allocate the requested/i,
    says: 'the ESXi host is out of NFC memory: copy fewer disks at once, or with smaller requests',
  },
  { pattern: /\block(ed|s)?\b|in use by|held by/i, says: 'the disk is locked by a running VM or by another program' },
  { pattern: /no transport|Cannot use mode|advanced transports? not available/i, says: 'no allowed transport reaches the disk' },
  { pattern: /license/i, says: 'the account lacks a privilege at the vCenter itself, which VDDK takes for a missing licence' },
  { pattern: /Host address lookup|getaddrinfo|could not resolve/i, says: "the ESXi host's name cannot be resolved from this machine" },
];

/** The newest log line that explains a bare "Unknown error", in words; undefined where none does. */
export function explainedBy(lines: readonly string[]): string | undefined {
  for (const line of [...lines].reverse()) {
    const found = EXPLANATIONS.find(({ pattern }) => pattern.test(line));
    if (found !== undefined) return found.says;
  }
  return undefined;
}
