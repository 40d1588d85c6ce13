/**
 * A run of bytes on a disk. Lists of extents in this code base are always sorted by offset,
 * disjoint, and merged where they touch; `normalizeExtents` makes any list so.
 */
export interface Extent {
  offsetBytes: number;
  lengthBytes: number;
}

/** @throws RangeError on a negative, fractional or unsafe number: a wrapped offset would write over somebody's data. */
export function normalizeExtents(extents: Iterable<Extent>): Extent[] {
  const sorted: Extent[] = [];
  let isSorted = true;
  for (const e of extents) {
    if (e.lengthBytes === 0) continue;
    assertExtent(e);
    isSorted &&= e.offsetBytes >= (sorted.at(-1)?.offsetBytes ?? 0);
    sorted.push(e);
  }
  // They mostly come in order, and there may be hundreds of thousands.
  if (!isSorted) sorted.sort((a, b) => a.offsetBytes - b.offsetBytes);
  const merged: Extent[] = [];
  for (const e of sorted) {
    const last = merged.at(-1);
    const end = e.offsetBytes + e.lengthBytes;
    if (last && e.offsetBytes <= last.offsetBytes + last.lengthBytes) {
      last.lengthBytes = Math.max(last.lengthBytes, end - last.offsetBytes);
    } else {
      merged.push({ offsetBytes: e.offsetBytes, lengthBytes: e.lengthBytes });
    }
  }
  return merged;
}

/** Bytes in both lists. */
export function intersectExtents(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const x = a[i];
    const y = b[j];
    if (!x || !y) return result;
    const start = Math.max(x.offsetBytes, y.offsetBytes);
    const xEnd = x.offsetBytes + x.lengthBytes;
    const yEnd = y.offsetBytes + y.lengthBytes;
    const end = Math.min(xEnd, yEnd);
    if (start < end) result.push({ offsetBytes: start, lengthBytes: end - start });
    if (xEnd <= yEnd) i += 1;
    else j += 1;
  }
}

/** Bytes in `a` and not in `b`. */
export function subtractExtents(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  let j = 0;
  for (const x of a) {
    let start = x.offsetBytes;
    const end = x.offsetBytes + x.lengthBytes;
    for (let y = b[j]; y && y.offsetBytes + y.lengthBytes <= start; y = b[j]) j += 1;
    for (let k = j; start < end; k += 1) {
      const y = b[k];
      if (!y || y.offsetBytes >= end) {
        result.push({ offsetBytes: start, lengthBytes: end - start });
        break;
      }
      if (y.offsetBytes > start) result.push({ offsetBytes: start, lengthBytes: y.offsetBytes - start });
      start = Math.max(start, y.offsetBytes + y.lengthBytes);
    }
  }
  return result;
}

/** Every extent widened to whole multiples of `granularityBytes`, cut at the capacity. */
export function alignExtents(extents: readonly Extent[], granularityBytes: number, capacityBytes: number): Extent[] {
  return normalizeExtents(
    extents.map((e) => {
      const start = Math.floor(e.offsetBytes / granularityBytes) * granularityBytes;
      const end = Math.ceil((e.offsetBytes + e.lengthBytes) / granularityBytes) * granularityBytes;
      return { offsetBytes: start, lengthBytes: Math.min(end, capacityBytes) - start };
    }),
  );
}

export function clipExtents(extents: readonly Extent[], capacityBytes: number): Extent[] {
  return intersectExtents(extents, [{ offsetBytes: 0, lengthBytes: capacityBytes }]);
}

export function totalBytes(extents: readonly Extent[]): number {
  let sum = 0;
  for (const e of extents) sum += e.lengthBytes;
  return sum;
}

/** @throws RangeError. */
export function assertExtent(e: Extent): void {
  const end = e.offsetBytes + e.lengthBytes;
  if (!Number.isSafeInteger(e.offsetBytes) || !Number.isSafeInteger(end) || e.offsetBytes < 0 || e.lengthBytes < 0) {
    throw new RangeError(`Extent at ${e.offsetBytes} of ${e.lengthBytes} bytes is out of range`);
  }
}
