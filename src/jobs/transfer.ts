/** One disk (or medium) as the run's row keeps it; what came before rates has bytes alone. */
export interface StoredTransfer {
  doneBytes: number;
  totalBytes: number;
  /** Over the last half minute while it is under way, over all of its time once it is done. */
  bytesPerSecond?: number;
  beganAtMs?: number;
  changedAtMs?: number;
}
export type StoredProgress = Record<string, StoredTransfer>;

export interface Transfer {
  doneBytes: number;
  totalBytes: number;
  bytesPerSecond: number | null;
  /** 0 when all is done; null while nobody can tell. */
  secondsLeft: number | null;
}

export interface RunTransfer extends Transfer {
  vms: (Transfer & { name: string; disks: (Transfer & { name: string })[] })[];
}

/** Long enough that one slow read does not frighten anybody, short enough that a slower line shows. */
const WINDOW_MS = 30_000;
const SAMPLE_MS = 500;

/** Bytes per second of one disk, from what it says of itself. */
export class TransferMeter {
  private samples: { atMs: number; doneBytes: number }[] = [];
  private beganAtMs: number;
  private beganBytes: number;

  constructor(nowMs: number, doneBytes: number) {
    this.beganAtMs = nowMs;
    this.beganBytes = doneBytes;
    this.samples.push({ atMs: nowMs, doneBytes });
  }

  /** @param nowMs epoch milliseconds. */
  update(doneBytes: number, totalBytes: number, nowMs: number): StoredTransfer {
    const last = this.samples.at(-1);
    // Begun anew, as when a VM's copy is tried again.
    if (last !== undefined && doneBytes < last.doneBytes) {
      this.samples = [{ atMs: nowMs, doneBytes }];
      this.beganAtMs = nowMs;
      this.beganBytes = doneBytes;
    } else if (last === undefined || nowMs - last.atMs >= SAMPLE_MS) {
      this.samples.push({ atMs: nowMs, doneBytes });
      while (this.samples.length > 2 && (this.samples[1]?.atMs ?? nowMs) < nowMs - WINDOW_MS) this.samples.shift();
    }
    const since = doneBytes >= totalBytes ? { atMs: this.beganAtMs, doneBytes: this.beganBytes } : this.samples[0];
    const elapsedMs = nowMs - (since?.atMs ?? nowMs);
    const moved = doneBytes - (since?.doneBytes ?? doneBytes);
    return {
      doneBytes,
      totalBytes,
      ...(elapsedMs > 0 && { bytesPerSecond: Math.round((moved * 1000) / elapsedMs) }),
      beganAtMs: this.beganAtMs,
      changedAtMs: nowMs,
    };
  }
}

/**
 * Sums up what the disks say, by VM and for the run. Disks that are not begun are in nobody's total yet: what has to be read
 * of a disk is known when it is opened.
 * @param running while it is not, rates are those of the whole time.
 * @returns null for a run that moves no data.
 */
export function transferOf(progress: StoredProgress, running: boolean): RunTransfer | null {
  const entries = Object.entries(progress);
  if (entries.length === 0) return null;
  const byVm = new Map<string, { name: string; stored: StoredTransfer }[]>();
  for (const [key, stored] of entries) {
    const slash = key.lastIndexOf('/');
    const [vm, name] = slash < 0 ? [key, key] : [key.slice(0, slash), key.slice(slash + 1)];
    byVm.set(vm, [...(byVm.get(vm) ?? []), { name, stored }]);
  }
  const vms = [...byVm].map(([name, disks]) => ({
    name,
    ...sumOf(
      disks.map(({ stored }) => stored),
      running,
    ),
    disks: disks.map((disk) => ({ name: disk.name, ...sumOf([disk.stored], running) })),
  }));
  return { ...sumOf(Object.values(progress), running), vms };
}

function sumOf(parts: readonly StoredTransfer[], running: boolean): Transfer {
  const doneBytes = parts.reduce((sum, part) => sum + part.doneBytes, 0);
  const totalBytes = parts.reduce((sum, part) => sum + part.totalBytes, 0);
  const underWay = running ? parts.filter((part) => part.doneBytes < part.totalBytes) : [];
  const bytesPerSecond = underWay.length > 0 ? rateNow(underWay) : rateOver(parts, doneBytes);
  const leftBytes = totalBytes - doneBytes;
  const known = running && bytesPerSecond !== null && bytesPerSecond > 0;
  const secondsLeft = leftBytes === 0 ? 0 : known ? Math.ceil(leftBytes / bytesPerSecond) : null;
  return { doneBytes, totalBytes, bytesPerSecond, secondsLeft };
}

function rateNow(underWay: readonly StoredTransfer[]): number | null {
  const rates = underWay.map((part) => part.bytesPerSecond).filter((rate) => rate !== undefined);
  return rates.length === 0 ? null : rates.reduce((sum, rate) => sum + rate, 0);
}

/** Of disks side by side and one after the other alike: from the first byte of any to the last. */
function rateOver(parts: readonly StoredTransfer[], doneBytes: number): number | null {
  const began = Math.min(...parts.map((part) => part.beganAtMs ?? Number.NaN));
  const changed = Math.max(...parts.map((part) => part.changedAtMs ?? Number.NaN));
  const elapsedMs = changed - began;
  return elapsedMs > 0 ? Math.round((doneBytes * 1000) / elapsedMs) : null;
}
