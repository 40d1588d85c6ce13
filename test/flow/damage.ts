import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';

/** Flips one byte in every 64 KiB of every pack: whatever chunk is read first is damaged. @returns the undo. */
export async function damageEveryPack(repositoryDir: string): Promise<() => Promise<void>> {
  const originals = new Map<string, Buffer>();
  for (const entry of await readdir(repositoryDir, { recursive: true })) {
    const path = join(repositoryDir, entry);
    if (!/(^|\/)packs\//.test(entry) || !(await stat(path)).isFile()) continue;
    const data = await readFile(path);
    originals.set(path, Buffer.from(data));
    for (let at = 4096; at < data.length; at += 65536) data[at] = (data[at] as number) ^ 0xff;
    await writeFile(path, data);
  }
  expect(originals.size).toBeGreaterThan(0);
  return async () => {
    for (const [path, data] of originals) await writeFile(path, data);
  };
}
