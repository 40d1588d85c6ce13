import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../src/common/index.js';
import {
  FolderStore,
  Repository,
  RepositoryError,
  type BlobStore,
  type DiskIndexRef,
  type DiskReader,
  type DiskWriter,
  type ManifestRef,
  type PutOptions,
  StoreWrapper,
} from '../../src/repository/index.js';

export const CHUNK_BYTES = 64 * 1024;
export const ORGANIZATION = 'urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9';
export const OTHER_ORGANIZATION = 'urn:vcloud:org:11111111-7471-3192-8d09-a8f7eeda85f9';

export interface Workspace {
  folder: string;
  masterKey: Buffer;
  store: FolderStore;
  /** As another process would: nothing cached. */
  reopen(store?: BlobStore): Promise<Repository>;
  repository: Repository;
  remove(): Promise<void>;
}

export async function makeWorkspace(options: { packTargetBytes?: number } = {}): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'vapp-vault-repository-'));
  const store = await FolderStore.open(folder);
  const masterKey = randomBytes(32);
  const common = { masterKey, log: silentLogger, ...options };
  const repository = await Repository.create({ store, chunkBytes: CHUNK_BYTES, ...common });
  return {
    folder,
    masterKey,
    store,
    repository,
    reopen: async (other) => Repository.open({ store: other ?? (await FolderStore.open(folder)), ...common }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Distinct bytes for every (seed, chunk): half random-looking, half repeating, never zero as a whole. */
export function pattern(seed: string, chunkIndex: number, length = CHUNK_BYTES): Buffer {
  const block = createHmac('sha512', seed).update(String(chunkIndex)).digest();
  const bytes = Buffer.alloc(length, block);
  for (let at = 0; at < length; at += 512) bytes.writeUInt32LE(at, at + 4 <= length ? at : length - 4);
  return bytes;
}

export async function writeChunks(writer: DiskWriter, chunks: ReadonlyMap<number, Buffer>, signal?: AbortSignal) {
  const memory = Buffer.concat([...chunks.values()]);
  let offset = 0;
  return writer.write(
    memory,
    [...chunks].map(([chunkIndex, bytes]) => {
      offset += bytes.length;
      return { chunkIndex, offset: offset - bytes.length, length: bytes.length };
    }),
    signal,
  );
}

export async function readChunk(reader: DiskReader, chunkIndex: number): Promise<Buffer> {
  const length = Math.min(reader.chunkBytes, reader.capacityBytes - chunkIndex * reader.chunkBytes);
  const memory = Buffer.alloc(length, 0xee);
  await reader.read(memory, [{ chunkIndex, offset: 0 }]);
  return memory;
}

export interface StoredDisk {
  ref: ManifestRef;
  disk: { diskId: string } & DiskIndexRef;
  tally: DiskWriter['tally'];
}

/** One restore point with one disk. */
export async function backUp(
  repository: Repository,
  restorePointId: string,
  chunks: ReadonlyMap<number, Buffer>,
  options: { organizationId?: string; capacityBytes?: number; base?: DiskIndexRef; diskId?: string } = {},
): Promise<StoredDisk> {
  const session = await repository.beginSession(options.organizationId ?? ORGANIZATION, restorePointId);
  const diskId = options.diskId ?? 'disk-2000';
  const capacityBytes = options.capacityBytes ?? 64 * CHUNK_BYTES;
  const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes: CHUNK_BYTES, base: options.base });
  try {
    await writeChunks(writer, chunks);
    const disk = { diskId, ...(await writer.finish()) };
    const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: { restorePointId } });
    return { ref, disk, tally: writer.tally };
  } finally {
    // Nothing after a publish; after a failure it ends the session, as a backup does.
    await session.abandon();
  }
}

export async function names(store: BlobStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of store.list(prefix)) found.push(name);
  return found;
}

/** One other character in a field of an organization's key file, which stays JSON of the same shape. */
export async function harmKeyFile(
  folder: string,
  field: 'wrappedKey' | 'createdAt' | 'organizationId',
  organizationId = ORGANIZATION,
): Promise<void> {
  const keys = await names(await FolderStore.open(folder), 'keys/');
  for (const path of keys.map((name) => join(folder, name))) {
    const file = JSON.parse(await readFile(path, 'utf8'));
    if (file.organizationId !== organizationId) continue;
    if (field === 'wrappedKey') file.wrappedKey.ciphertext = otherAt(file.wrappedKey.ciphertext, 0);
    else file[field] = otherAt(file[field], 15);
    await writeFile(path, `${JSON.stringify(file, undefined, 2)}\n`);
    return;
  }
  throw new Error(`There is no key file of ${organizationId} in ${folder}`);
}

function otherAt(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1);
}

export function chunksOf(seed: string, from: number, count: number): Map<number, Buffer> {
  return new Map(Array.from({ length: count }, (_, i) => [from + i, pattern(seed, from + i)]));
}

/** A store that fails where a test says so. */
export class FaultyStore extends StoreWrapper {
  readonly puts: string[] = [];
  /** Asked before each put; an error it answers is thrown. */
  onPut: (name: string) => Error | undefined | Promise<Error | undefined> = () => undefined;

  override async put(name: string, data: Buffer | readonly Buffer[], options?: PutOptions): Promise<void> {
    const error = await this.onPut(name);
    if (error) throw error;
    await this.inner.put(name, data, options);
    this.puts.push(name);
  }
}

export function fullStore(name: string): RepositoryError {
  return new RepositoryError(`${name} could not be written: there is no space left`, { code: 'REPOSITORY_FULL', subject: name });
}
