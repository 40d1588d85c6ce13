import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { Repository, StoreWrapper } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, makeWorkspace, names, ORGANIZATION, pattern, readChunk, type Workspace, writeChunks } from './fixture.js';

const NOW = { graceMs: 0 };
const DAY_MS = 24 * 3600_000;
const YEAR_MS = 366 * DAY_MS;

let workspace: Workspace;
/** A machine whose clocks a test turns. */
let wallMs: number;
let elapsedMs: number;
const time = { wallMs: () => wallMs, elapsedMs: () => elapsedMs };
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
  wallMs = Date.now();
  elapsedMs = 0;
});
afterEach(() => workspace.remove());

const open = () => Repository.open({ store: workspace.store, masterKey: workspace.masterKey, log: silentLogger, time });
const inDays = (days: number) => new Date(wallMs + days * DAY_MS);
const chunks = new Map([[0, pattern('locked', 0)]]);

describe('a restore point under lock', () => {
  it('is not removed by a deletion, a collection or a shredding before its date, and is after it', async () => {
    const repository = await open();
    const { ref, disk } = await backUp(repository, 'rp-1', chunks);
    await repository.lockRestorePoint(ref, inDays(10));
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT', subject: 'rp-1' });
    await expect(repository.shredOrganization(ORGANIZATION)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    await repository.collectGarbage(NOW);
    await repository.collectGarbage(NOW);
    expect((await readChunk(await repository.openDisk(ref, disk), 0)).equals(chunks.get(0) as Buffer)).toBe(true);
    // Ten days pass, as they do: the process lives through them.
    wallMs += 10 * DAY_MS + 1000;
    elapsedMs += 10 * DAY_MS + 1000;
    await repository.deleteManifest(ref);
    await repository.collectGarbage(NOW);
    expect((await names(workspace.store, 'orgs/')).filter((name) => /locks|manifests/.test(name))).toEqual([]);
  });

  it('is locked from the instant it exists, when it is published so', async () => {
    const repository = await open();
    const session = await repository.beginSession(ORGANIZATION, 'rp-1');
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: 4 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
    await writeChunks(writer, chunks);
    const disk = { diskId: 'd', ...(await writer.finish()) };
    const lockedUntil = inDays(5).toISOString();
    const body = { createdAt: new Date(wallMs).toISOString(), disks: [disk], documents: [], content: null, lockedUntil };
    const ref = await session.publish(body);
    expect((await repository.lockedUntil(ref))?.getTime()).toBe(Math.ceil(Date.parse(lockedUntil) / 1000) * 1000);
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    // Also when somebody took the lock's object away: the manifest says the same, and nobody can change that.
    for (const name of await names(workspace.store, 'orgs/')) if (name.includes('/locks/')) await workspace.store.delete(name);
    await expect((await open()).deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
  });

  it.each(['null', '7', '{"seen":null}', 'not JSON', ''])('stays where the clock of the repository reads %j', async (text) => {
    const { ref } = await backUp(workspace.repository, 'rp-2', new Map([[0, pattern('clock', 0)]]));
    await workspace.repository.lockRestorePoint(ref, new Date(Date.now() + 3600_000));
    await workspace.store.put('clock.json', Buffer.from(text));
    await expect((await workspace.reopen()).deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
  });

  it('can be extended, and never shortened', async () => {
    const repository = await open();
    const { ref } = await backUp(repository, 'rp-1', chunks);
    const later = await repository.lockRestorePoint(ref, inDays(20));
    expect(await repository.lockRestorePoint(ref, inDays(3))).toEqual(later);
    const latest = await repository.lockRestorePoint(ref, inDays(30));
    expect(latest > later).toBe(true);
    expect(await (await open()).lockedUntil(ref)).toEqual(latest);
    for (const bad of [new Date(Number.NaN), new Date(wallMs + 200 * YEAR_MS)])
      await expect(repository.lockRestorePoint(ref, bad)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const absent = { organizationId: ORGANIZATION, restorePointId: 'rp-9' };
    await expect(repository.lockRestorePoint(absent, inDays(1))).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
  });

  it('stays while a legal hold lasts, whatever the date', async () => {
    const repository = await open();
    const { ref } = await backUp(repository, 'rp-1', chunks);
    await repository.setLegalHold(ref, true);
    await repository.setLegalHold(ref, true);
    await repository.lockRestorePoint((await backUp(repository, 'rp-2', chunks)).ref, inDays(1));
    expect(await (await open()).heldRestorePoints(ORGANIZATION)).toEqual(['rp-1']);
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ message: /until the hold is lifted/ });
    await repository.setLegalHold(ref, false);
    expect(await repository.heldRestorePoints(ORGANIZATION)).toEqual([]);
    await repository.deleteManifest(ref);
  });

  it('outlives a clock that leaps forward, in a running service and in one that starts anew', async () => {
    const repository = await open();
    const { ref } = await backUp(repository, 'rp-1', chunks);
    await repository.lockRestorePoint(ref, inDays(2));
    wallMs += 10 * YEAR_MS;
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    elapsedMs = 500;
    const restarted = await open();
    await expect(restarted.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    // A day of service counts for two, no more: the clock catches up after a standstill.
    elapsedMs += DAY_MS - 3600_000;
    await expect(restarted.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    elapsedMs += 2 * 3600_000;
    await restarted.deleteManifest(ref);
  });

  it('is not released early by a clock that goes back and forth', async () => {
    const repository = await open();
    const { ref } = await backUp(repository, 'rp-1', chunks);
    await repository.lockRestorePoint(ref, inDays(2));
    wallMs -= 5 * DAY_MS;
    elapsedMs += 3 * DAY_MS;
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
  });
});

/** As a bucket with object lock. */
class LockingStore extends StoreWrapper {
  readonly retained = new Map<string, Date>();
  override get enforcesRetention(): boolean {
    return true;
  }
  override async retain(name: string, until: Date): Promise<void> {
    if ((await this.size(name)) === undefined) await this.get(name);
    const former = this.retained.get(name);
    if (!former || former < until) this.retained.set(name, until);
  }
}

describe('where the store enforces retention', () => {
  it('every object a locked restore point needs is held, shared packs until the latest date, and packs under lock are not rewritten', async () => {
    const store = new LockingStore(workspace.store);
    const repository = await Repository.open({ store, masterKey: workspace.masterKey, log: silentLogger, packTargetBytes: 512 * 1024 });
    const shared = new Map(Array.from({ length: 8 }, (_, i) => [i, pattern('s', i)]));
    const more = new Map(Array.from({ length: 8 }, (_, i) => [i + 8, pattern('m', i + 8)]));
    const first = await backUp(repository, 'rp-1', shared);
    const firstNames = (await names(store, '')).filter((name) => /packs|manifests|keys|repository\.json/.test(name));
    const second = await backUp(repository, 'rp-2', new Map([...shared, ...more]));
    const sooner = await repository.lockRestorePoint(first.ref, inDays(5));
    const later = await repository.lockRestorePoint(second.ref, inDays(50));
    expect(await repository.holdRestorePoint(first.ref)).toBeGreaterThan(3);
    for (const name of firstNames) expect(store.retained.get(name), name).toEqual(sooner);
    expect(await repository.holdLocked()).toMatchObject({ restorePoints: 2 });
    for (const name of firstNames) {
      // Its own manifest and index root serve nobody else.
      const own = name.includes('/manifests/');
      if (own) expect(store.retained.get(name)).toEqual(sooner);
    }
    const packs = (await names(store, 'orgs/')).filter((name) => name.includes('/packs/'));
    expect(packs.filter((name) => store.retained.get(name)?.getTime() === later.getTime()).length).toBeGreaterThan(1);
    expect(store.retained.get('repository.json')).toEqual(later);
    // Nearly all of a pack of rp-3 is dead, but what lives is under lock.
    const third = await backUp(repository, 'rp-3', new Map([[20, pattern('x', 20)], ...more]));
    await repository.deleteManifest(third.ref);
    expect(await repository.collectGarbage(NOW)).toMatchObject({ rewrittenPacks: 0 });
  });

  it('nothing is held where there is no lock, or it has ended', async () => {
    const store = new LockingStore(workspace.store);
    const repository = await Repository.open({ store, masterKey: workspace.masterKey, log: silentLogger, time });
    const { ref } = await backUp(repository, 'rp-1', chunks);
    expect(await repository.holdRestorePoint(ref)).toBe(0);
    await repository.lockRestorePoint(ref, inDays(1));
    wallMs += 2 * DAY_MS;
    elapsedMs += 2 * DAY_MS;
    expect(await repository.holdRestorePoint(ref)).toBe(0);
    expect(await repository.holdLocked()).toEqual({ restorePoints: 0, objects: 0 });
    expect(store.retained.size).toBe(0);
  });
});
