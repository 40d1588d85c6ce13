import { mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../src/common/index.js';
import {
  type BlobStore,
  FolderStore,
  ReadOnlyStore,
  Repository,
  type RollingState,
  SecondSite,
  TwoSites,
} from '../../src/repository/index.js';
import {
  CHUNK_BYTES,
  FaultyStore,
  fullStore,
  harmKeyFile,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  pattern,
  type Workspace,
  writeChunks,
  backUp,
} from './fixture.js';

const NOW = { graceMs: 0 };
/** Past the first page of an index: 4096 chunks. */
const FAR = 5000;
const CAPACITY = 6000 * CHUNK_BYTES;
const chunks = new Map([0, 1, 2, 3, FAR, FAR + 1].map((i) => [i, pattern('two', i)]));
const document = Buffer.from('the capture of a vApp');

let workspace: Workspace;
let folder: string;
let sites: TwoSites;
let ref: { organizationId: string; restorePointId: string };
let disk: { diskId: string; indexId: string; capacityBytes: number; chunkBytes: number };
let documentId: string;

beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 256 * 1024 });
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-second-'));
  const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-1');
  const writer = await session.openDisk({ diskId: 'd-1', capacityBytes: CAPACITY, chunkBytes: CHUNK_BYTES });
  documentId = await session.putDocument(document);
  // One pack each: damage to one is not damage to the others.
  for (const [i, bytes] of chunks) {
    await writeChunks(writer, new Map([[i, bytes]]));
    await session.flush();
  }
  disk = { diskId: 'd-1', ...(await writer.finish()) };
  ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [documentId], content: { n: 1 } });
  sites = await openSites();
  await sites.secondSite.copy();
});
afterEach(async () => {
  await workspace.remove();
  await rm(folder, { recursive: true, force: true });
});

/** As another process would: nothing cached. */
async function openSites(store?: BlobStore): Promise<TwoSites> {
  const first = await workspace.reopen(store);
  const options = { masterKey: workspace.masterKey, log: silentLogger };
  const openStore = () => FolderStore.open(folder);
  return new TwoSites(first, new SecondSite(first, options, { openStore, keepDeletedMs: 0, log: silentLogger }), silentLogger);
}

async function expectWhole(from: Pick<TwoSites, 'readManifest' | 'readDocument' | 'openDisk'>): Promise<void> {
  expect((await from.readManifest(ref)).content).toEqual({ n: 1 });
  expect(await from.readDocument(ref, documentId)).toEqual(document);
  const reader = await from.openDisk(ref, disk);
  const found: number[] = [];
  for await (const page of reader.dataChunks()) found.push(...page);
  expect(found).toEqual([...chunks.keys()]);
  const memory = Buffer.alloc(chunks.size * CHUNK_BYTES);
  await reader.read(
    memory,
    found.map((chunkIndex, i) => ({ chunkIndex, offset: i * CHUNK_BYTES })),
  );
  for (const [i, bytes] of [...chunks.values()].entries())
    expect(memory.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES).equals(bytes)).toBe(true);
}

async function packs(at: string): Promise<string[]> {
  const found = (await names(await FolderStore.open(at), 'orgs/')).filter((name) => name.includes('/packs/'));
  // In the order they were written: ids begin with the time.
  return found.sort((a, b) => ((a.split('/').at(-1) as string) < (b.split('/').at(-1) as string) ? -1 : 1));
}

/** The n-th pack's first record. */
async function flip(at: string, n: number): Promise<void> {
  const path = join(at, (await packs(at))[n] as string);
  const bytes = await readFile(path);
  bytes[64 + 56 + 5] = (bytes[64 + 56 + 5] as number) ^ 0x10;
  await writeFile(path, bytes);
}

const alone = async (at: string) =>
  Repository.open({ store: await FolderStore.open(at), masterKey: workspace.masterKey, log: silentLogger });

