import { readFileSync } from 'node:fs';

/**
 * A process beyond the reuse of its number: pid and start time in clock ticks since boot
 * (proc(5), /proc/pid/stat field 22).
 */
export interface ProcessIdentity {
  pid: number;
  startTicks: string;
}

export function identifyProcess(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name, field 2, is in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    const startTicks = fields[19];
    // A zombie is dead; only its parent has not looked yet.
    if (startTicks === undefined || state === 'Z' || state === 'X') return undefined;
    return { pid, startTicks };
  } catch {
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTicks === identity.startTicks;
}

export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
