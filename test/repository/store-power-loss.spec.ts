import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { FolderStore, Repository } from '../../src/repository/index.js';
import { FaultStore } from './fault-store.js';
import { backUp, CHUNK_BYTES, pattern, readChunk } from './fixture.js';
import { VolatileFiles } from './volatile-files.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-power-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Two processes that write, replace and delete in folders that are new to both. */
async function busyHour(disk: VolatileFiles): Promise<void> {
  const root = join(folder, 'new', 'repository');
  const stores = await Promise.all([FolderStore.open(root, disk.files), FolderStore.open(root, disk.files)]);
  const at = (name: string) => `new/repository/${name}`;
  const work = async (store: FolderStore, who: number) => {
    for (let i = 0; i < 4; i += 1) {
      const data = randomBytes(300 + i);
      const name = `orgs/a/packs/0${i}/${who}`;
      await store.put(name, [data.subarray(0, 100), data.subarray(100)], { ifAbsent: true });
      disk.promised(at(name), data);
      const shared = `keys/${i}.json`;
      const mine = Buffer.from(`key ${i} of ${who}`);
      // Whoever loses relies on what is there.
      await store.put(shared, mine, { ifAbsent: true }).catch(() => undefined);
      disk.promised(at(shared), await store.get(shared));
      if (i > 0) {
        await store.put(`state/${who}`, data);
        disk.promised(at(`state/${who}`), data);
      }
      if (i === 2) {
        await store.delete(`orgs/a/packs/00/${who}`);
        disk.promised(at(`orgs/a/packs/00/${who}`), undefined);
      }
    }
  };
  await Promise.all(stores.map((store, who) => work(store, who)));
}

describe('the folder, when the power fails after any single step', () => {
  it('has what it said it had, and no name with half of its bytes', async () => {
    const disk = new VolatileFiles(folder);
    await busyHour(disk);
    const contents = new Set(disk.after(disk.steps.length, 'all').promised.values());
    for (const step of disk.steps) if (step.kind === 'promise') contents.add(step.data);
    expect(disk.steps.length).toBeGreaterThan(100);
    for (let count = 0; count <= disk.steps.length; count += 1) {
      for (const names of ['synced', 'all'] as const) {
        const { survivors, promised } = disk.after(count, names);
        for (const [name, data] of survivors) {
          if (name.includes('/.tmp/')) continue;
          const whole = [...contents].some((content) => content?.equals(data));
          expect(whole, `after step ${count} (${names}), ${name} has ${data.length} bytes nobody wrote`).toBe(true);
        }
        for (const [name, data] of promised) {
          // A later write or deletion of the same name may already be on the disk, or not.
          if (name.includes('state/') || name.includes('/00/')) continue;
          expect(survivors.get(name)?.equals(data as Buffer), `after step ${count} (${names}), ${name} is lost`).toBe(true);
        }
      }
    }
    const { survivors, promised } = disk.after(disk.steps.length, 'synced');
    for (const [name, data] of promised) expect(survivors.get(name), name).toEqual(data);
  });
});

describe('the folder, told that an object need not be durable', () => {
  it('syncs neither it nor its name, and loses nothing else for it', async () => {
    const disk = new VolatileFiles(folder);
    const store = await FolderStore.open(join(folder, 'r'), disk.files);
    await store.put('sessions/one', Buffer.from('1'));
    const before = disk.steps.length;
    await store.put('sessions/two', Buffer.from('2'), { ifAbsent: true, durable: false });
    await store.put('sessions/two', Buffer.from('two'), { durable: false });
    expect(disk.steps.slice(before).map(({ kind }) => kind)).toEqual(['create', 'write', 'link', 'unlink', 'create', 'write', 'rename']);
    const { survivors } = disk.after(disk.steps.length, 'synced');
    expect(survivors.get('r/sessions/one')?.toString()).toBe('1');
    expect(survivors.get('r/sessions/two')).toBeUndefined();
  });
});

