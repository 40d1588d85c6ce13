import { getRandomValues } from 'node:crypto';
import { ID_BYTES } from './format.js';

/** 16 bits and 4 probes an id: one dead record in some 300 is taken for a living one. */
const BITS_PER_ID = 16;
/** All probes of an id lie in one cache line: one access to memory instead of four. */
const WORDS_PER_BLOCK = 16;
const WORDS_PER_ID = ID_BYTES / 4;
/** 512 MiB; with more ids than that is for, more dead records stay until a later run. */
const MAXIMUM_BITS = 2 ** 32;

/**
 * The ids that restore points refer to, as a Bloom filter: 2 bytes an id however often it is
 * referred to. It never forgets an id, so nothing alive is ever taken for dead; what it keeps by
 * mistake differs from run to run by its random seed, so it is collected by a later one.
 */
export class LiveSet {
  private readonly bits: Uint32Array;
  private readonly blockMask: number;
  private readonly seeds = getRandomValues(new Uint32Array(4));

  /** @param expectedIds how many different ones there may be. */
  constructor(expectedIds: number) {
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(1024, expectedIds) * BITS_PER_ID));
    const size = Math.min(wanted, MAXIMUM_BITS);
    this.bits = new Uint32Array(size / 32);
    this.blockMask = size / 32 / WORDS_PER_BLOCK - 1;
  }

  /** @param ids ID_BYTES each; zero ids (no data) are passed over. @returns how many were not zero. */
  add(ids: Buffer): number {
    let count = 0;
    const words = asWords(ids);
    const { bits } = this;
    for (let at = 0; at < words.length; at += WORDS_PER_ID) {
      if (isZero(words, at)) continue;
      count += 1;
      const block = this.block(words, at);
      for (let probe = 0; probe < 4; probe += 1) {
        const place = this.place(words, at, probe);
        const word = block + (place >>> 5);
        bits[word] = (bits[word] as number) | (1 << (place & 31));
      }
    }
    return count;
  }

  has(id: Buffer): boolean {
    const words = asWords(id);
    const block = this.block(words, 0);
    for (let probe = 0; probe < 4; probe += 1) {
      const place = this.place(words, 0, probe);
      if ((((this.bits[block + (place >>> 5)] as number) >>> (place & 31)) & 1) === 0) return false;
    }
    return true;
  }

  /** Ids are outputs of HMAC: their words are as good as hashes of their own. @returns the block's first word. */
  private block(words: Uint32Array, at: number): number {
    return (((words[at] as number) ^ (this.seeds[0] as number)) & this.blockMask) * WORDS_PER_BLOCK;
  }

  /** @returns a bit of the block, 0 to 511. Mixed with the seed by a product, or all runs would make the same mistakes. */
  private place(words: Uint32Array, at: number, probe: number): number {
    return Math.imul((words[at + 1 + probe] as number) ^ (this.seeds[1] as number), (this.seeds[2] as number) | 1) >>> 23;
  }
}

function isZero(words: Uint32Array, at: number): boolean {
  for (let i = 0; i < WORDS_PER_ID; i += 1) if (words[at + i] !== 0) return false;
  return true;
}

function asWords(ids: Buffer): Uint32Array {
  const aligned = ids.byteOffset % 4 === 0 ? ids : Buffer.from(new Uint8Array(ids).buffer);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}
