import { allocatePages } from '../native/index.js';

/** Two packs in the making and four reads: what one backup uses. More at once take memory of their own. */
const KEPT_BYTES = 96 * 1024 * 1024;
/** A room this much larger than what is wanted stays for somebody who needs it. */
const LARGEST_WASTE = 2;

/**
 * Memory for packs in the making and for what is read from packs, used again and again: memory taken anew costs the zeroing
 * of its pages every time, and V8 neither knows of these nor collects garbage for their sake.
 */
export class PageRooms {
  private readonly kept: Buffer[] = [];
  private keptBytes = 0;

  /** @returns at least that many bytes, aligned to pages; what they hold is left over from an earlier use. */
  take(bytes: number): Buffer {
    const found = this.kept.findIndex((room) => room.length >= bytes && room.length <= bytes * LARGEST_WASTE);
    if (found < 0) return allocatePages(bytes);
    const [room] = this.kept.splice(found, 1) as [Buffer];
    this.keptBytes -= room.length;
    return room;
  }

  /** Nobody may use it any more. */
  give(room: Buffer): void {
    if (this.keptBytes + room.length > KEPT_BYTES) return;
    this.kept.push(room);
    this.keptBytes += room.length;
  }
}