describe('the folder, when another process is stuck before a sync', () => {
  /** Two processes, the first of them stuck; `reached` is what it does last before. */
  async function beside(
    stuckAt: string,
    reached: string,
    work: (first: FolderStore, second: FolderStore) => [Promise<unknown>, () => Promise<unknown>],
  ) {
    const disk = new VolatileFiles(folder);
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const second = await FolderStore.open(join(folder, 'r'), disk.files);
    const files = { ...disk.files };
    const first = await FolderStore.open(join(folder, 'r'), files);
    Object.assign(files, disk.stuckBefore(stuckAt, gate));
    const opened = disk.steps.length;
    const [stuck, then] = work(first, second);
    await vi.waitFor(() => expect(disk.steps.slice(opened).some((step) => step.kind === reached)).toBe(true), { timeout: 20_000 });
    await then();
    const { survivors } = disk.after(disk.steps.length, 'synced');
    open();
    await stuck;
    return survivors;
  }

  it('makes durable the folder that the other had only made', async () => {
    const survivors = await beside('r', 'mkdir', (first, second) => [
      first.put('k/one', Buffer.from('1')),
      () => second.put('k/two', Buffer.from('2')),
    ]);
    expect(survivors.get('r/k/two')?.toString()).toBe('2');
  });

  it('makes durable the name that it says exists', async () => {
    const survivors = await beside('r/k', 'link', (first, second) => [
      first.put('k/one', Buffer.from('1'), { ifAbsent: true }),
      () => expect(second.put('k/one', Buffer.from('2'), { ifAbsent: true })).rejects.toMatchObject({ code: 'BLOB_EXISTS' }),
    ]);
    expect(survivors.get('r/k/one')?.toString()).toBe('1');
  });
});

describe('a repository on a store that loses what it had not written', () => {
  const chunks = new Map(Array.from({ length: 24 }, (_, i) => [i, pattern('power', i)]));

  it('shows whole restore points only, whichever writes survive, as far as the order of durability was kept', async () => {
    const masterKey = randomBytes(32);
    const plain = await FolderStore.open(folder);
    const store = new FaultStore(plain);
    const options = { masterKey, log: silentLogger, packTargetBytes: 256 * 1024 };
    const repository = await Repository.create({ store, chunkBytes: CHUNK_BYTES, ...options });
    const first = await backUp(repository, 'rp-1', chunks);
    // The power fails at each put of a second one in turn, before or after it reached the disk.
    for (let failing = 1; ; failing += 1) {
      const dying = new FaultStore(plain);
      let puts = 0;
      dying.fault = (operation) => {
        if (operation !== 'put') return undefined;
        puts += 1;
        if (puts < failing) return undefined;
        return puts === failing && failing % 2 === 0 ? { lostAnswer: true } : { fail: 'unreachable' };
      };
      const worker = await Repository.open({ store: dying, ...options });
      const changed = new Map([...chunks, [30, pattern(`new ${failing}`, 1)]]);
      const outcome = await backUp(worker, `rp-2-${failing}`, changed).catch(() => undefined);
      const after = await Repository.open({ store: await FolderStore.open(folder), ...options });
      const points: string[] = [];
      for await (const ref of after.listManifests()) {
        points.push(ref.restorePointId);
        const manifest = await after.readManifest(ref);
        const disk = manifest.disks[0] as (typeof manifest.disks)[number];
        const reader = await after.openDisk(ref, disk);
        for await (const page of reader.dataChunks()) for (const index of page) await readChunk(reader, index);
      }
      expect(points).toContain(first.ref.restorePointId);
      if (outcome) {
        expect(points).toContain(outcome.ref.restorePointId);
        expect(puts).toBeLessThan(failing);
        break;
      }
      expect(failing).toBeLessThan(40);
    }
  });

  it('notices a store that lies about durability: what is missing is named, and no other bytes come out', async () => {
    const plain = await FolderStore.open(folder);
    const store = new FaultStore(plain);
    const options = { masterKey: randomBytes(32), log: silentLogger, packTargetBytes: 256 * 1024 };
    const repository = await Repository.create({ store, chunkBytes: CHUNK_BYTES, ...options });
    await backUp(repository, 'rp-0', new Map([[0, pattern('first', 0)]]));
    store.cacheWrites();
    const { ref, disk } = await backUp(repository, 'rp-1', chunks);
    await store.losePower((name) => !name.includes('/packs/'));
    const after = await Repository.open({ store: plain, ...options });
    const read = async () => readChunk(await after.openDisk(ref, disk), 3);
    await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^(INDEX|CHUNK)_(MISSING|DAMAGED)$/) });
  });
});
