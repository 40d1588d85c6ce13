import { createHash } from 'node:crypto';

/** The same numbers for the same seed, on every machine. */
export class SeededRandom {
  private block = Buffer.alloc(0);
  private at = 0;
  private blocks = 0;

  constructor(private readonly seed: string) {}

  /** @returns 0 to `below` - 1. */
  next(below: number): number {
    if (this.at + 4 > this.block.length) {
      this.block = createHash('sha512').update(`${this.seed} ${this.blocks}`).digest();
      this.blocks += 1;
      this.at = 0;
    }
    const word = this.block.readUInt32LE(this.at);
    this.at += 4;
    return word % below;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)] as T;
  }
}

/** What length fields, counts and offsets go wrong with. */
const NUMBERS = [
  0,
  1,
  2,
  7,
  15,
  16,
  31,
  32,
  48,
  63,
  64,
  255,
  256,
  4095,
  4096,
  65535,
  65536,
  2 ** 24,
  2 ** 28,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
const JSON_VALUES = ['null', 'true', '{}', '[]', '""', '-1', '1e999', '9007199254740993', '"\\u0000"', '[[[[]]]]', '{"__proto__":{"x":1}}'];

/** One to four edits of an input; some only its length, some only a field. @param others of the corpus, to splice with. */
export function mutate(random: SeededRandom, input: Buffer, others: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let edits = 1 + random.next(4); edits > 0; edits -= 1) bytes = random.pick(EDITS)(random, bytes, others);
  return bytes;
}

type Edit = (random: SeededRandom, bytes: Buffer, others: readonly Buffer[]) => Buffer;

const place = (random: SeededRandom, bytes: Buffer) => random.next(bytes.length + 1);

const EDITS: readonly Edit[] = [
  // A bit.
  (random, bytes) => set(bytes, random.next(Math.max(1, bytes.length)), (byte) => byte ^ (1 << random.next(8))),
  // A byte.
  (random, bytes) => set(bytes, random.next(Math.max(1, bytes.length)), () => random.next(256)),
  // A number of 16, 32 or 64 bits.
  (random, bytes) => {
    const size = random.pick([2, 4, 8]);
    const at = random.next(Math.max(1, bytes.length - size));
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(BigInt(random.pick(NUMBERS)) * (random.next(8) === 0 ? 2n ** 32n + 1n : 1n));
    if (at + size <= bytes.length) value.copy(bytes, at, 0, size);
    return bytes;
  },
  // Cut.
  (random, bytes) => bytes.subarray(0, place(random, bytes)),
  (random, bytes) => bytes.subarray(0, Math.max(0, bytes.length - 1 - random.next(8))),
  // A part taken out, doubled, or put in from another input.
  (random, bytes) => {
    const from = place(random, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random.next(64))]);
  },
  (random, bytes) => {
    const from = place(random, bytes);
    return Buffer.concat([bytes.subarray(0, from + random.next(64)), bytes.subarray(from)]);
  },
  (random, bytes, others) => {
    const other = random.pick(others);
    return Buffer.concat([bytes.subarray(0, place(random, bytes)), other.subarray(place(random, other))]);
  },
  // A JSON value.
  (random, bytes) => {
    if (bytes[0] !== 0x7b) return bytes;
    const text = bytes.toString('latin1');
    const values = [...text.matchAll(/(?<=:\s*|\[\s*)("[^"]*"|-?\d+|null|true|\[[^[\]]*\])/g)];
    if (values.length === 0) return bytes;
    const { index, 0: value } = random.pick(values);
    return Buffer.from(text.slice(0, index) + random.pick(JSON_VALUES) + text.slice(index + value.length), 'latin1');
  },
];

function set(bytes: Buffer, at: number, change: (byte: number) => number): Buffer {
  if (at < bytes.length) bytes[at] = change(bytes[at] as number) & 0xff;
  return bytes;
}
