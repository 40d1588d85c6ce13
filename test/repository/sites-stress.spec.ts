import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { FolderStore, type ManifestRef, Repository, RepositoryError, SecondSite, TwoSites } from '../../src/repository/index.js';
import { backUp, makeWorkspace, names, pattern, readChunk, type StoredDisk } from './fixture.js';

/** More with SITES_STRESS_STEPS; the seed is said when it fails. */
const STEPS = Number(process.env.SITES_STRESS_STEPS ?? 8);
const SEED = Number(process.env.SITES_STRESS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const NOW = { graceMs: 0 };

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Of another collector or copy at the same moment, or of what went meanwhile: the next try is as good. */
async function orLater(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof RepositoryError) || !/^(GC_RUNNING|GC_LOCK_LOST)$/.test(error.code)) throw error;
  });
}

it(`backups, deletions, collections, copies, damage and healing at two sites lose nothing (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  const workspace = await makeWorkspace({ packTargetBytes: 256 * 1024 });
  const folder = await mkdtemp(join(tmpdir(), 'vapp-vault-second-'));
  const points = new Map<string, { stored: StoredDisk; chunks: Map<number, Buffer> }>();
  const openSites = async () => {
    const first = await workspace.reopen();
    const options = { masterKey: workspace.masterKey, log: silentLogger, packTargetBytes: 256 * 1024 };
    const site = new SecondSite(first, options, { openStore: () => FolderStore.open(folder), keepDeletedMs: 0, log: silentLogger });
    return new TwoSites(first, site, silentLogger);
  };
  const damageFirst = async () => {
    const packs = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
    const name = packs[random(Math.max(1, packs.length))];
    if (name === undefined) return;
    const bytes = await readFile(join(workspace.folder, name));
    const at = 130 + random(Math.max(1, bytes.length - 400));
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    await writeFile(join(workspace.folder, name), bytes);
  };
  try {
    for (let step = 0; step < STEPS; step += 1) {
      // Two processes: one that backs up and collects here, one that copies and collects there.
      const here = await workspace.reopen();
      const sites = await openSites();
      const writes = async () => {
        const id = `rp-${step}`;
        const count = 4 + random(12);
        const chunks = new Map(Array.from({ length: count }, () => random(40)).map((i) => [i, pattern(`v${random(2)}`, i)]));
        const stored = await backUp(here, id, chunks);
        points.set(id, { stored, chunks });
        const victim = [...points.keys()][random(points.size)] as string;
        if (random(3) > 0 && victim !== id) {
          points.delete(victim);
          await here.deleteManifest({ ...stored.ref, restorePointId: victim } satisfies ManifestRef);
        }
        await orLater(here.collectGarbage(NOW));
      };
      const copies = async () => {
        if (random(4) > 0) await orLater(sites.secondSite.copy());
        if (random(2) > 0) await orLater(sites.collectGarbage({ ...NOW, site: 'second' }));
      };
      await Promise.all([writes(), copies()]);
      if (random(3) === 0) {
        // What has no copy yet could not be healed.
        await sites.secondSite.copy();
        await damageFirst();
        const { findings } = await (await openSites()).verify({ mode: 'full' });
        expect(findings.filter(({ kind }) => kind !== 'object')).toEqual([]);
      }
    }
    const report = await (await openSites()).secondSite.copy();
    expect(report.failed).toEqual([]);
    for (const site of ['first', 'second'] as const) {
      const repository = (await openSites()).at(site);
      for (const { stored, chunks } of points.values()) {
        await repository.readManifest(stored.ref);
        const reader = await repository.openDisk(stored.ref, stored.disk);
        for (const [chunkIndex, bytes] of chunks)
          expect((await readChunk(reader, chunkIndex)).equals(bytes), `${site} ${stored.ref.restorePointId} ${chunkIndex}`).toBe(true);
      }
    }
    const second = await Repository.open({ store: await FolderStore.open(folder), masterKey: workspace.masterKey, log: silentLogger });
    expect((await names(second.store, 'orgs/')).filter((name) => name.includes('/manifests/')).length).toBe(points.size);
  } finally {
    await workspace.remove();
    await rm(folder, { recursive: true, force: true });
  }
}, 240_000);