describe('reading from two sites', () => {
  it('falls over by itself while the first cannot be reached', async () => {
    await expectWhole(sites);
    await rename(workspace.folder, `${workspace.folder}-away`);
    await expectWhole(sites);
    const refs = [];
    for await (const found of sites.listManifests()) refs.push(found);
    expect(refs).toEqual([ref]);
    await expect(sites.at('first').readManifest(ref)).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE' });
    await rename(`${workspace.folder}-away`, workspace.folder);
    await expectWhole(sites);
  });

  it('falls over chunk by chunk, where each site has other ones damaged', async () => {
    await flip(workspace.folder, 1);
    await flip(folder, 3);
    const fresh = await openSites();
    await expectWhole(fresh);
    await flip(folder, 1);
    const reader = await (await openSites()).openDisk(ref, disk);
    await expect(reader.read(Buffer.alloc(CHUNK_BYTES), [{ chunkIndex: 1, offset: 0 }])).rejects.toMatchObject({
      code: expect.stringMatching(/^CHUNK_(DAMAGED|MISSING)$/),
    });
  });

  it('goes on in the middle of a disk when a page of its index is damaged at the first', async () => {
    const reader = await (await openSites()).openDisk(ref, disk);
    const pages = reader.dataChunks()[Symbol.asyncIterator]();
    expect((await pages.next()).value).toEqual([0, 1, 2, 3]);
    for (const name of await packs(workspace.folder)) await rm(join(workspace.folder, name));
    expect((await pages.next()).value).toEqual([FAR, FAR + 1]);
    expect((await pages.next()).done).toBe(true);
  });

  it('reads from the site that was chosen and no other', async () => {
    await flip(workspace.folder, 0);
    const fresh = await openSites();
    await expectWhole(fresh.at('second') as TwoSites);
    await expect(expectWhole(fresh.at('first') as TwoSites)).rejects.toMatchObject({ code: expect.stringMatching(/_DAMAGED$/) });
    expect(() => workspace.repository.at('second')).toThrow(/no second site/);
  });

  it('does not bring back what was deleted, or shredded', async () => {
    await sites.deleteManifest(ref);
    await expect(sites.readManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expectWhole(sites.at('second') as TwoSites);
    await sites.shredOrganization(ORGANIZATION);
    const fresh = await openSites();
    await expect(fresh.readManifest(ref)).rejects.toMatchObject({ code: 'ORGANIZATION_KEY_MISSING' });
    expect(await names(await FolderStore.open(folder), 'keys/')).toEqual([]);
    expect(await names(await FolderStore.open(folder), 'orgs/')).toEqual([]);
  });

  it('says so when an organization could be shredded at the first site alone, and completes it later', async () => {
    await rename(folder, `${folder}-away`);
    // A file where the folder should be: it cannot be opened.
    await writeFile(folder, '');
    const fresh = await openSites();
    await expect(fresh.shredOrganization(ORGANIZATION)).rejects.toMatchObject({ code: 'SHRED_INCOMPLETE', retryable: true });
    await rm(folder);
    await rename(`${folder}-away`, folder);
    expect(await fresh.secondSite.copy()).toMatchObject({ shreddedOrganizations: 1 });
    expect(await names(await FolderStore.open(folder), 'keys/')).toEqual([]);
  });

  it('does not shred what is locked at either site', async () => {
    await sites.lockRestorePoint(ref, new Date(Date.now() + 3600_000));
    await expect((await alone(folder)).shredOrganization(ORGANIZATION)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    for (const name of await names(workspace.store, 'orgs/')) if (name.includes('/locks/')) await workspace.store.delete(name);
    await expect(sites.shredOrganization(ORGANIZATION)).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    await expectWhole(await openSites());
  });
});

describe('healing', () => {
  const damages: [string, (at: string) => Promise<void>][] = [
    ['a chunk', (at) => flip(at, 3)],
    ['a document', (at) => flip(at, 0)],
    ['a pack that is gone', async (at) => rm(join(at, (await packs(at))[2] as string))],
    ['a pack cut short', async (at) => truncate(join(at, (await packs(at))[4] as string), 300)],
    ['pages and root', async (at) => writeFile(join(at, (await packs(at)).at(-1) as string), Buffer.alloc(500, 7))],
    ['the manifest', async (at) => writeFile(join(at, await manifestOf(at)), '')],
    ['the key', async (at) => writeFile(join(at, (await names(await FolderStore.open(at), 'keys/'))[0] as string), '{"formatVersion":1}')],
    [
      'every pack',
      async (at) => {
        for (const name of await packs(at)) await rm(join(at, name));
      },
    ],
    ['a byte of the wrapped key', (at) => harmKeyFile(at, 'wrappedKey')],
  ];
  const manifestOf = async (at: string) =>
    (await names(await FolderStore.open(at), 'orgs/')).find((name) => name.includes('/manifests/')) as string;

  it.each(damages)('stores anew %s that the first site has lost', async (_what, damage) => {
    await damage(workspace.folder);
    const report = await (await openSites()).verify({ mode: 'full' });
    expect(report.findings).toEqual([]);
    expect(report.healed.length).toBeGreaterThan(0);
    // Healed for good: alone, after the collector, and for another process.
    await rm(folder, { recursive: true });
    await expectWhole(await alone(workspace.folder));
    const first = await alone(workspace.folder);
    for (let run = 0; run < 3; run += 1) await first.collectGarbage(NOW);
    await expectWhole(await alone(workspace.folder));
    expect((await (await alone(workspace.folder)).verify({ mode: 'full' })).findings).toEqual([]);
    expect((await names(workspace.store, 'orgs/')).filter((name) => name.includes('/sessions/'))).toEqual([]);
  });

  it.each(damages)('of %s is taken in by the very process that met the damage', async (_what, damage) => {
    const running = await openSites();
    await damage(workspace.folder);
    await expectWhole(running);
    expect((await running.verify({ mode: 'full' })).findings).toEqual([]);
    await expectWhole(running.at('first') as TwoSites);
  });

  it.each(damages.slice(0, 6))('stores anew %s that the second site has lost', async (_what, damage) => {
    await damage(folder);
    const report = await (await openSites()).verify({ mode: 'full', site: 'second' });
    expect(report.findings).toEqual([]);
    expect(report.healed.length).toBeGreaterThan(0);
    await workspace.remove();
    await expectWhole(await alone(folder));
  });

  it('stores anew records that the other site has in packs of another name', async () => {
    const first = await alone(workspace.folder);
    // Two thirds of each pack of rp-2 die: its living records move, at the first site alone.
    const own = new Map(Array.from({ length: 9 }, (_, i) => [i, pattern('own', i)]));
    const kept = new Map([...own].filter(([i]) => i % 3 === 0));
    const both = await backUp(first, 'rp-2', own);
    const stays = await backUp(first, 'rp-3', kept);
    await sites.secondSite.copy();
    await first.deleteManifest(both.ref);
    for (let run = 0; run < 3; run += 1) await first.collectGarbage(NOW);
    const atSecond = new Set(await packs(folder));
    const moved = (await packs(workspace.folder)).filter((name) => !atSecond.has(name));
    expect(moved.length).toBeGreaterThan(0);
    for (const name of moved) await rm(join(workspace.folder, name));
    const { healed, findings } = await (await openSites()).verify({ mode: 'full' });
    expect(findings.filter(({ kind }) => kind !== 'object')).toEqual([]);
    expect(healed).toMatchObject([{ kind: 'disk', restorePointId: 'rp-3' }]);
    await rm(folder, { recursive: true });
    const after = await alone(workspace.folder);
    await after.collectGarbage(NOW);
    expect((await (await alone(workspace.folder)).verify({ mode: 'full' })).findings).toEqual([]);
    const reader = await after.openDisk(stays.ref, stays.disk);
    const memory = Buffer.alloc(CHUNK_BYTES);
    for (const [chunkIndex, bytes] of kept) {
      await reader.read(memory, [{ chunkIndex, offset: 0 }]);
      expect(memory.equals(bytes)).toBe(true);
    }
  });

  it('names the bytes that were healed, and those that neither site has', async () => {
    await flip(workspace.folder, 2);
    await flip(workspace.folder, 5);
    await flip(folder, 5);
    const { findings, healed } = await (await openSites()).verify({ mode: 'full' });
    expect(healed).toMatchObject([
      { kind: 'disk', restorePointId: 'rp-1', diskId: 'd-1', ranges: [{ offsetBytes: 2 * CHUNK_BYTES, lengthBytes: CHUNK_BYTES }] },
    ]);
    expect(findings).toMatchObject([{ kind: 'disk', ranges: [{ offsetBytes: (FAR + 1) * CHUNK_BYTES, lengthBytes: CHUNK_BYTES }] }]);
  });

  it('finds damage all the same while the second site cannot be reached', async () => {
    await flip(workspace.folder, 2);
    await rm(folder, { recursive: true });
    await writeFile(folder, '');
    const { findings, healed } = await (await openSites()).verify({ mode: 'full' });
    expect(healed).toEqual([]);
    expect(findings).toMatchObject([{ kind: 'disk', damagedBytes: CHUNK_BYTES }]);
  });

  it.each(damages)('names %s where the first site takes nothing, and stores it anew when it does again', async (_what, damage) => {
    await damage(workspace.folder);
    const states: RollingState[] = [];
    const onState = async (state: RollingState) => void states.push(state);
    const { findings, healed } = await (await openSites(new ReadOnlyStore(workspace.store))).verify({
      mode: 'rolling',
      rolling: { share: 1, onState },
    });
    expect(healed).toEqual([]);
    expect(findings.length).toBeGreaterThan(0);
    // It came to its end.
    expect(states.at(-1)).not.toHaveProperty('after');
    expect((await (await openSites()).verify({ mode: 'full' })).findings).toEqual([]);
    await expectWhole(await alone(workspace.folder));
  });

  it('names what has no room at the first site, and says so once', async () => {
    for (const n of [0, 2, 5]) await flip(workspace.folder, n);
    const store = new FaultyStore(workspace.store);
    store.onPut = (name) => (name.includes('/sessions/') ? fullStore(name) : undefined);
    const said: unknown[] = [];
    const log = { ...silentLogger, warn: (fields: unknown) => said.push(fields) } as unknown as Logger;
    const first = await Repository.open({ store, masterKey: workspace.masterKey, log });
    const { findings, healed } = await first.verify({ mode: 'full' }, await alone(folder));
    expect(healed).toEqual([]);
    expect(findings).toMatchObject([{ kind: 'document' }, { kind: 'disk', damagedBytes: 2 * CHUNK_BYTES }]);
    expect(said).toMatchObject([{ reason: expect.stringContaining('no space left') }]);
  });

  it('counts only what became durable', async () => {
    // The first page of the index, a chunk that it names, and a document.
    for (const n of [(await packs(workspace.folder)).length - 1, 2]) await flip(workspace.folder, n);
    const store = new FaultyStore(workspace.store);
    let written = 0;
    store.onPut = (name) => {
      if (name.includes('/packs/')) written += 1;
      return name.includes('/packs/') && written > 1 ? fullStore(name) : undefined;
    };
    const { findings, healed } = await (await openSites(store)).verify({ mode: 'full' });
    expect(healed).toMatchObject([{ kind: 'disk', ranges: [{ offsetBytes: 0, lengthBytes: 4096 * CHUNK_BYTES }] }]);
    expect(findings).toMatchObject([{ kind: 'disk', ranges: [{ offsetBytes: 2 * CHUNK_BYTES, lengthBytes: CHUNK_BYTES }] }]);
    expect((await (await openSites()).verify({ mode: 'full' })).findings).toEqual([]);
    await expectWhole(await alone(workspace.folder));
  });

  it('counts no document that did not become durable', async () => {
    await flip(workspace.folder, 0);
    const store = new FaultyStore(workspace.store);
    store.onPut = (name) => (name.includes('/packs/') ? fullStore(name) : undefined);
    const { findings, healed } = await (await openSites(store)).verify({ mode: 'full' });
    expect(healed).toEqual([]);
    expect(findings).toMatchObject([{ kind: 'document', name: documentId }]);
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('finds damage at the %s site all the same when the %s one was there and is not any more', async (site, _other) => {
    const [here, away] = site === 'first' ? [workspace.folder, folder] : [folder, workspace.folder];
    await flip(here, 2);
    await rename(away, `${away}-away`);
    try {
      const { findings, healed } = await sites.verify({ mode: 'full', site });
      expect(healed).toEqual([]);
      expect(findings).toMatchObject([{ kind: 'disk', damagedBytes: CHUNK_BYTES }]);
    } finally {
      await rename(`${away}-away`, away);
    }
    expect(await sites.verify({ mode: 'full', site })).toMatchObject({ findings: [], healed: [{ kind: 'disk' }] });
  });

  it.each([
    ['a chunk', '/sessions/'],
    ['the key', 'keys/'],
  ])('of %s ends the verification when that is cancelled', async (what, part) => {
    await damages.find(([name]) => name === what)?.[1](workspace.folder);
    const store = new FaultyStore(workspace.store);
    const cancel = new AbortController();
    store.onPut = (name) => {
      if (!name.includes(part)) return undefined;
      cancel.abort();
      return fullStore(name);
    };
    const cancelled = (await openSites(store)).verify({ mode: 'full', signal: cancel.signal });
    await expect(cancelled).rejects.toThrow();
    expect(cancel.signal.aborted).toBe(true);
  });

  it('does not mix organizations', async () => {
    const other = await backUp(workspace.repository, 'rp-1', new Map([[0, pattern('two', 0)]]), { organizationId: OTHER_ORGANIZATION });
    await flip(workspace.folder, 1);
    const { healed } = await (await openSites()).verify({ mode: 'full', organizationId: ORGANIZATION });
    expect(new Set(healed.map((finding) => finding.organizationId))).toEqual(new Set([ORGANIZATION]));
    await (await alone(workspace.folder)).openDisk(other.ref, other.disk);
  });
});
