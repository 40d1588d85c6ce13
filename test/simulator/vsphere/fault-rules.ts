import { sleep } from '../../../src/common/index.js';
import { RequestGate } from '../request-gate.js';
import { SimFault } from '../model/vsphere-types.js';

export type Door = 'vcenter' | 'vix';

/** What shall go wrong, when. Rules are asked in order; the first that fits and is due acts. */
export interface FaultRule {
  door: Door;
  /** SOAP operation ("CreateSnapshot_Task"), "GET /folder" …, or the vix door's op ("read", "open"). "*" is any. */
  method: string;
  /** moRef, or for the vix door the disk's path or the VM's moRef; absent is any. */
  object?: string;
  /** So many fitting requests pass first. */
  skip?: number;
  /** Then so many are hit; absent is all. */
  times?: number;
  /**
   * fault: answer `fault` (SOAP). taskError: the task fails with `fault`. drop: cut the connection.
   * delay: wait delayMs, then go on. hang: never answer. vixError: answer `vixError`.
   * error, crash: enforced by the stand-in library on an open disk, after `afterBytes`.
   * unmerged: RemoveSnapshot_Task takes the snapshot out of the tree, leaves its disks in the chain and fails with `fault`
   * (FileLocked): the VM needs consolidation. transport: `open` serves the disk by `transport`, whatever was asked for.
   * library: how the stand-in library behaves on the disk that is opened, where VDDK leaves it open.
   */
  effect: 'fault' | 'taskError' | 'drop' | 'delay' | 'hang' | 'vixError' | 'error' | 'crash' | 'unmerged' | 'transport' | 'library';
  /** "hotadd", "san", "nbdssl", "nbd" */
  transport?: string;
  /** Completions inline, late or reversed; errors with high bits; log lines from so many threads. */
  library?: { callbacks?: 'pool' | 'inline' | 'late' | 'reversed'; highBits?: boolean; logThreads?: number };
  fault?: string;
  message?: string;
  delayMs?: number;
  vixError?: number;
  afterBytes?: number;
}

export interface ServedRequest {
  door: Door;
  method: string;
  object: string;
  startedAt: string;
  ms: number;
  /** "ok" or the fault's type. */
  outcome: string;
}

/** Bodies without passwords and cookies; those of datastore files are left out. */
export type Recorder = (exchange: {
  door: Door;
  /** SOAP operation, or "GET /folder" …. */
  method: string;
  path: string;
  status: number;
  request: string;
  response: string;
}) => void;

/** The rules of a test, and the log of what was served: shared by both doors and the control port. */
export class FaultRules {
  readonly requests: ServedRequest[] = [];
  /** Where a test holds single requests. */
  gate = new RequestGate();
  private rules: { rule: FaultRule; seen: number; hits: number }[] = [];

  set(rules: readonly FaultRule[]): void {
    this.rules = rules.map((rule) => ({ rule, seen: 0, hits: 0 }));
  }
  add(rule: FaultRule): void {
    this.rules.push({ rule, seen: 0, hits: 0 });
  }
  clear(): void {
    this.rules = [];
  }
  list(): (FaultRule & { hits: number })[] {
    return this.rules.map(({ rule, hits }) => ({ ...rule, hits }));
  }

  /** The rule that strikes this request, counted. */
  match(door: Door, method: string, objects: readonly string[], effects?: readonly FaultRule['effect'][]): FaultRule | undefined {
    for (const entry of this.rules) {
      const { rule } = entry;
      if (rule.door !== door || (rule.method !== '*' && rule.method !== method)) continue;
      if (rule.object !== undefined && !objects.includes(rule.object)) continue;
      if (effects && !effects.includes(rule.effect)) continue;
      entry.seen += 1;
      if (entry.seen <= (rule.skip ?? 0) || entry.hits >= (rule.times ?? Number.POSITIVE_INFINITY)) continue;
      entry.hits += 1;
      return rule;
    }
    return undefined;
  }

  /** Bounded, because a simulator may run for days. */
  log(request: ServedRequest): void {
    if (this.requests.length >= 100_000) this.requests.splice(0, 10_000);
    this.requests.push(request);
  }
}

/** Carries out delay and hang; @returns whether the connection shall be cut. @throws SimFault for `fault`. */
export async function strike(rule: FaultRule | undefined, signal: AbortSignal): Promise<boolean> {
  if (!rule) return false;
  if (rule.effect === 'delay') await sleep(rule.delayMs ?? 1000, signal);
  if (rule.effect === 'hang') await sleep(2 ** 31 - 1, signal);
  if (rule.effect === 'fault') throw ruleFault(rule);
  return rule.effect === 'drop';
}

export function ruleFault(rule: FaultRule): SimFault {
  const type = rule.fault ?? 'SystemError';
  return new SimFault(type, rule.message ?? `Injected fault: ${type}`, { reason: 'injected', file: '' });
}
