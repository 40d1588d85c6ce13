import { readdirSync, readFileSync } from 'node:fs';

/** Watches the memory of this process and all of its descendants, shared pages counted once (PSS). */
export class MemoryWatch {
  peakBytes = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(intervalMs = 500) {
    this.timer = setInterval(() => this.sample(), intervalMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.sample();
  }

  private sample(): void {
    let sum = 0;
    for (const pid of descendants(process.pid)) sum += proportionalBytes(pid);
    this.peakBytes = Math.max(this.peakBytes, sum);
  }
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

function proportionalBytes(pid: number): number {
  const pss = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`));
  if (pss) return Number(pss[1]) * 1024;
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
  return rss ? Number(rss[1]) * 1024 : 0;
}

/** A process that ended between the listing and the reading is no process. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
