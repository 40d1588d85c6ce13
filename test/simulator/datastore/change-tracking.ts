import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Extent } from '../../../src/disk/index.js';

/** What CBT counts in, whatever the disk's size (VADP guide: 64 KiB is its smallest unit). */
export const TRACKED_BLOCK_BYTES = 65536;
const PAGE_BLOCKS = 16384;
const MAGIC = 'VVCTK001';
const HEADER_BYTES = 72;

/**
 * Changed block tracking of one disk: for each 64 KiB block the sequence in which it last changed.
 * A change id "uuid/sequence" names a moment; blocks with a higher sequence changed after it.
 * VMware's -ctk.vmdk layout is not public, so this file is of our own making under their name.
 */
export class ChangeTracking {
  /** Pages of sequences; a page that is not there is all zero. */
  private readonly pages = new Map<number, Uint32Array>();

  private constructor(
    readonly uuid: string,
    private current: number,
    readonly capacityBytes: number,
  ) {}

  static begin(capacityBytes: number): ChangeTracking {
    const bytes = randomUUID().replace(/-/g, '').match(/../g) ?? [];
    return new ChangeTracking(`${bytes.slice(0, 8).join(' ')}-${bytes.slice(8).join(' ')}`, 1, capacityBytes);
  }

  static async load(path: string): Promise<ChangeTracking> {
    const bytes = await readFile(path);
    if (bytes.toString('latin1', 0, 8) !== MAGIC) throw new Error(`${path} is not a change tracking file`);
    const capacityBytes = Number(bytes.readBigUInt64LE(64));
    const tracking = new ChangeTracking(bytes.toString('latin1', 8, 55), bytes.readUInt32LE(56), capacityBytes);
    for (let at = HEADER_BYTES; at < bytes.length; at += 4 + PAGE_BLOCKS * 4) {
      const page = new Uint32Array(PAGE_BLOCKS);
      for (let i = 0; i < PAGE_BLOCKS; i += 1) page[i] = bytes.readUInt32LE(at + 4 + i * 4);
      tracking.pages.set(bytes.readUInt32LE(at), page);
    }
    return tracking;
  }

  async save(path: string): Promise<void> {
    const bytes = Buffer.alloc(HEADER_BYTES + this.pages.size * (4 + PAGE_BLOCKS * 4));
    bytes.write(MAGIC, 0, 'latin1');
    bytes.write(this.uuid, 8, 'latin1');
    bytes.writeUInt32LE(this.current, 56);
    bytes.writeBigUInt64LE(BigInt(this.capacityBytes), 64);
    let at = HEADER_BYTES;
    for (const [number, page] of this.pages) {
      bytes.writeUInt32LE(number, at);
      for (let i = 0; i < PAGE_BLOCKS; i += 1) bytes.writeUInt32LE(page[i] ?? 0, at + 4 + i * 4);
      at += 4 + PAGE_BLOCKS * 4;
    }
    await writeFile(`${path}.new`, bytes);
    await rename(`${path}.new`, path);
  }

  get changeId(): string {
    return `${this.uuid}/${this.current}`;
  }

  get sequence(): number {
    return this.current;
  }

  /** Ends the present sequence; writes from now on belong to the next. @returns the change id of the moment that ended. */
  advance(): string {
    const ended = this.changeId;
    this.current += 1;
    return ended;
  }

  mark(extents: Iterable<Extent>): void {
    for (const { offsetBytes, lengthBytes } of extents) {
      if (lengthBytes === 0) continue;
      const last = Math.floor((offsetBytes + lengthBytes - 1) / TRACKED_BLOCK_BYTES);
      for (let block = Math.floor(offsetBytes / TRACKED_BLOCK_BYTES); block <= last; block += 1) {
        const number = Math.floor(block / PAGE_BLOCKS);
        let page = this.pages.get(number);
        if (!page) {
          page = new Uint32Array(PAGE_BLOCKS);
          this.pages.set(number, page);
        }
        page[block % PAGE_BLOCKS] = this.current;
      }
    }
  }

  /** Blocks changed after `sequence`, merged, cut at the capacity. */
  changedSince(sequence: number): Extent[] {
    const extents: Extent[] = [];
    for (const number of [...this.pages.keys()].sort((a, b) => a - b)) {
      const page = this.pages.get(number) as Uint32Array;
      for (let i = 0; i < PAGE_BLOCKS; i += 1) {
        if ((page[i] as number) <= sequence) continue;
        const offsetBytes = (number * PAGE_BLOCKS + i) * TRACKED_BLOCK_BYTES;
        const lengthBytes = Math.min(TRACKED_BLOCK_BYTES, this.capacityBytes - offsetBytes);
        const last = extents.at(-1);
        if (last && last.offsetBytes + last.lengthBytes === offsetBytes) last.lengthBytes += lengthBytes;
        else extents.push({ offsetBytes, lengthBytes });
      }
    }
    return extents;
  }
}

/** "52 de c0 … /4" taken apart; undefined when it is no change id. */
export function parseChangeId(changeId: string): { uuid: string; sequence: number } | undefined {
  const match = /^(.+)\/(\d{1,9})$/.exec(changeId);
  return match ? { uuid: match[1] as string, sequence: Number(match[2]) } : undefined;
}
