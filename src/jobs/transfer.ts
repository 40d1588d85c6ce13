/** One disk (or medium) as the run's row keeps it; what came before rates has bytes alone. */
export interface StoredTransfer {
  doneBytes: number;
  totalBytes: number;
  /** Over the last half minute while it is under way, over all of its time once it is done. */
  bytesPerSecond?: number;
  beganAtMs?: number;
  /** When it last moved, or ended. */
  changedAtMs?: number;
  /** Its turn is still to come: what has to be read of it is not known yet. */
  waits?: true;
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
/** A disk that says nothing for so long is looked at again: its rate is of a time when it moved. */
export const SILENCE_MS = 5_000;

/** Bytes per second of one disk, from what it says of itself. */
export class TransferMeter {
  private samples: { atMs: number; doneBytes: number }[] = [];
  private beganAtMs: number;
  private beganBytes: number;
  private doneBytes: number;
  private changedAtMs: number;

  constructor(nowMs: number, doneBytes: number) {
    this.beganAtMs = nowMs;
    this.beganBytes = doneBytes;
    this.doneBytes = doneBytes;
    this.changedAtMs = nowMs;
    this.samples.push({ atMs: nowMs, doneBytes });
  }

  /** @param nowMs epoch milliseconds. */
  update(doneBytes: number, totalBytes: number, nowMs: number): StoredTransfer {
    const last = this.samples.at(-1);
    if (doneBytes !== this.doneBytes || doneBytes >= totalBytes) this.changedAtMs = nowMs;
    this.doneBytes = doneBytes;
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
      changedAtMs: this.changedAtMs,
    };
  }

  /** @returns what is true of it now; undefined where what was told last still is. */
  lookAgain({ doneBytes, totalBytes, bytesPerSecond = 0 }: StoredTransfer, nowMs: number): StoredTransfer | undefined {
    if (!isMoving({ doneBytes, totalBytes, bytesPerSecond }) || nowMs - this.changedAtMs < SILENCE_MS) return undefined;
    return this.update(doneBytes, totalBytes, nowMs);
  }
}

/** By what was told last: it is under way, and not standing still. */
export function isMoving({ doneBytes, totalBytes, bytesPerSecond = 0 }: StoredTransfer): boolean {
  return doneBytes < totalBytes && bytesPerSecond > 0;
}

/** A key without a slash is a name of its own. */
export function splitKey(key: string): [vm: string, disk: string] {
  const slash = key.lastIndexOf('/');
  return slash < 0 ? [key, key] : [key.slice(0, slash), key.slice(slash + 1)];
}

/**
 * Sums up what the disks say, by VM and for the run. Disks that are not begun are in nobody's total yet: what has to be read
 * of a disk is known when it is opened. Until the last has begun nobody can tell how long the others take.
 * @param running while it is not, rates are those of the whole time.
 * @returns null for a run that moves no data.
 */
export function transferOf(progress: StoredProgress, running: boolean): RunTransfer | null {
  const byVm = new Map<string, { name: string; stored: StoredTransfer }[]>();
  const waiting = new Set<string>();
  const begun: StoredTransfer[] = [];
  for (const [key, stored] of Object.entries(progress)) {
    const [vm, name] = splitKey(key);
    if (stored.waits) {
      if (running) waiting.add(vm);
      continue;
    }
    begun.push(stored);
    byVm.set(vm, [...(byVm.get(vm) ?? []), { name, stored }]);
  }
  if (begun.length === 0) return null;
  const vms = [...byVm].map(([name, disks]) => {
    const sum = sumOf(
      disks.map(({ stored }) => stored),
      running,
    );
    return {
      name,
      ...(waiting.has(name) ? { ...sum, secondsLeft: null } : sum),
      disks: disks.map((disk) => ({ name: disk.name, ...sumOf([disk.stored], running) })),
    };
  });
  const sum = sumOf(begun, running);
  return { ...(waiting.size > 0 ? { ...sum, secondsLeft: null } : sum), vms };
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
