import { chmod, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { flip, onlyFile, recordOffset } from './damage.js';
import { FaultStore } from './fault-store.js';
import { backUp, CHUNK_BYTES, makeWorkspace, names, ORGANIZATION, pattern, readChunk, type StoredDisk, type Workspace } from './fixture.js';

const chunks = new Map(Array.from({ length: 24 }, (_, i) => [i, pattern('damage', i)]));

let workspace: Workspace;
let stored: StoredDisk;
beforeEach(async () => {
  workspace = await makeWorkspace();
  stored = await backUp(workspace.repository, 'rp-1', chunks);
});
afterEach(() => workspace.remove());

const only = (part: string) => onlyFile(workspace, part);

async function outcomes(workspaceNow = workspace): Promise<string[]> {
  const reader = await (await workspaceNow.reopen()).openDisk(stored.ref, stored.disk);
  const codes: string[] = [];
  for (const [chunkIndex, bytes] of chunks) {
    const outcome = await readChunk(reader, chunkIndex).catch((error: { code: string }) => error.code);
    codes.push(typeof outcome === 'string' ? outcome : outcome.equals(bytes) ? 'good' : 'WRONG BYTES');
  }
  return codes;
}

describe('damage in the repository', () => {
  it.each([
    ['the ciphertext', 60],
    ['the stored id', 30],
    ['the counter', 8],
    ['the plain length', 12],
    ['the codec', 5],
    ['the magic', 0],
  ])('of one byte in %s costs that chunk and nothing else, and the next backup mends it', async (_what, field) => {
    const pack = await only('packs');
    let damagedIndex = -1;
    await flip(pack, (bytes) => {
      const at = recordOffset(bytes, 7);
      const id = bytes.subarray(at + 24, at + 56);
      expect(id).toHaveLength(32);
      return at + field;
    });
    const codes = await outcomes();
    damagedIndex = codes.indexOf('CHUNK_DAMAGED');
    expect(codes.filter((code) => code !== 'good')).toEqual(['CHUNK_DAMAGED']);

    const repository = await workspace.reopen();
    const reader = await repository.openDisk(stored.ref, stored.disk);
    await expect(readChunk(reader, damagedIndex)).rejects.toThrow(`chunk ${damagedIndex} of disk "disk-2000"`);
    const again = await backUp(repository, 'rp-2', chunks);
    expect(again.tally).toMatchObject({ newChunks: 1, knownChunks: 23 });
    expect(await outcomes()).toEqual(codes.map(() => 'good'));
  });

  it('leaves no unverified byte behind when one of many chunks fails', async () => {
    await flip(await only('packs'), (bytes) => recordOffset(bytes, 3) + 60);
    const reader = await (await workspace.reopen()).openDisk(stored.ref, stored.disk);
    const memory = Buffer.alloc(24 * CHUNK_BYTES, 0xee);
    const all = [...chunks.keys()].map((chunkIndex) => ({ chunkIndex, offset: chunkIndex * CHUNK_BYTES }));
    await expect(reader.read(memory, all)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED', details: { damagedRecords: 1 } });
  });

  it('by a pack cut short costs what lay past the cut, and the next backup stores just that', async () => {
    const pack = await only('packs');
    const bytes = await readFile(pack);
    await truncate(pack, recordOffset(bytes, 20) + 100);
    const repository = await workspace.reopen();
    // Pages and root lie at the pack's end, so the disk cannot be opened; its error says so.
    await expect(repository.openDisk(stored.ref, stored.disk)).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
    const again = await backUp(repository, 'rp-2', chunks);
    expect(again.disk.indexId).toBe(stored.disk.indexId);
    const codes = await outcomes();
    expect(codes).toEqual(codes.map(() => 'good'));
    expect(again.tally).toMatchObject({ knownChunks: 20, newChunks: 4 });
  });

  it('by a missing pack names the pack', async () => {
    const pack = await only('packs');
    await rm(pack);
    const repository = await workspace.reopen();
    await expect(repository.openDisk(stored.ref, stored.disk)).rejects.toThrow(new RegExp(`pack ${pack.slice(-36)}: the pack is missing`));
    expect((await backUp(repository, 'rp-2', chunks)).tally).toMatchObject({ newChunks: 24 });
    expect(new Set(await outcomes())).toEqual(new Set(['good']));
  });

  it.each([
    ['missing', 'index', (path: string) => rm(path)],
    ['cut short', 'index', async (path: string) => truncate(path, (await readFile(path)).length >> 1)],
    ['overwritten', 'index', (path: string) => writeFile(path, Buffer.alloc(9000, 7))],
    ['overwritten, and named by no segment', 'no index', (path: string) => writeFile(path, Buffer.alloc(9000, 7))],
  ])(
    'by a pack that is %s ends, for a running process too, when the pack is put back and its notes are deleted',
    async (_what, index, harm) => {
      const pack = await only('packs');
      const bytes = await readFile(pack);
      if (index === 'no index') await rm(await only('index'));
      const repository = await workspace.reopen();
      await harm(pack);
      await expect(repository.openDisk(stored.ref, stored.disk)).rejects.toMatchObject({ code: expect.stringMatching(/^INDEX_/) });
      await writeFile(pack, bytes);
      for (const name of await names(workspace.store, 'orgs/')) if (name.includes('/bad/')) await workspace.store.delete(name);
      const reader = await repository.openDisk(stored.ref, stored.disk);
      for (const [chunkIndex, expected] of chunks) expect((await readChunk(reader, chunkIndex)).equals(expected)).toBe(true);
    },
  );

  it('by a missing or damaged index segment costs nothing: trailers say the same', async () => {
    const segment = await only('index');
    await flip(segment, (bytes) => bytes.length - 20);
    expect(new Set(await outcomes())).toEqual(new Set(['good']));
    await rm(segment);
    expect(new Set(await outcomes())).toEqual(new Set(['good']));
    const again = await backUp(await workspace.reopen(), 'rp-2', chunks);
    expect(again.tally).toMatchObject({ newChunks: 0, knownChunks: 24 });
  });

  it('by a forged trailer is not believed', async () => {
    await rm(await only('index'));
    const pack = await only('packs');
    await flip(pack, (bytes) => Number(bytes.readBigUInt64LE(bytes.length - 48)) + 5);
    await expect((await workspace.reopen()).openDisk(stored.ref, stored.disk)).rejects.toMatchObject({ code: 'INDEX_MISSING' });
  });

  it.each(['header', 'payload', 'end'])('in the %s of a manifest names the restore point', async (part) => {
    const manifest = await only('manifests');
    if (part === 'end') await truncate(manifest, 90);
    else await flip(manifest, (bytes) => (part === 'header' ? 40 : bytes.length - 1));
    await expect((await workspace.reopen()).readManifest(stored.ref)).rejects.toMatchObject({ code: 'MANIFEST_DAMAGED', subject: 'rp-1' });
  });

  it('cannot pass one manifest off as another', async () => {
    const manifest = await only('manifests');
    await rename(manifest, manifest.replace('rp-1', 'rp-9'));
    await expect(workspace.repository.readManifest({ organizationId: ORGANIZATION, restorePointId: 'rp-9' })).rejects.toMatchObject({
      code: 'MANIFEST_DAMAGED',
    });
  });

  it('of an organization key is told from its absence', async () => {
    const [key] = await names(workspace.store, 'keys/');
    const path = join(workspace.folder, key as string);
    const text = await readFile(path, 'utf8');
    const file = JSON.parse(text);
    file.wrappedKey.ciphertext = Buffer.alloc(32, 9).toString('base64');
    await chmod(path, 0o600);
    await writeFile(path, JSON.stringify(file));
    await expect((await workspace.reopen()).readManifest(stored.ref)).rejects.toMatchObject({ code: 'ORGANIZATION_KEY_DAMAGED' });
    await rm(path);
    await expect((await workspace.reopen()).readManifest(stored.ref)).rejects.toMatchObject({ code: 'ORGANIZATION_KEY_MISSING' });
  });

  it('is not what an answer that was cut short on its way is taken for', async () => {
    const torn = new FaultStore(workspace.store);
    const reader = await (await workspace.reopen(torn)).openDisk(stored.ref, stored.disk);
    torn.fault = (operation, name) => (operation === 'get' && name.includes('/packs/') ? { tornAtByte: 10 } : undefined);
    await expect(readChunk(reader, 1)).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', retryable: true });
    torn.fault = () => undefined;
    expect((await readChunk(reader, 1)).equals(pattern('damage', 1))).toBe(true);
    expect(await names(workspace.store, 'orgs/')).not.toContainEqual(expect.stringContaining('/bad/'));
  });

  it('is not what an unmounted folder is taken for', async () => {
    const repository = await workspace.reopen();
    const reader = await repository.openDisk(stored.ref, stored.disk);
    await readChunk(reader, 0);
    await rename(workspace.folder, `${workspace.folder}-away`);
    await expect(readChunk(reader, 1)).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE', retryable: true });
    await rename(`${workspace.folder}-away`, workspace.folder);
    expect((await readChunk(reader, 1)).equals(pattern('damage', 1))).toBe(true);
    expect(await names(workspace.store, `orgs/`)).not.toEqual(expect.arrayContaining([expect.stringContaining('/bad/')]));
  });
});
