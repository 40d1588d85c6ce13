import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { names, type Workspace } from './fixture.js';

/** The path of the only object of this kind: `packs`, `index`, `manifests`. */
export async function onlyFile(workspace: Workspace, part: string): Promise<string> {
  const found = (await names(workspace.store, 'orgs/')).filter((name) => name.split('/')[2] === part);
  expect(found).toHaveLength(1);
  return join(workspace.folder, found[0] as string);
}

/** Turns one bit over. */
export async function flip(path: string, at: (bytes: Buffer) => number): Promise<void> {
  const bytes = await readFile(path);
  const offset = at(bytes);
  bytes[offset] = (bytes[offset] as number) ^ 0x40;
  await writeFile(path, bytes);
}

/** Where the record of the n-th data chunk lies, from the trailer. */
export function recordOffset(pack: Buffer, n: number): number {
  return pack.readUInt32LE(Number(pack.readBigUInt64LE(pack.length - 48)) + n * 48 + 32);
}
