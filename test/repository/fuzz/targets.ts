import { randomBytes } from 'node:crypto';
import { parseCondemnedList } from '../../../src/repository/condemned.js';
import { CryptoLane } from '../../../src/repository/crypto-lane.js';
import { readDescription } from '../../../src/repository/description.js';
import {
  BLOB_MAGIC,
  decodeContainerHeader,
  decodeIndexRoot,
  decodePackFooter,
  encodeIndexRoot,
  ID_BYTES,
  PACK_FOOTER_BYTES,
  PACK_FOOTER_MAC_OFFSET,
  PACK_MAGIC,
  readRecordHeader,
} from '../../../src/repository/format.js';
import { recoverMasterKey, Repository, writeRecoveryKey } from '../../../src/repository/index.js';
import { followKeyFile } from '../../../src/repository/key-file-copy.js';
import { KeyRing } from '../../../src/repository/key-ring.js';
import type { OrganizationKeys } from '../../../src/repository/keys.js';
import { parseManifest } from '../../../src/repository/manifest.js';
import { readPackTrailer } from '../../../src/repository/pack-trailer.js';
import { openBlob, sealBlob } from '../../../src/repository/sealed-blob.js';
import { decodeSegment } from '../../../src/repository/segment.js';
import { decodeSessionRecord } from '../../../src/repository/session-record.js';
import { VaultClock } from '../../../src/repository/vault-clock.js';
import { ORGANIZATION } from '../fixture.js';
import {
  bytesOf,
  makeScene,
  namesOf,
  openRepository,
  recordOf,
  restoreAll,
  type Scene,
  setBytes,
  verifyAll,
} from '../harmed-repository.js';
import { MemoryStore } from '../memory-store.js';
import type { FuzzTarget } from './fuzz.js';

interface Material extends Scene {
  keys: OrganizationKeys;
  lane: CryptoLane;
  prefix: string;
  recoveryKey: string;
}

async function makeMaterial(): Promise<Material> {
  const scene = await makeScene();
  const { repositoryId } = await readDescription(scene.store);
  const keys = (await new KeyRing(scene.store, scene.masterKey, repositoryId).find(ORGANIZATION)) as OrganizationKeys;
  const recoveryKey = await writeRecoveryKey(scene.store, scene.masterKey);
  const [manifest] = namesOf(scene.store, 'manifests') as [string];
  return { ...scene, keys, lane: new CryptoLane(), prefix: manifest.slice(0, manifest.indexOf('manifests/')), recoveryKey };
}

/** All parsers of the repository, from the bytes of one field to a whole repository. */
export async function repositoryTargets(): Promise<FuzzTarget[]> {
  const material = await makeMaterial();
  return [...fieldTargets(material), ...objectTargets(material), ...wholeTargets(material)];
}

function target(name: string, corpus: () => Promise<readonly Buffer[]> | readonly Buffer[], run: FuzzTarget['run']): FuzzTarget {
  return { name, corpus: async () => corpus(), run };
}

