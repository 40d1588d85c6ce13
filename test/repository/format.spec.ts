import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import * as format from '../../src/repository/format.js';
import { backUp, makeWorkspace, ORGANIZATION, pattern, CHUNK_BYTES, type Workspace } from './fixture.js';
import { IndependentReader } from './independent-reader.js';

const page = readFileSync(new URL('../../docs/repository-format.md', import.meta.url), 'utf8');
const rows = [...page.matchAll(/^\| ([A-Za-z_]+) \| `?([a-z0-9]+)`? \|/gm)].map(
  (match) => [match[1] as string, match[2] as string] as const,
);

describe('docs/repository-format.md', () => {
  it('gives the same numbers as the code', () => {
    const constants = Object.entries(format).filter(
      ([name, value]) => /^[A-Z_]+$/.test(name) && ['number', 'string'].includes(typeof value),
    );
    const documented = new Map(rows);
    expect(constants.length).toBeGreaterThan(18);
    for (const [name, value] of constants) expect([name, documented.get(name)]).toEqual([name, String(value)]);
    for (const [name, value] of Object.entries(format.RECORD_KINDS)) expect([name, documented.get(name)]).toEqual([name, String(value)]);
  });

  it('places the fields of a record and a footer where it says', () => {
    const record = Buffer.alloc(format.RECORD_HEADER_BYTES + 20, 0xab);
    const digest = Buffer.alloc(32, 0x5d);
    format.writeRecordHeader(record, 0, { kind: 4, counter: 0x01020304, plainLength: 0x0a0b0c0d, digest });
    const { codecAt, payloadLengthAt, checksumAt } = format.RECORD_HEADER_FIELDS;
    expect([codecAt, payloadLengthAt, checksumAt]).toEqual([5, 16, 20]);
    record.writeUInt8(1, codecAt);
    record.writeUInt16LE(0, 6);
    record.writeUInt32LE(20, payloadLengthAt);
    expect(record.toString('hex', 0, 20)).toBe(`${Buffer.from('vvrc').toString('hex')}04010000040302010d0c0b0a14000000`);
    expect(record.subarray(24, 56)).toEqual(digest);
    const footer = format.encodePackFooter({ entryCount: 2, trailerOffset: 0x1_0000_0001, packLength: 0x1_0000_00a1 });
    expect(footer.toString('hex', 8, 32)).toBe('0200000000000000' + '0100000001000000' + 'a100000001000000');
    expect(format.decodePackFooter(footer, 0x1_0000_00a1)).toMatchObject({ entryCount: 2, trailerOffset: 0x1_0000_0001 });
  });
});

describe('a reader written from the document alone', () => {
  let workspace: Workspace | undefined;
  afterEach(() => workspace?.remove());

  it('restores every byte of a disk', async () => {
    workspace = await makeWorkspace({ packTargetBytes: 256 * 1024 });
    const capacityBytes = 2 ** 41 + 700;
    const last = Math.floor(capacityBytes / CHUNK_BYTES);
    const chunks = new Map([0, 1, 5, 4095, 4096, 9000].map((i) => [i, pattern('disk', i)]));
    chunks.set(last, pattern('disk', last, 700));
    const { disk } = await backUp(workspace.repository, 'rp-1', chunks, { capacityBytes });

    const reader = new IndependentReader(workspace.folder, workspace.masterKey, ORGANIZATION);
    const manifest = reader.manifest('rp-1');
    expect(manifest).toMatchObject({ disks: [disk], content: { restorePointId: 'rp-1' } });
    const restored = [...reader.chunks(manifest.disks[0]?.indexId as string)];
    expect(restored.map((chunk) => chunk.offsetBytes)).toEqual([...chunks.keys()].map((i) => i * CHUNK_BYTES));
    restored.forEach((chunk, i) => {
      expect(chunk.bytes.equals([...chunks.values()][i] as Buffer)).toBe(true);
    });
  });
});
