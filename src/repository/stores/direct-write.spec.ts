import { randomFillSync } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allocatePages } from '../../native/index.js';
import { writeDirectly } from './direct-write.js';
import { FolderStore } from './folder-store.js';

const MIB = 1024 * 1024;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-direct-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, data: Buffer, files = { open }): Promise<{ written: number; content: Buffer }> {
  const path = join(folder, name);
  await writeFile(path, '');
  return { written: await writeDirectly(files, path, data), content: await readFile(path) };
}

describe('writeDirectly', () => {
  it('writes whole blocks of aligned memory, where the file system lets it, and nothing else', async () => {
    const data = randomFillSync(allocatePages(3 * MIB)).subarray(0, 2 * MIB + 5000);
    const { written, content } = await write('aligned', data);
    expect([0, 2 * MIB + 4096]).toContain(written);
    expect(content.equals(data.subarray(0, written))).toBe(true);
  });

  it('leaves to the caller what is small', async () => {
    expect((await write('small', allocatePages(MIB).subarray(0, MIB - 1))).written).toBe(0);
  });

  it('leaves to the caller what a file system refuses, at once or later', async () => {
    const refuse = () => Promise.reject(Object.assign(new Error('invalid argument'), { code: 'EINVAL' }));
    expect((await write('refused', allocatePages(2 * MIB), { open: refuse as typeof open })).written).toBe(0);
    let writes = 0;
    const later = async (path: string, flags: number) => {
      expect(flags & constants.O_DIRECT).toBe(constants.O_DIRECT);
      const file = await open(path, constants.O_WRONLY);
      const half = (data: Buffer, offset: number, _length: number, position: number) => {
        writes += 1;
        return writes === 1 ? file.write(data, offset, MIB, position) : refuse();
      };
      return { write: half, close: () => file.close() };
    };
    const data = randomFillSync(allocatePages(2 * MIB));
    const { written, content } = await write('later', data, { open: later as unknown as typeof open });
    expect([written, content.equals(data.subarray(0, MIB))]).toEqual([MIB, true]);
  });

  it('throws what is no refusal', async () => {
    const full = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await expect(write('full', allocatePages(2 * MIB), { open: full as typeof open })).rejects.toMatchObject({ code: 'ENOSPC' });
  });
});

describe('FolderStore', () => {
  it('puts together what went past the page cache and what did not, from aligned and other memory', async () => {
    const store = await FolderStore.open(join(folder, 'store'));
    const aligned = randomFillSync(allocatePages(2 * MIB)).subarray(0, 2 * MIB - 100);
    const other = randomFillSync(Buffer.allocUnsafeSlow(2 * MIB + 1)).subarray(1);
    const tail = Buffer.from('and the trailer');
    for (const [name, head] of Object.entries({ aligned, other })) {
      await store.put(name, [head, tail], { ifAbsent: true });
      expect((await store.get(name)).equals(Buffer.concat([head, tail]))).toBe(true);
    }
    const into = allocatePages(4096);
    const part = await store.get('aligned', { offset: 2 * MIB - 200, length: 115, into });
    expect(part.buffer).toBe(into.buffer);
    expect(part.toString('latin1', 100)).toBe('and the trailer');
  });
});