/** What is decoded once its seal is open: only a fault of ours, or another release, could bring anything else. */
function fieldTargets({ store, keys, lane, prefix }: Material): FuzzTarget[] {
  const packs = () => namesOf(store, 'packs').map((name) => bytesOf(store, name));
  const opened = (part: 'index' | 'manifests', kind: 'segment' | 'manifest') =>
    Promise.all(
      namesOf(store, part).map((name) =>
        openBlob(lane, keys, { organizationId: ORGANIZATION, name: name.slice(prefix.length), kind }, bytesOf(store, name)),
      ),
    );
  const root = (pages: number) =>
    encodeIndexRoot({ chunkBytes: 4096, capacityBytes: pages * 4096 * 4096 - 512, pageIds: randomBytes(pages * ID_BYTES) });
  return [
    target(
      'container-header',
      () => packs().map((bytes) => bytes.subarray(0, 64)),
      (input) => void decodeContainerHeader(PACK_MAGIC, input),
    ),
    target(
      'blob-header',
      () => namesOf(store, 'index').map((name) => bytesOf(store, name).subarray(0, 64)),
      (input) => void decodeContainerHeader(BLOB_MAGIC, input),
    ),
    target(
      'record-header',
      () => packs().map((bytes) => bytes.subarray(64, 120)),
      (input) => void readRecordHeader(input),
    ),
    target(
      'pack-footer',
      () => packs().map((bytes) => Buffer.concat([Buffer.from(String(bytes.length).padStart(12)), bytes.subarray(-PACK_FOOTER_BYTES)])),
      (input) => void decodePackFooter(input.subarray(12), Number(input.toString('latin1', 0, 12))),
    ),
    target(
      'index-root',
      () => [root(1), root(3)],
      (input) => void decodeIndexRoot(input),
    ),
    target(
      'segment',
      () => opened('index', 'segment'),
      (input) => void decodeSegment(input),
    ),
    target(
      'manifest',
      () => opened('manifests', 'manifest'),
      (input) => void parseManifest(input),
    ),
    target(
      'condemned-list',
      () => objects(store, 'condemned'),
      (input) => void parseCondemnedList(namesOf(store, 'condemned')[0] as string, input),
    ),
    target(
      'session-record',
      () => objects(store, 'sessions'),
      (input) => void decodeSessionRecord(namesOf(store, 'sessions')[0] as string, input, new Date()),
    ),
  ];
}

const objects = (store: MemoryStore, part: string) => namesOf(store, part).map((name) => bytesOf(store, name));

/** Objects as they lie in the store, and as anybody might have changed them there. */
function objectTargets(material: Material): FuzzTarget[] {
  const { store, keys, lane, prefix, masterKey, recoveryKey } = material;
  const [manifest] = namesOf(store, 'manifests') as [string];
  const place = { organizationId: ORGANIZATION, name: manifest.slice(prefix.length), kind: 'manifest' } as const;
  const { pack } = recordOf(store, 'data');
  const packId = pack.slice(-36);
  const keyFile = [...store.objects.keys()].find((name) => name.startsWith('keys/')) as string;
  const only = (name: string, input: Buffer) => MemoryStore.from([[name, input]]);
  return [
    target(
      'sealed-blob',
      () => [bytesOf(store, manifest)],
      async (input) => void (await openBlob(lane, keys, place, input)),
    ),
    target(
      'pack-trailer',
      () => [bytesOf(store, pack)],
      async (input) => {
        // Half of the inputs are authentic garbage: what a fault of the writer would look like.
        if (input.length % 2 === 0) sealTrailer(input, keys);
        await readPackTrailer({ prefix, keys, packId, sizeBytes: input.length }, only(pack, input));
      },
    ),
    target(
      'description',
      () => [bytesOf(store, 'repository.json')],
      async (input) => void (await readDescription(only('repository.json', input))),
    ),
    target(
      'open',
      () => [bytesOf(store, 'repository.json')],
      async (input) => void (await Repository.open({ store: only('repository.json', input), masterKey, log: silent })),
    ),
    target(
      'key-file',
      () => [bytesOf(store, keyFile)],
      async (input) => {
        const harmed = store.copy();
        setBytes(harmed, keyFile, input);
        const ring = new KeyRing(harmed, masterKey, (await readDescription(store)).repositoryId);
        for await (const organizationId of ring.organizationIds()) await ring.find(organizationId);
      },
    ),
    target(
      'key-file-copy',
      () => [bytesOf(store, keyFile)],
      async (input) => {
        const { repositoryId } = await readDescription(store);
        const harmed = store.copy();
        setBytes(harmed, keyFile, input);
        const ringOf = (at: MemoryStore) => new KeyRing(at, masterKey, repositoryId);
        await followKeyFile(ringOf(harmed), ringOf(store.copy()), keyFile, 'both');
      },
    ),
    target(
      'clock-file',
      () => [Buffer.from('{"seen":"2026-01-01T00:00:00.000Z"}\n')],
      async (input) => void (await VaultClock.load(only('clock.json', input))).now(),
    ),
    target(
      'recovery-file',
      () => [bytesOf(store, 'recovery.json')],
      async (input) => {
        const harmed = store.copy();
        setBytes(harmed, 'recovery.json', input);
        await recoverMasterKey(harmed, recoveryKey);
      },
    ),
    target(
      'recovery-key',
      () => [Buffer.from(recoveryKey)],
      async (input) => void (await recoverMasterKey(store, input.toString('utf8'))),
    ),
  ];
}

