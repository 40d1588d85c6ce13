import { readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BlobStore } from '../../src/repository/index.js';
import {
  backUp,
  CHUNK_BYTES,
  chunksOf,
  FaultyStore,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  writeChunks,
} from './fixture.js';
import { expectWhole, first, folder, openSecond, secondStore, siteOf, useTwoSites, workspace } from './second-site-fixture.js';

const NOW = { graceMs: 0 };

useTwoSites();

async function packNames(store: BlobStore): Promise<string[]> {
  return (await names(store, 'orgs/')).filter((name) => name.includes('/packs/'));
}

describe('copying to a second site', () => {
  it('makes it whole in itself, byte for byte, and copies only what it lacks', async () => {
    const chunks = chunksOf('a', 0, 12);
    const one = await backUp(first, 'rp-1', chunks);
    const elsewhere = await backUp(first, 'rp-9', chunks, { organizationId: OTHER_ORGANIZATION });
    const site = siteOf(first);
    const seen: string[] = [];
    const report = await site.copy({
      onProgress: (restorePointId, { doneBytes, totalBytes }) => {
        expect(doneBytes).toBeLessThanOrEqual(totalBytes);
        seen.push(restorePointId);
      },
    });
    expect(report).toMatchObject({ restorePoints: 2, failed: [], removed: [] });
    expect(report.copied.sort()).toEqual(['rp-1', 'rp-9']);
    expect(new Set(seen)).toEqual(new Set(['rp-1', 'rp-9']));
    for (const name of await packNames(workspace.store))
      expect((await readFile(join(folder, name))).equals(await readFile(join(workspace.folder, name))), name).toBe(true);
    const more = chunksOf('b', 20, 4);
    const two = await backUp(first, 'rp-2', new Map([...chunks, ...more]));
    const again = await site.copy({ ref: two.ref });
    expect(again).toMatchObject({ restorePoints: 1, copied: ['rp-2'] });
    expect(again.copiedBytes).toBeLessThan(report.copiedBytes);
    expect(await site.copy()).toMatchObject({ restorePoints: 3, copied: [], copiedPacks: 0 });
    await workspace.remove();
    const alone = await openSecond();
    await expectWhole(alone, one, chunks);
    await expectWhole(alone, two, new Map([...chunks, ...more]));
    await expectWhole(alone, elsewhere, chunks);
    expect((await alone.verify({ mode: 'full' })).findings).toEqual([]);
  });

  it('killed at any put leaves nothing visible that is not whole, and goes on from there', async () => {
    const chunks = chunksOf('k', 0, 16);
    const stored = await backUp(first, 'rp-1', chunks);
    for (let after = 0; ; after += 1) {
      expect(after).toBeLessThan(40);
      const dying = new FaultyStore(secondStore);
      dying.onPut = () => (dying.puts.length >= after ? new Error('killed') : undefined);
      const ended = await siteOf(first, dying)
        .copy()
        .then(
          () => true,
          (error: Error) => {
            expect(error.message).toBe('killed');
            return false;
          },
        );
      const there = (await names(secondStore, 'orgs/')).filter((name) => name.includes('/manifests/'));
      expect(there.length).toBe(dying.puts.some((name) => name.includes('/manifests/')) ? 1 : 0);
      for (const name of await names(secondStore, 'orgs/')) if (name.endsWith('gc/lock')) await secondStore.delete(name);
      if (ended || there.length > 0) break;
    }
    await siteOf(first).copy();
    await expectWhole(await openSecond(), stored, chunks);
  });

  it('goes on beside collections at both sites, also after what it had copied was condemned', async () => {
    const chunks = chunksOf('c', 0, 12);
    const goes = await backUp(first, 'rp-1', chunks);
    const site = siteOf(first);
    await site.copy();
    // Gone at both; condemned at the second, and then wanted again under the very same packs.
    const keeps = await backUp(first, 'rp-2', chunks);
    await first.deleteManifest(goes.ref);
    const second = await site.repository();
    await second.deleteManifest(goes.ref);
    expect((await second.collectGarbage(NOW)).condemnedPacks).toBeGreaterThan(0);
    expect(await site.copy()).toMatchObject({ copied: ['rp-2'] });
    expect((await second.collectGarbage(NOW)).rescuedPacks).toBeGreaterThan(0);
    await second.collectGarbage(NOW);
    await expectWhole(await openSecond(), keeps, chunks);
    // The first site rewrites its packs: nothing of it needs to be copied again.
    const half = new Map([...chunks].filter(([i]) => i % 2 === 0));
    const small = await backUp(first, 'rp-3', half);
    await first.deleteManifest(keeps.ref);
    await first.collectGarbage(NOW);
    await first.collectGarbage(NOW);
    const report = await site.copy();
    expect(report.copied).toEqual(['rp-3']);
    await expectWhole(await openSecond(), small, half);
  });

  it('passes no damage on, names it, and copies the others', async () => {
    const bad = await backUp(first, 'rp-1', chunksOf('bad', 0, 3));
    const [pack] = await packNames(workspace.store);
    const good = await backUp(first, 'rp-2', chunksOf('good', 8, 3));
    const path = join(workspace.folder, pack as string);
    const bytes = await readFile(path);
    bytes[200] = (bytes[200] as number) ^ 1;
    await writeFile(path, bytes);
    const report = await siteOf(await workspace.reopen()).copy();
    expect(report.copied).toEqual(['rp-2']);
    expect(report.failed).toMatchObject([{ restorePointId: bad.ref.restorePointId, reason: expect.stringMatching(/pack .* is damaged/) }]);
    await expectWhole(await openSecond(), good, chunksOf('good', 8, 3));
  });

  it('names what is no restore point among the manifests, at either site, and copies the others', async () => {
    const good = await backUp(first, 'rp-1', chunksOf('good', 0, 3));
    const [manifest] = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/manifests/'));
    await workspace.store.put(`${manifest}.bak`, Buffer.from('a copy of a person'));
    await secondStore.put(`${manifest}.old`, Buffer.from('another one'));
    const report = await siteOf(first).copy();
    expect(report).toMatchObject({ copied: ['rp-1'], departed: [], removed: [] });
    expect(report.failed).toMatchObject([{ restorePointId: 'rp-1.bak', reason: expect.stringContaining('"rp-1.bak" is not a valid') }]);
    await expectWhole(await openSecond(), good, chunksOf('good', 0, 3));
  });

  it('copies a pack again that was cut short there before the next restore point needs it', async () => {
    const chunks = chunksOf('cut', 0, 12);
    await backUp(first, 'rp-1', chunks);
    await siteOf(first).copy();
    for (const name of await packNames(secondStore)) await truncate(join(folder, name), 3 * 1024);
    const stored = await backUp(first, 'rp-2', chunks);
    expect(stored.tally.newChunks).toBe(0);
    expect(await siteOf(first).copy({ ref: stored.ref })).toMatchObject({ copied: ['rp-2'], failed: [] });
    await expectWhole(await openSecond(), stored, chunks);
  });

  it('puts back a pack that is damaged or lost there', async () => {
    const chunks = chunksOf('p', 0, 12);
    const more = chunksOf('q', 20, 4);
    const before = await backUp(first, 'rp-0', more);
    const stored = await backUp(first, 'rp-1', new Map([...chunks, ...more]));
    await siteOf(first).copy();
    const [damaged, lost] = await packNames(secondStore);
    const bytes = await readFile(join(folder, damaged as string));
    bytes.fill(0xff, 100, 1000);
    await writeFile(join(folder, damaged as string), bytes);
    await rm(join(folder, lost as string));
    const second = await openSecond();
    expect((await second.verify({ mode: 'full' })).findings.length).toBeGreaterThan(0);
    await second.deleteManifest(stored.ref);
    await second.deleteManifest(before.ref);
    expect(await siteOf(first).copy()).toMatchObject({ copied: ['rp-0', 'rp-1'] });
    const after = await openSecond();
    expect((await after.verify({ mode: 'full' })).findings).toEqual([]);
    await expectWhole(after, stored, chunks);
  });

  it('refuses a place that holds another repository', async () => {
    const other = await makeWorkspace();
    await expect(siteOf(first, other.store).copy()).rejects.toMatchObject({ code: 'SITE_FOREIGN' });
    await other.remove();
  });
});

