import { assertExtent, type Extent, normalizeExtents } from './extents.js';

/** A list of so many takes 20 MB, and the plan of a copy up to 160; a disk of 4 TiB may have eight times as many areas. */
export const MOST_EXTENTS = 250_000;

export interface BoundedList {
  extents: Extent[];
  /** In the list and in none of the extents that were added; at most so much where they came in no order. */
  widenedBytes: number;
}

/**
 * A list that holds every byte that was added and never grows beyond a bound, whatever the disk looks like: neighbours are
 * merged over the smallest gaps, already while it is collected. What lies in the gaps is copied as well: that costs time, and
 * never data.
 */
export class BoundedExtents {
  /** Twice as many, so that merging happens seldom. As numbers, because so many objects cost more than the work on them. */
  private readonly starts: Float64Array;
  private readonly ends: Float64Array;
  private count = 0;
  private isSorted = true;
  private widenedBytes = 0;

  constructor(private readonly mostExtents = MOST_EXTENTS) {
    this.starts = new Float64Array(2 * mostExtents);
    this.ends = new Float64Array(2 * mostExtents);
  }

  /** @throws RangeError where an extent cannot be. */
  add(extents: Iterable<Extent>): void {
    for (const extent of extents) {
      assertExtent(extent);
      if (extent.lengthBytes > 0) this.append(extent.offsetBytes, extent.offsetBytes + extent.lengthBytes);
    }
  }

  take(): BoundedList {
    this.merge();
    return { extents: this.list(), widenedBytes: this.widenedBytes };
  }

  private append(start: number, end: number): void {
    const last = this.count - 1;
    const follows = last < 0 || start >= this.startAt(last);
    if (last >= 0 && follows && start <= this.endAt(last)) {
      this.ends[last] = Math.max(this.endAt(last), end);
      return;
    }
    this.isSorted &&= follows;
    this.push(start, end);
    if (this.count === this.starts.length) this.merge();
  }

  private merge(): void {
    if (!this.isSorted) this.sort();
    const surplus = this.count - this.mostExtents;
    if (surplus > 0) this.mergeOverSmallestGaps(surplus);
  }

  private sort(): void {
    const sorted = normalizeExtents(this.list());
    this.count = 0;
    for (const { offsetBytes, lengthBytes } of sorted) this.push(offsetBytes, offsetBytes + lengthBytes);
    this.isSorted = true;
  }

  private mergeOverSmallestGaps(surplus: number): void {
    const gaps = new Float64Array(this.count - 1);
    for (let i = 0; i < gaps.length; i += 1) gaps[i] = this.startAt(i + 1) - this.endAt(i);
    gaps.sort();
    const largest = gaps[surplus - 1] as number;
    // Of those as large as the largest some stay.
    let equals = surplus - gaps.indexOf(largest);
    const { count } = this;
    this.count = 1;
    for (let i = 1; i < count; i += 1) {
      const gap = this.startAt(i) - this.endAt(this.count - 1);
      if (gap < largest || (gap === largest && equals-- > 0)) {
        this.widenedBytes += gap;
        this.ends[this.count - 1] = this.endAt(i);
      } else {
        this.push(this.startAt(i), this.endAt(i));
      }
    }
  }

  private push(start: number, end: number): void {
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count += 1;
  }

  private startAt(index: number): number {
    return this.starts[index] as number;
  }

  private endAt(index: number): number {
    return this.ends[index] as number;
  }

  private list(): Extent[] {
    return Array.from({ length: this.count }, (_, i) => ({ offsetBytes: this.startAt(i), lengthBytes: this.endAt(i) - this.startAt(i) }));
  }
}
