import { describeError, VaultError } from '../../common/index.js';
import type { MissingPrivilege } from '../../vsphere/index.js';

export const OUTCOMES = ['ok', 'warning', 'failed', 'skipped'] as const;
/** failed: backups or restores will fail there. warning: they may, or some will. skipped: it could not be looked at. */
export type Outcome = (typeof OUTCOMES)[number];

export const CHECKS = [
  'reachable',
  'certificate',
  'clock',
  'api-version',
  'login',
  'rights',
  'vcenters',
  'privileges',
  'hosts',
  'ntp',
  'datastores',
  'machines',
  'host-ports',
  'vddk',
  'transport-modes',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** In place of a server's address: this process. */
export const WORKER = 'worker';

export interface PreflightCheck {
  /** Address of the server that was looked at, or WORKER. */
  server: string;
  check: CheckName;
  outcome: Outcome;
  /** One sentence: what is so, and what to do where something is to be done. */
  message: string;
  missingPrivileges?: MissingPrivilege[];
  /** Objects the sentence speaks of, each with what is the matter; not all of them where there are very many. */
  items?: { name: string; problem: string }[];
  clockDifferenceMs?: number;
  certificateExpiresAt?: string;
}

export interface PreflightReport {
  cloudId: string;
  cloudName: string;
  checkedAt: string;
  durationMs: number;
  /** Nothing failed. */
  ready: boolean;
  checks: PreflightCheck[];
}

const MAX_ITEMS = 100;

export type Note = Omit<PreflightCheck, 'server' | 'check' | 'outcome' | 'message'>;

/** Collects what is found of one server. */
export class ServerChecks {
  readonly found: PreflightCheck[] = [];

  constructor(readonly server: string) {}

  add(check: CheckName, outcome: Outcome, message: string, note: Note = {}): void {
    const items = note.items === undefined ? {} : { items: note.items.slice(0, MAX_ITEMS) };
    this.found.push({ server: this.server, check, outcome, message, ...note, ...items });
  }

  /** What cannot be looked at because `cause`, a check of the same server, failed. */
  skipAfter(cause: CheckName, checks: readonly CheckName[]): void {
    const where = this.server === WORKER ? 'on this worker' : `at ${this.server}`;
    const message = `Not looked at, because the check "${cause}" ${where} failed: put that right, and ask again.`;
    for (const check of checks) this.add(check, 'skipped', message);
  }

  /** A check that goes wrong is a finding, and leaves the others alone. The signal's own end is no finding. */
  async attempt<T>(check: CheckName, signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof VaultError) && !signal.aborted) throw error;
      this.add(check, 'failed', signal.aborted ? 'There was not time enough for this check; ask again.' : describeError(error));
      return undefined;
    }
  }
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
