/**
 * A small repository with one of everything, ways to harm each object of it, and everything that is ever done with a repository, done
 * with the harmed one.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, silentLogger, VaultError } from '../../src/common/index.js';
import { extractDisk, type ManifestRef, Repository } from '../../src/repository/index.js';
import { ENTRY_BYTES, organizationFolder, readEntry, RECORD_KIND_NAMES, type RecordKind } from '../../src/repository/format.js';
import { ORGANIZATION, OTHER_ORGANIZATION } from './fixture.js';
import { MemoryStore } from './memory-store.js';

export const SMALL_CHUNK_BYTES = 4096;
const CHUNKS = 14;
const CAPACITY_BYTES = 20 * SMALL_CHUNK_BYTES - 512;
const DISK = 'disk-2000';
const POINTS: readonly ManifestRef[] = [
  { organizationId: ORGANIZATION, restorePointId: 'rp-1' },
  { organizationId: ORGANIZATION, restorePointId: 'rp-2' },
  { organizationId: OTHER_ORGANIZATION, restorePointId: 'rp-other' },
];

/** Incompressible, so that packs hold what they seem to. */
function chunkOf(seed: string, index: number): Buffer {
  const blocks = Array.from({ length: SMALL_CHUNK_BYTES / 64 }, (_, i) => createHash('sha512').update(`${seed} ${index} ${i}`).digest());
  return Buffer.concat(blocks);
}

/** Of a disk; `changed` chunks are others than those of the same seed. */
export function imageOf(seed: string, changed: readonly number[] = []): Buffer {
  const image = Buffer.alloc(CAPACITY_BYTES);
  for (let i = 0; i < CHUNKS; i += 1) chunkOf(changed.includes(i) ? `${seed} changed` : seed, i).copy(image, i * SMALL_CHUNK_BYTES);
  return image;
}

const IMAGES: ReadonlyMap<string, Buffer> = new Map([
  ['rp-1', imageOf('one')],
  ['rp-2', imageOf('one', [3, 9])],
  ['rp-other', imageOf('other')],
]);

export interface Scene {
  store: MemoryStore;
  masterKey: Buffer;
  /** Of another repository with the same organizations and restore points. */
  foreign: MemoryStore;
}

export async function openRepository(store: MemoryStore, masterKey: Buffer): Promise<Repository> {
  return Repository.open({ store, masterKey, log: silentLogger, packTargetBytes: 24 * 1024 });
}

export async function makeScene(): Promise<Scene> {
  const masterKey = randomBytes(32);
  return { masterKey, store: await makeStore(masterKey), foreign: await makeStore(randomBytes(32)) };
}

async function makeStore(masterKey: Buffer): Promise<MemoryStore> {
  const store = new MemoryStore();
  const options = { store, masterKey, log: silentLogger, packTargetBytes: 24 * 1024, chunkBytes: SMALL_CHUNK_BYTES };
  const repository = await Repository.create(options);
  await backUpImage(repository, ORGANIZATION, 'rp-gone', imageOf('gone'));
  await repository.deleteManifest({ organizationId: ORGANIZATION, restorePointId: 'rp-gone' });
  // Its packs are condemned, and still there.
  await repository.collectGarbage({ graceMs: 0 });
  await backUpImage(repository, ORGANIZATION, 'rp-1', IMAGES.get('rp-1') as Buffer);
  await backUpImage(repository, ORGANIZATION, 'rp-2', IMAGES.get('rp-2') as Buffer);
  await backUpImage(repository, OTHER_ORGANIZATION, 'rp-other', IMAGES.get('rp-other') as Buffer);
  const open = await repository.beginSession(ORGANIZATION, 'rp-open');
  await open.putDocument(Buffer.from('of a restore point in the making'));
  await open.flush();
  return store;
}

export async function backUpImage(repository: Repository, organizationId: string, restorePointId: string, image: Buffer): Promise<void> {
  const session = await repository.beginSession(organizationId, restorePointId);
  const writer = await session.openDisk({ diskId: DISK, capacityBytes: image.length, chunkBytes: SMALL_CHUNK_BYTES });
  const chunks = Array.from({ length: CHUNKS }, (_, i) => ({ chunkIndex: i, offset: i * SMALL_CHUNK_BYTES, length: SMALL_CHUNK_BYTES }));
  await writer.write(image, chunks);
  const disks = [{ diskId: DISK, ...(await writer.finish()) }];
  const documents = [await session.putDocument(Buffer.from(`document of ${restorePointId}`))];
  await session.publish({ createdAt: '2026-01-01T00:00:00.000Z', disks, documents, content: null });
}

