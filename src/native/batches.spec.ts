import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  allocatePages,
  CODEC_RAW,
  CODEC_ZSTD,
  createChunkTable,
  decompress,
  inspect,
  seal,
  UNSEALED,
  unseal,
  useWorkThreads,
} from './index.js';
import { addon } from './addon.js';

const key = randomBytes(32);
const digestKey = randomBytes(32);
const HEADER_BYTES = 12;
const FIELDS = { codecAt: 1, payloadLengthAt: 3, checksumAt: 8 };
const hmac = (bytes: Uint8Array) => createHmac('sha256', digestKey).update(bytes).digest();

function sealOptions(memory: Buffer, spans: { offset: number; length: number }[], headerBytes = HEADER_BYTES) {
  const bound = spans.reduce((sum, span) => sum + span.length + headerBytes + 16, 0);
  const headers = Buffer.alloc(headerBytes * spans.length, 0xcc);
  const nonces = randomBytes(12 * spans.length);
  const aads = randomBytes(5 * spans.length);
  const output = Buffer.alloc(bound, 0xee);
  return { memory, spans, key, nonces, aads, level: 1, headers, fields: FIELDS, output, cursor: new Uint32Array(1) };
}

/** Where each payload ends, of records of one batch, which lie in its order. */
function endsOf({ offsets, lengths }: { offsets: Uint32Array; lengths: Uint32Array }): number[] {
  return [...offsets].map((offset, i) => offset + (lengths[i] as number));
}

describe('inspect', () => {
  it('digests as node:crypto does and sees a single byte that is not zero, anywhere', async () => {
    const memory = Buffer.alloc(40_000);
    memory[4095] = 1;
    memory[30_000] = 0x80;
    const spans = [
      { offset: 0, length: 4096 },
      { offset: 1, length: 4094 },
      { offset: 8192, length: 21_808 },
      { offset: 8192, length: 21_809 },
      { offset: 39_999, length: 1 },
    ];
    const { zero, digests } = await inspect(memory, spans, digestKey);
    expect([...zero]).toEqual([0, 1, 1, 0, 1]);
    for (const i of [0, 3]) {
      const { offset, length } = spans[i] as { offset: number; length: number };
      expect(Buffer.from(digests.subarray(i * 32, i * 32 + 32))).toEqual(hmac(memory.subarray(offset, offset + length)));
    }
    expect(await inspect(memory, [], digestKey)).toEqual({ zero: new Uint8Array(0), digests: new Uint8Array(0) });
  });
});

describe('digests two at a time', () => {
  it('are those of node:crypto, whatever the two lengths, and however many there are', async () => {
    const lengths = [1, 8, 54, 55, 56, 57, 62, 63, 64, 65, 118, 119, 120, 127, 128, 129, 191, 192, 4096, 5000, 262_144, 262_145];
    // No zero byte: what is zero all through has no digest.
    const memory = randomBytes(600_000).map((byte) => byte || 1) as Buffer;
    const pairs = lengths.flatMap((first) => lengths.map((second) => [first, second] as const));
    const spans = pairs.flatMap(([first, second], i) => [
      { offset: i, length: first },
      { offset: 300_000 - i, length: second },
    ]);
    spans.push({ offset: 11, length: 4097 });
    for (const batch of [spans, spans.slice(0, 1), spans.slice(7, 9), spans.slice(20, 23)]) {
      const { digests } = await inspect(memory, batch, digestKey);
      const expected = batch.map(({ offset, length }) => hmac(memory.subarray(offset, offset + length)));
      expect(Buffer.from(digests).equals(Buffer.concat(expected))).toBe(true);
    }
    const other = randomBytes(32);
    const { digests } = await inspect(memory, spans.slice(40, 42), other);
    const [first] = spans.slice(40, 41) as [{ offset: number; length: number }];
    const truth = createHmac('sha256', other)
      .update(memory.subarray(first.offset, first.offset + first.length))
      .digest();
    expect(Buffer.from(digests.subarray(0, 32))).toEqual(truth);
  });

  it('of a record beside a damaged one still tell what is sound', async () => {
    const memory = randomBytes(4 * 8192);
    const spans = [0, 1, 2, 3].map((i) => ({ offset: i * 8192, length: 8192 }));
    const options = sealOptions(memory, spans);
    const { offsets, lengths } = await seal(options);
    const records = spans.map((span, i) => ({
      sourceOffset: (offsets[i] as number) + HEADER_BYTES,
      payloadLength: (lengths[i] as number) - HEADER_BYTES,
      targetOffset: span.offset,
      plainLength: span.length,
    }));
    const codecs = Uint8Array.from(offsets, (offset) => options.output[offset + FIELDS.codecAt] as number);
    const digests = Buffer.concat(spans.map(({ offset, length }) => hmac(memory.subarray(offset, offset + length))));
    digests.writeUInt8((digests[2 * 32] as number) ^ 1, 2 * 32);
    const source = Buffer.from(options.output);
    source.writeUInt8((source[(records[1]?.sourceOffset as number) + 99] as number) ^ 1, (records[1]?.sourceOffset as number) + 99);
    const keys = Buffer.concat(spans.map(() => key));
    for (const target of [Buffer.alloc(memory.length, 0xee), undefined]) {
      const batch = { source, records, codecs, keys, nonces: options.nonces, aads: options.aads, digestKey, digests };
      const statuses = await unseal({ ...batch, target });
      expect([...statuses]).toEqual([0, 1, 3, 0]);
      if (!target) continue;
      for (const i of [0, 3])
        expect(target.subarray(i * 8192, (i + 1) * 8192).equals(memory.subarray(i * 8192, (i + 1) * 8192))).toBe(true);
      expect(target.subarray(8192, 3 * 8192).every((byte) => byte === 0)).toBe(true);
    }
  });
});