describe('what is deleted at the first site', () => {
  it('stays at the second for its time, then goes, unless it is locked', async () => {
    const chunks = chunksOf('d', 0, 4);
    const goes = await backUp(first, 'rp-1', chunks);
    const locked = await backUp(first, 'rp-2', chunksOf('l', 8, 2));
    await first.lockRestorePoint(locked.ref, new Date(Date.now() + 3600_000));
    const keeping = siteOf(first, secondStore, 24 * 3600_000);
    await keeping.copy();
    await first.deleteManifest(goes.ref);
    // The lock travelled with its restore point; at the first site somebody breaks it by hand.
    for (const name of await names(workspace.store, 'orgs/')) if (name.endsWith('manifests/rp-2')) await workspace.store.delete(name);
    expect(await keeping.copy()).toMatchObject({ departed: ['rp-1', 'rp-2'], removed: [] });
    await expectWhole(await openSecond(), goes, chunks);
    for (const name of await names(secondStore, 'orgs/')) if (name.includes('/departed/')) await utimes(join(folder, name), 0, 0);
    expect(await keeping.copy()).toMatchObject({ departed: ['rp-2'], removed: ['rp-1'] });
    await expect((await openSecond()).readManifest(goes.ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expectWhole(await openSecond(), locked, chunksOf('l', 8, 2));
  });

  it('stays as long as it was published to, also when somebody took the objects of its lock away', async () => {
    const session = await first.beginSession(ORGANIZATION, 'rp-1');
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: 4 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
    await writeChunks(writer, chunksOf('p', 0, 1));
    const disks = [{ diskId: 'd', ...(await writer.finish()) }];
    const lockedUntil = new Date(Date.now() + 3600_000).toISOString();
    await session.publish({ createdAt: new Date().toISOString(), disks, documents: [], content: null, lockedUntil });
    await siteOf(first).copy();
    for (const store of [workspace.store, secondStore])
      for (const name of await names(store, 'orgs/')) if (/\/(locks)\//.test(name)) await store.delete(name);
    for (const name of await names(workspace.store, 'orgs/')) if (name.includes('/manifests/')) await workspace.store.delete(name);
    expect(await siteOf(first).copy()).toMatchObject({ departed: ['rp-1'], removed: [] });
  });
});