const silent = { debug() {}, info() {}, warn() {}, error() {} } as never;

function sealTrailer(pack: Buffer, keys: OrganizationKeys): void {
  if (pack.length < 200) return;
  const footer = pack.subarray(-PACK_FOOTER_BYTES);
  const at = Number(footer.readBigUInt64LE(16));
  if (at > pack.length - PACK_FOOTER_BYTES) return;
  const entries = pack.subarray(at, pack.length - PACK_FOOTER_BYTES);
  keys.trailerMac(pack.subarray(0, 64), entries, footer.subarray(0, PACK_FOOTER_MAC_OFFSET)).copy(footer, PACK_FOOTER_MAC_OFFSET);
}

/** One harmed object in a whole repository: everything else still reads, nothing wrong is delivered, nothing is deleted. */
function wholeTargets({ store, keys, lane, masterKey, prefix }: Material): FuzzTarget[] {
  const names = [...store.objects.keys()].filter((name) => name !== 'recovery.json');
  const { pack } = recordOf(store, 'data');
  const tried = async (harmed: MemoryStore) => {
    const before = await restoreAll(harmed.copy(), masterKey);
    await verifyAll(harmed.copy(), masterKey);
    const collected = harmed.copy();
    const unlessRefused = async () => (await openRepository(collected, masterKey)).collectGarbage({ graceMs: 0 });
    for (let run = 0; run < 2; run += 1) await unlessRefused().catch((error: unknown) => assertOurs(error));
    const after = await restoreAll(collected, masterKey);
    for (const [chunk, was] of Object.entries(before.chunks))
      if (was === 'ok' && after.chunks[chunk] !== 'ok') throw new Error(`the collector took ${chunk} away`);
  };
  return [
    target(
      'authentic-segment',
      () => Promise.all(namesOf(store, 'index').map((name) => openBlob(lane, keys, segmentPlace(name, prefix), bytesOf(store, name)))),
      async (input) => {
        if (input.length === 0) return;
        const harmed = store.copy();
        const name = namesOf(store, 'index')[1] as string;
        setBytes(harmed, name, await sealBlob(lane, keys, segmentPlace(name, prefix), input));
        await restoreAll(harmed, masterKey);
      },
    ),
    target(
      'authentic-trailer',
      () => [bytesOf(store, pack)],
      async (input) => {
        sealTrailer(input, keys);
        const harmed = store.copy();
        for (const name of namesOf(store, 'index')) harmed.objects.delete(name);
        setBytes(harmed, pack, input);
        await restoreAll(harmed, masterKey);
      },
    ),
    target(
      'repository',
      () => names.map((name, index) => Buffer.concat([Buffer.of(index), bytesOf(store, name)])),
      async (input) => {
        const harmed = store.copy();
        if (input.length > 0) setBytes(harmed, names[(input[0] as number) % names.length] as string, input.subarray(1));
        await tried(harmed);
      },
    ),
  ];
}

function segmentPlace(name: string, prefix: string) {
  return { organizationId: ORGANIZATION, name: name.slice(prefix.length), kind: 'segment' } as const;
}

function assertOurs(error: unknown): void {
  if (!(error instanceof Error && 'retryable' in error)) throw error;
}