describe('seal and unseal', () => {
  it('are AES-256-GCM of zstd or raw bytes, as node:crypto reads them', async () => {
    const text = Buffer.from('compressible '.repeat(9000));
    const noise = randomBytes(70_001);
    const memory = Buffer.concat([text, noise]);
    const spans = [
      { offset: 0, length: text.length },
      { offset: text.length, length: noise.length },
      { offset: 3, length: 1 },
    ];
    const options = sealOptions(memory, spans);
    const sealed = await seal(options);
    expect(endsOf(sealed)[0]).toBeLessThan(text.length / 10);
    expect(options.cursor[0]).toBe(endsOf(sealed).at(-1));
    spans.forEach((span, i) => {
      const start = sealed.offsets[i] as number;
      const record = options.output.subarray(start, start + (sealed.lengths[i] as number));
      expect(record.readUInt32LE(FIELDS.payloadLengthAt)).toBe(record.length - HEADER_BYTES);
      const checked = crc32(record.subarray(12), crc32(record.subarray(0, 8)));
      expect(record.readUInt32LE(FIELDS.checksumAt)).toBe(checked);
      expect([record[0], record[2], record[7]]).toEqual([0xcc, 0xcc, 0xcc]);
      const codec = [CODEC_ZSTD, CODEC_RAW, CODEC_RAW][i];
      expect(record[FIELDS.codecAt]).toBe(codec);
      const decipher = createDecipheriv('aes-256-gcm', key, options.nonces.subarray(i * 12, i * 12 + 12));
      decipher.setAAD(options.aads.subarray(i * 5, i * 5 + 5)).setAuthTag(record.subarray(record.length - 16));
      const opened = Buffer.concat([decipher.update(record.subarray(HEADER_BYTES, record.length - 16)), decipher.final()]);
      const plain = codec === CODEC_ZSTD ? decompress(opened, span.length) : opened;
      expect(plain.equals(memory.subarray(span.offset, span.offset + span.length))).toBe(true);
    });
  });

  it('say which record failed and why, and leave zeros in its place', async () => {
    const plain = Buffer.from('abcdefgh'.repeat(1000));
    const spans = [0, 1, 2, 3, 4].map(() => ({ offset: 0, length: plain.length }));
    const options = sealOptions(plain, spans);
    const sealed = await seal(options);
    const ends = endsOf(sealed);
    const codecs = Uint8Array.from(sealed.offsets, (offset) => options.output[offset + FIELDS.codecAt] as number);
    const source = Buffer.from(options.output);
    const digests = Buffer.concat(spans.map(() => hmac(plain)));
    const damaged = (ends[0] as number) + HEADER_BYTES + 3;
    source[damaged] = (source[damaged] as number) ^ 1;
    digests[2 * 32] = (digests[2 * 32] as number) ^ 1;
    options.aads[3 * 5] = (options.aads[3 * 5] as number) ^ 1;
    const records = spans.map((_, i) => ({
      sourceOffset: (sealed.offsets[i] as number) + HEADER_BYTES,
      payloadLength: (sealed.lengths[i] as number) - HEADER_BYTES,
      targetOffset: i * plain.length,
      plainLength: i === 4 ? plain.length - 1 : plain.length,
    }));
    const target = Buffer.alloc(plain.length * 5, 0xee);
    const { nonces, aads } = options;
    const keys = Buffer.concat(spans.map(() => key));
    const statuses = await unseal({ source, records, codecs, keys, nonces, aads, digestKey, digests, target });
    expect([...statuses]).toEqual([UNSEALED, 1, 3, 1, 2]);
    expect(target.subarray(0, plain.length).equals(plain)).toBe(true);
    expect(target.subarray(plain.length, target.length - 1).every((byte) => byte === 0)).toBe(true);
    expect(target.at(-1)).toBe(0xee);
    expect([...(await unseal({ source, records, codecs, keys, nonces, aads, digestKey, digests, target: undefined }))]).toEqual([
      ...statuses,
    ]);
  });

  it('opens records of several containers in one batch, each with its own key', async () => {
    const memory = randomBytes(3000);
    const span = { offset: 0, length: memory.length };
    const keys = [randomBytes(32), randomBytes(32)];
    const sealed = await Promise.all(
      keys.map(async (own) => {
        const options = { ...sealOptions(memory, [span]), key: own };
        return { ...options, length: (await seal(options)).lengths[0] as number };
      }),
    );
    const first = sealed[0] as (typeof sealed)[number];
    const batch = {
      source: Buffer.concat(sealed.map(({ output, length }) => output.subarray(0, length))),
      records: sealed.map(({ length }, i) => ({
        sourceOffset: i * first.length + HEADER_BYTES,
        payloadLength: length - HEADER_BYTES,
        targetOffset: i * memory.length,
        plainLength: memory.length,
      })),
      codecs: new Uint8Array([CODEC_RAW, CODEC_RAW]),
      nonces: Buffer.concat(sealed.map(({ nonces }) => nonces)),
      aads: Buffer.concat(sealed.map(({ aads }) => aads)),
      digestKey,
      digests: Buffer.concat([hmac(memory), hmac(memory)]),
      target: Buffer.alloc(2 * memory.length),
    };
    expect([...(await unseal({ ...batch, keys: Buffer.concat(keys) }))]).toEqual([UNSEALED, UNSEALED]);
    expect(batch.target.equals(Buffer.concat([memory, memory]))).toBe(true);
    expect([...(await unseal({ ...batch, keys: Buffer.concat([...keys].reverse()) }))]).toEqual([1, 1]);
  });

  it('share one output: batches at the same time leave neither gap nor overlap', async () => {
    useWorkThreads(3);
    const memory = randomBytes(64 * 1024);
    const spans = Array.from({ length: 64 }, (_, i) => ({ offset: i * 1024, length: 1 + ((i * 37) % 1024) }));
    const output = allocatePages(6 * (64 * 1024 + 64 * (HEADER_BYTES + 16)));
    expect(output.length % 4096).toBe(0);
    const cursor = Uint32Array.of(100);
    const batches = await Promise.all(Array.from({ length: 6 }, () => seal({ ...sealOptions(memory, spans), output, cursor })));
    const places = batches.flatMap(({ offsets, lengths }) => [...offsets].map((offset, i) => [offset, lengths[i] as number] as const));
    let next = 100;
    for (const [offset, length] of places.sort(([a], [b]) => a - b)) {
      expect(offset).toBe(next);
      next += length;
    }
    expect([places.length, cursor[0]]).toEqual([384, next]);
  });

  it('refuse frames that unpack to more than they say', () => {
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    cipher.final();
    expect(() => decompress(randomBytes(100), 100)).toThrow(/does not hold 100 bytes/);
  });
});