/** Objects of ORGANIZATION (or of the whole repository) of one kind, by name. */
export function namesOf(store: MemoryStore, part: string, organizationId = ORGANIZATION): string[] {
  const prefix = `orgs/${organizationFolder(organizationId)}/${part}/`;
  return [...store.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
}

export function bytesOf(store: MemoryStore, name: string): Buffer {
  return (store.objects.get(name) as { data: Buffer }).data;
}

export function setBytes(store: MemoryStore, name: string, data: Buffer): void {
  store.objects.set(name, { data, modifiedAt: store.objects.get(name)?.modifiedAt ?? new Date() });
}

/** Those of the deleted restore point, which are to be deleted. */
export function condemnedPacks(store: MemoryStore): string[] {
  const list = bytesOf(store, namesOf(store, 'condemned')[0] as string).toString('utf8');
  const { packs } = JSON.parse(list) as { packs: string[] };
  return namesOf(store, 'packs').filter((name) => packs.includes(name.slice(-36)));
}

/** Where the first record of a kind lies, in the packs that `rp-1` needs. */
export function recordOf(store: MemoryStore, kind: RecordKind): { pack: string; offset: number; length: number } {
  const condemned = condemnedPacks(store);
  const packs = namesOf(store, 'packs').filter((name) => !condemned.includes(name));
  // Ids ascend with time: before those of the open session.
  packs.sort((one, other) => (one.slice(-36) < other.slice(-36) ? -1 : 1));
  for (const pack of packs) {
    const bytes = bytesOf(store, pack);
    const trailer = Number(bytes.readBigUInt64LE(bytes.length - 48));
    for (let at = trailer; at < bytes.length - 64; at += ENTRY_BYTES) {
      const entry = readEntry(bytes, at);
      if (RECORD_KIND_NAMES.get(entry.kind) === kind) return { pack, offset: entry.offset, length: entry.length };
    }
  }
  throw new Error(`There is no ${kind} record`);
}

/** What came of one thing that was tried: `ok`, or the code of the one clear error. */
export type Outcome = string;

export interface Examination {
  open: Outcome;
  /** Of each restore point: `ok`, or the codes of what does not read, and never another byte. */
  restore: Record<string, Outcome>;
  /** Of rp-1. */
  extract: Outcome;
  /** What verify names: objects, restore points; joined by commas. */
  verify: string;
  gc: Outcome;
  /** Codes of the next backup and of its restore. */
  backup: Outcome;
}

/** Everything that is done with a repository, each on a copy of its own. @throws Error for a broken promise. */
export async function examine(harmed: MemoryStore, masterKey: Buffer): Promise<Examination> {
  const open = await outcome(() => openRepository(harmed.copy(), masterKey));
  const before = await restoreAll(harmed.copy(), masterKey);
  const collected = harmed.copy();
  const gc = await outcome(async () => {
    for (let run = 0; run < 2; run += 1) await (await openRepository(collected, masterKey)).collectGarbage({ graceMs: 0 });
  });
  const after = await restoreAll(collected, masterKey);
  for (const [place, was] of Object.entries(before.chunks))
    if (was === 'ok' && after.chunks[place] !== 'ok') throw new Error(`gc took ${place} away: ${after.chunks[place]}`);
  const backedUp = harmed.copy();
  const backup = await outcome(async () => {
    const image = imageOf('one', [5]);
    const repository = await openRepository(backedUp, masterKey);
    await backUpImage(repository, ORGANIZATION, 'rp-next', image);
    const ref = { organizationId: ORGANIZATION, restorePointId: 'rp-next' };
    await expectImage(await openRepository(backedUp, masterKey), ref, image);
  });
  const point = POINTS[0] as ManifestRef;
  const extract = await outcome(() => extractOne(harmed.copy(), masterKey, point));
  return { open, restore: before.points, extract, verify: await verifyAll(harmed.copy(), masterKey), gc, backup };
}

async function outcome(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

/** @throws Error when it is none of ours, or says nothing to a person. */
export function codeOf(error: unknown): string {
  if (!(error instanceof VaultError)) throw new Error(`a crash instead of an error: ${(error as Error).stack}`);
  const sentence = /^[A-Z"].{20,}[^\n]*$/.test(error.message) && !/undefined|\[object|NaN/.test(error.message);
  if (!sentence) throw new Error(`not one clear sentence: ${error.message}`);
  return error.code;
}

/** Also what each chunk says. @throws Error for a wrong byte, or anything but one clear error. */
export async function restoreAll(
  store: MemoryStore,
  masterKey: Buffer,
): Promise<{ points: Record<string, Outcome>; chunks: Record<string, Outcome> }> {
  const points: Record<string, Outcome> = {};
  const chunks: Record<string, Outcome> = {};
  for (const ref of POINTS) {
    const expected = IMAGES.get(ref.restorePointId) as Buffer;
    const codes = new Set<string>();
    const failed = await outcome(async () => {
      const repository = await openRepository(store, masterKey);
      const manifest = await repository.readManifest(ref);
      for (const id of manifest.documents) {
        const code = await outcome(async () =>
          expectBytes(await repository.readDocument(ref, id), Buffer.from(`document of ${ref.restorePointId}`)),
        );
        if (code !== 'ok') codes.add(code);
      }
      const disk = await repository.openDisk(ref, manifest.disks[0] as (typeof manifest.disks)[number]);
      const read = (wanted: readonly number[]) =>
        outcome(async () => {
          const memory = Buffer.alloc(wanted.length * SMALL_CHUNK_BYTES, 0xee);
          await disk.read(
            memory,
            wanted.map((chunkIndex, i) => ({ chunkIndex, offset: i * SMALL_CHUNK_BYTES })),
          );
          expectBytes(memory, Buffer.concat(wanted.map((i) => expected.subarray(i * SMALL_CHUNK_BYTES, (i + 1) * SMALL_CHUNK_BYTES))));
        });
      const all = Array.from({ length: CHUNKS }, (_, i) => i);
      const whole = await read(all);
      for (const i of all) {
        const code = whole === 'ok' ? 'ok' : await read([i]);
        chunks[`chunk ${i} of ${ref.restorePointId}`] = code;
        if (code !== 'ok') codes.add(code);
      }
    });
    if (failed !== 'ok') codes.add(failed);
    points[ref.restorePointId] = codes.size === 0 ? 'ok' : [...codes].sort().join(' ');
  }
  return { points, chunks };
}

function expectBytes(actual: Buffer, expected: Buffer): void {
  if (!actual.equals(expected)) throw new Error('WRONG BYTES were delivered');
}

export async function expectImage(repository: Repository, ref: ManifestRef, image: Buffer): Promise<void> {
  const manifest = await repository.readManifest(ref);
  const disk = await repository.openDisk(ref, manifest.disks[0] as (typeof manifest.disks)[number]);
  const memory = Buffer.alloc(CHUNKS * SMALL_CHUNK_BYTES);
  await disk.read(
    memory,
    Array.from({ length: CHUNKS }, (_, i) => ({ chunkIndex: i, offset: i * SMALL_CHUNK_BYTES })),
  );
  expectBytes(memory, image.subarray(0, memory.length));
}

async function extractOne(store: MemoryStore, masterKey: Buffer, ref: ManifestRef): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vapp-vault-bad-input-'));
  try {
    const repository = await openRepository(store, masterKey);
    const manifest = await repository.readManifest(ref);
    const disk = await repository.openDisk(ref, manifest.disks[0] as (typeof manifest.disks)[number]);
    const path = join(folder, 'image');
    await extractDisk(disk, { path, keepGoing: false });
    expectBytes(await readFile(path), IMAGES.get(ref.restorePointId) as Buffer);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function verifyAll(store: MemoryStore, masterKey: Buffer): Promise<string> {
  try {
    const { findings } = await (await openRepository(store, masterKey)).verify({ mode: 'full' });
    const named = findings.map(({ kind, name, restorePointId, diskId }) =>
      kind === 'object'
        ? (name ?? '?').replace(/[0-9a-f-]{32,}/g, '*').replace(/packs\/..\//, 'packs/')
        : [kind, restorePointId, diskId].filter(Boolean).join(' '),
    );
    return [...new Set(named)].sort().join(', ') || 'nothing';
  } catch (error) {
    return codeOf(error);
  }
}

export function freshName(name: string): string {
  const id = newId();
  return name.includes('/packs/') ? name.replace(/packs\/..\/[^/]+$/, `packs/${id.slice(-2)}/${id}`) : name.replace(/[^/]+$/, id);
}
