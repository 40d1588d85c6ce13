import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ByteSource, fixedBytes, zeroBytes } from '../image/index.js';
import { contentDisposition, fileNamePart, plainName } from './file-names.js';
import { isUnchanged, requestedRange } from './http-range.js';
import { Digests, manifestFile } from './manifest-file.js';
import { tarArchive } from './tar.js';

const signal = new AbortController().signal;

async function read(source: ByteSource, start = 0, end = source.sizeBytes): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of source.read(start, end, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a range', () => {
  const file = { sizeBytes: 62 * 2 ** 40, etag: '"abc"' };
  const end = file.sizeBytes;

  it.each([
    ['bytes=0-', 0, end],
    ['bytes=0-0', 0, 1],
    ['BYTES= 10-19 ', 10, 20],
    [`bytes=${3 * 2 ** 40}-${3 * 2 ** 40 + 511}`, 3 * 2 ** 40, 3 * 2 ** 40 + 512],
    ['bytes=-512', end - 512, end],
    ['bytes=-99999999999999999999', 0, end],
    ['bytes=5-99999999999999999999', 5, end],
  ])('%s is a part', (range, startBytes, endBytes) => {
    expect(requestedRange(range, undefined, file)).toEqual({ startBytes, endBytes });
    expect(requestedRange(range, '"abc"', file)).toEqual({ startBytes, endBytes });
    expect(requestedRange(range, 'W/"abc"', file)).toBe('whole');
  });

  it.each([undefined, 'bytes=', 'bytes=-', 'bytes=5-4', 'bytes=0-1,3-4', 'bytes=a-b', 'items=0-1', 'bytes=1-2-3', 'bytes=0x1-2'])(
    '%s is ignored',
    (range) => {
      expect(requestedRange(range, undefined, file)).toBe('whole');
    },
  );

  it.each([`bytes=${end}-`, 'bytes=-0', 'bytes=99999999999999999999-'])('%s has nothing', (range) => {
    expect(requestedRange(range, undefined, file)).toBe('unsatisfiable');
  });

  it('of an empty file has nothing either', () => {
    expect(requestedRange('bytes=0-', undefined, { sizeBytes: 0, etag: '""' })).toBe('unsatisfiable');
    expect(requestedRange('bytes=-5', undefined, { sizeBytes: 0, etag: '""' })).toBe('unsatisfiable');
  });

  it('is not even asked for where nothing has changed', () => {
    expect(['"abc"', 'W/"abc"', '"x", "abc"', '*'].map((tags) => isUnchanged(tags, '"abc"'))).toEqual([true, true, true, true]);
    expect([undefined, '"x"', 'abc'].map((tags) => isUnchanged(tags, '"abc"'))).toEqual([false, false, false]);
  });
});

describe('a file name', () => {
  it.each([
    ['shop.ova', 'attachment; filename="shop.ova"'],
    ['Büro "7".raw', `attachment; filename="Buro_7_.raw"; filename*=UTF-8''B%C3%BCro%20%227%22.raw`],
    ["it's (new)*!.ova", `attachment; filename="it_s_new_.ova"; filename*=UTF-8''it%27s%20%28new%29%2A%21.ova`],
    ['店.ova', `attachment; filename="_.ova"; filename*=UTF-8''%E5%BA%97.ova`],
  ])('%s is told in a header', (name, header) => {
    expect(contentDisposition(name)).toBe(header);
  });

  it('cannot leave its folder, break a line or name nothing', () => {
    expect(fileNamePart('../../etc/passwd')).toBe('_/../etc/passwd'.replaceAll('/', '_'));
    expect(fileNamePart('a\r\nSet-Cookie: x')).toBe('a__Set-Cookie_ x');
    expect(fileNamePart('\u202egnp.exe')).toBe('_gnp.exe');
    expect(fileNamePart('  ')).toBe('unnamed');
    expect([...fileNamePart('x'.repeat(500))]).toHaveLength(50);
    expect(contentDisposition(fileNamePart('a\r\nb'))).not.toMatch(/[\r\n]/);
    expect(plainName('ä/ö')).toBe('a_o');
  });
});

describe('an archive', () => {
  const modifiedAt = new Date('2026-11-21T19:00:00Z');

  it('names files of 8 GiB and more as GNU tar does, and those below as POSIX does', async () => {
    for (const [sizeBytes, field] of [
      [8 * 2 ** 30 - 1, Buffer.from('77777777777\0')],
      [8 * 2 ** 30, Buffer.from('800000000000000200000000', 'hex')],
      [62 * 2 ** 40, Buffer.from('8000000000003e0000000000', 'hex')],
    ] as const) {
      const archive = tarArchive([{ name: 'disk.vmdk', content: zeroBytes(sizeBytes), modifiedAt }]);
      const header = await read(archive, 0, 512);
      expect(header.subarray(124, 136).equals(field)).toBe(true);
      const sum = [...header].reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
      expect(Number.parseInt(header.toString('latin1', 148, 154), 8)).toBe(sum);
      expect(header.toString('latin1', 257, 265)).toBe('ustar\x0000');
      expect(archive.sizeBytes).toBe(512 + Math.ceil(sizeBytes / 512) * 512 + 1024);
    }
  });

  it('takes no name that would not fit', () => {
    expect(() => tarArchive([{ name: 'x'.repeat(101), content: zeroBytes(1), modifiedAt }])).toThrow('is no name for a file');
  });
});

describe('a manifest', () => {
  it('has the digest of each file, read at most once', async () => {
    let reads = 0;
    const bytes = Buffer.from('some bytes of a disk');
    const content: ByteSource = {
      sizeBytes: bytes.length,
      read: (start, end, either) => {
        reads += 1;
        return fixedBytes(bytes).read(start, end, either);
      },
    };
    const digests = new Digests();
    const file = { name: 'disk.vmdk', etag: '"1"', content };
    const manifest = manifestFile([file], digests);
    const expected = `SHA256(disk.vmdk)= ${createHash('sha256').update(bytes).digest('hex')}\n`;
    expect(manifest.sizeBytes).toBe(expected.length);

    await read(digests.tee(file), 3, 5);
    expect((await read(manifest)).toString()).toBe(expected);
    expect(reads).toBe(2);
    await read(digests.tee(file));
    expect((await read(manifest, 10, 20)).toString()).toBe(expected.slice(10, 20));
    expect(reads).toBe(3);
  });
});