describe('wrong arguments', () => {
  const memory = Buffer.alloc(4096);
  const detached = new Uint8Array(4096);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });

  it.each([
    ['a span past the end', { offset: 4000, length: 97 }],
    ['an offset past 2^53', { offset: 2 ** 53, length: 1 }],
    ['a sum that wraps 64 bits', { offset: 2 ** 53 - 1, length: 2 ** 53 - 1 }],
    ['a negative offset', { offset: -1, length: 1 }],
    ['a fraction', { offset: 0.5, length: 1 }],
    ['not a number', { offset: Number.NaN, length: 1 }],
    ['an empty span', { offset: 0, length: 0 }],
  ])('such as %s are RangeErrors', async (_what, span) => {
    await expect(inspect(memory, [span], digestKey)).rejects.toThrow(RangeError);
    await expect(seal({ ...sealOptions(memory, []), spans: [span], output: Buffer.alloc(9999) })).rejects.toThrow(RangeError);
  });

  it('such as too little room, short keys, unknown codecs and detached memory are refused', async () => {
    const spans = [{ offset: 0, length: 4096 }];
    const good = sealOptions(memory, spans);
    await expect(seal({ ...good, output: Buffer.alloc(HEADER_BYTES + 4096 + 15) })).rejects.toThrow(/output/);
    await expect(seal({ ...good, cursor: Uint32Array.of(1) })).rejects.toThrow(/output/);
    await expect(seal({ ...good, cursor: new Uint32Array(2) })).rejects.toThrow(/cursor/);
    await expect(seal({ ...good, fields: { ...FIELDS, checksumAt: HEADER_BYTES - 3 } })).rejects.toThrow(/fields/);
    await expect(seal({ ...good, headers: Buffer.alloc(0) })).rejects.toThrow(/fields/);
    await expect(seal({ ...good, spans: [] })).rejects.toThrow(/one record/);
    expect(() => allocatePages(0)).toThrow(RangeError);
    expect(() => useWorkThreads(0)).toThrow(RangeError);
    await expect(seal({ ...good, key: Buffer.alloc(31) })).rejects.toThrow(/key/);
    await expect(seal({ ...good, nonces: Buffer.alloc(11) })).rejects.toThrow(/nonces/);
    await expect(seal({ ...good, aads: Buffer.alloc(0) })).rejects.toThrow(/aads/);
    await expect(seal({ ...good, level: 99 })).rejects.toThrow(/level/);
    await expect(seal({ ...good, memory: detached })).rejects.toThrow(RangeError);
    const records = [{ sourceOffset: 0, payloadLength: 16, targetOffset: 0, plainLength: 4096 }];
    const open = {
      source: memory,
      records,
      codecs: new Uint8Array([0]),
      keys: key,
      nonces: Buffer.alloc(12),
      aads: Buffer.alloc(4),
      digestKey,
    };
    const full = { ...open, digests: Buffer.alloc(32), target: memory };
    await expect(unseal({ ...full, codecs: new Uint8Array([2]) })).rejects.toThrow(/codec 2/);
    await expect(unseal({ ...full, keys: Buffer.alloc(64) })).rejects.toThrow(/keys must hold 1 rows of 32 bytes/);
    await expect(unseal({ ...full, target: Buffer.alloc(4095) })).rejects.toThrow(/target/);
    await expect(unseal({ ...full, records: [{ ...records[0], payloadLength: 15 } as (typeof records)[0]] })).rejects.toThrow(/16 bytes/);
    await expect(unseal({ ...full, records: [{ ...records[0], sourceOffset: 4090 } as (typeof records)[0]] })).rejects.toThrow(/source/);
  });

  it('of any type never reach the native code', () => {
    const junk = [undefined, null, 1, 'x', {}, [], new Float32Array(3), new DataView(new ArrayBuffer(8)), () => 1, Symbol('s'), 10n];
    const functions = Object.values(addon()).filter((value): value is () => unknown => typeof value === 'function');
    expect(functions.length).toBeGreaterThanOrEqual(5);
    for (const run of functions) {
      for (const value of junk) {
        const args = Array.from({ length: 10 }, () => value) as [];
        if (value === 1 && ['createSharedMemory', 'allocatePages', 'useWorkThreads'].includes(run.name)) continue;
        expect(() => run(...args)).toThrow();
      }
    }
    const table = createChunkTable(1 << 20);
    for (const value of junk) {
      expect(() => table.insert(value as never, value as never)).toThrow();
      expect(() => table.lookup(value as never)).toThrow();
      expect(() => table.remove(value as never)).toThrow();
      expect(() => table.removePacks(value as never)).toThrow();
      if (typeof value !== 'number') expect(() => table.removeTail(value as never, 0)).toThrow();
    }
    expect(() => table.insert(Buffer.alloc(64), new Uint32Array(4))).toThrow(TypeError);
    expect(() => table.insert(Buffer.alloc(32), new Uint32Array(4))).toThrow(RangeError);
  });
});
