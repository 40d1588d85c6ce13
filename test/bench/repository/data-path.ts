import { once } from 'node:events';
import { closeSync, constants, existsSync, fdatasyncSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
// Straight to the files instead of through index.ts: NestJS and the AWS SDK would count as memory of the data path.
import { copyDisk } from '../../../src/backup/copy-disk.js';
import { MIB, silentLogger } from '../../../src/common/index.js';
import { type Extent, planCopy } from '../../../src/disk/index.js';
import { allocatePages, inspect, seal, type Span } from '../../../src/native/index.js';
import { COMPRESSION_LEVEL } from '../../../src/repository/crypto-lane.js';
import { AAD_BYTES, ID_BYTES, NONCE_BYTES, RECORD_HEADER_BYTES, RECORD_HEADER_FIELDS } from '../../../src/repository/format.js';
import { Repository } from '../../../src/repository/repository.js';
import { FolderStore } from '../../../src/repository/stores/folder-store.js';
import type { DiskIndexRef, RepositoryApi } from '../../../src/repository/types.js';
import { writeDisk } from '../../../src/restore/write-disk.js';
import type { VddkDiskApi, VddkSettings } from '../../../src/vddk/types.js';
import { VddkHost } from '../../../src/vddk/vddk-host.js';
import { repositoryRoot } from '../simulator-process.js';

/**
 * Our data path as a process of its own, the way the service drives it: VDDK (the stand-in) in a vddk-host, shared
 * memory, the addon, and a repository in a folder. Its wall time, CPU time and memory are taken from outside, from the
 * moment on when it says that it is ready and is told to begin, to its answer. As in a service that has backed the disk up before, its
 * code is loaded then, its repository open and the organization's index in memory (measured.py).
 *
 *   data-path.js full|incremental|restore|verify|stages --repository FOLDER [--disk FILE.vmdk] [--changed FILE] [--chunk-bytes N] [--cores N]
 */
const ORGANIZATION = 'bench';
const DISK = 'bench';
const MASTER_KEY = Buffer.alloc(32, 7);
/** The service's own defaults (src/config/schema.ts). */
const MAXIMUM_REQUEST_BYTES = 2 * MIB;
const SETTINGS: VddkSettings = {
  libraryDir: join(repositoryRoot(), 'native/build/vddk-standin'),
  temporaryDir: tmpdir(),
  nfcAioBufferSizeIn64KiB: 16,
  nfcAioBufferCount: 4,
  ioDepth: 4,
  maxRequestBytes: MAXIMUM_REQUEST_BYTES,
  memoryBytes: 64 * MIB,
  operationTimeoutMs: 600_000,
};

interface Options {
  repository: string;
  disk: string;
  host: Promise<VddkHost> | undefined;
  changed: string | undefined;
}

/** Of the single-threaded stages. */
const STAGE_BYTES = 4 * MIB;
const PACK_BYTES = 32 * MIB;
const PAGE_BYTES = 4096;

const signal = new AbortController().signal;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      repository: { type: 'string', default: '' },
      disk: { type: 'string', default: '' },
      changed: { type: 'string' },
      'chunk-bytes': { type: 'string' },
      cores: { type: 'string', default: '2' },
    },
  });
  const { repository: folder, disk, changed } = values;
  const operation = positionals[0] ?? '';
  const work = { full: backUp, incremental: backUp, restore, verify, stages }[operation];
  if (work === undefined) throw new Error(`data-path: what is "${operation}"?`);
  const chunkBytes = Number(values['chunk-bytes'] ?? 0) || undefined;
  const open = async () =>
    Repository.openOrCreate({
      store: await FolderStore.open(folder),
      masterKey: MASTER_KEY,
      log: silentLogger,
      cores: Number(values.cores),
      ...(chunkBytes && { chunkBytes }),
    });
  // To make a repository is part of the first backup, theirs and ours.
  const opened = existsSync(folder) ? await open() : undefined;
  if (opened !== undefined) await loadIndex(opened);
  await toldToBegin();
  // While the session begins; a run begins its session once and then starts a host for every VM.
  const host = ['full', 'incremental', 'restore'].includes(operation) ? VddkHost.start(SETTINGS, { log: silentLogger, signal }) : undefined;
  host?.catch(() => undefined);
  const result = await work(opened ?? (await open()), { repository: folder, disk, host, changed });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function loadIndex(repository: RepositoryApi): Promise<void> {
  const { ref, index } = await latest(repository);
  const reader = await repository.openDisk(ref, { diskId: DISK, ...index }, signal);
  for await (const _ of reader.dataChunks(signal)) break;
}

/** Says that it is ready and waits for the word to begin. */
async function toldToBegin(): Promise<void> {
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
}

async function backUp(repository: RepositoryApi, options: Options): Promise<object> {
  const base = options.changed === undefined ? undefined : await latest(repository);
  const changed = options.changed === undefined ? undefined : (JSON.parse(readFileSync(options.changed, 'utf8')) as Extent[]);
  const restorePointId = String(Date.now());
  const session = await repository.beginSession(ORGANIZATION, restorePointId, signal);
  return withDisk(options, true, async (disk, memory) => {
    const { capacityBytes } = disk;
    const chunkBytes = base?.index.chunkBytes ?? repository.defaultChunkBytes;
    const previous = base && (await repository.openDisk(base.ref, { diskId: DISK, ...base.index }, signal));
    const writer = await session.openDisk({ diskId: DISK, capacityBytes, chunkBytes, ...(base && { base: base.index }) });
    const allocated = await disk.queryAllocated(signal);
    const plan = planCopy({ capacityBytes, chunkBytes, allocated, changed });
    const readBytes = await copyDisk({
      disk,
      memory: { buffer: memory, offset: 0, length: memory.length },
      plan,
      writer,
      ...(previous && { base: previous }),
      maxRequestBytes: MAXIMUM_REQUEST_BYTES,
      onProgress: () => undefined,
      signal,
    });
    const index = await writer.finish(signal);
    const manifest = { createdAt: new Date().toISOString(), disks: [{ diskId: DISK, ...index }], documents: [], content: null };
    await session.publish(manifest, signal);
    return { readBytes, ...writer.tally };
  });
}

async function restore(repository: RepositoryApi, options: Options): Promise<object> {
  const { ref, index } = await latest(repository);
  const reader = await repository.openDisk(ref, { diskId: DISK, ...index }, signal);
  return withDisk(options, false, async (disk, memory) => {
    const onProgress = () => undefined;
    const writtenBytes = await writeDisk({
      disk,
      reader,
      allocated: [],
      memory,
      maxRequestBytes: MAXIMUM_REQUEST_BYTES,
      onProgress,
      signal,
    });
    await disk.flush(signal);
    return { writtenBytes };
  });
}

async function verify(repository: RepositoryApi): Promise<object> {
  const { findings, records, bytesRead } = await repository.verify({ mode: 'full', signal });
  if (findings.length > 0) throw new Error(`The repository is damaged: ${JSON.stringify(findings[0])}`);
  return { records, bytesRead };
}

/** The stages of a full backup one after the other: what there is to do, without what it takes to do it at once. */
async function stages(repository: RepositoryApi, { disk: path, repository: folder }: Options): Promise<object> {
  const chunkBytes = repository.defaultChunkBytes;
  const seconds = { read: 0, inspect: 0, seal: 0, write: 0 };
  const timed = async <T>(stage: keyof typeof seconds, work: () => T | Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    seconds[stage] += (performance.now() - started) / 1000;
    return result;
  };
  const source = openSync(path.replace(/\.vmdk$/, '.img'), 'r');
  const target = openSync(join(folder, 'stages'), constants.O_CREAT | constants.O_WRONLY | constants.O_DIRECT);
  const memory = allocatePages(STAGE_BYTES);
  const output = allocatePages(PACK_BYTES + 2 * STAGE_BYTES);
  const cursor = new Uint32Array(1);
  const seen = new Set<string>();
  for (let offset = 0; ; offset += STAGE_BYTES) {
    const length = await timed('read', () => readSync(source, memory, 0, STAGE_BYTES, offset));
    if (length === 0) break;
    const spans = spansOf(length, chunkBytes);
    const { zero, digests } = await timed('inspect', () => inspect(memory, spans, MASTER_KEY));
    const fresh = spans.filter((_, i) => {
      const digest = Buffer.from(digests.buffer, digests.byteOffset + i * ID_BYTES, ID_BYTES).toString('latin1');
      return zero[i] === 0 && !seen.has(digest) && seen.add(digest);
    });
    if (fresh.length === 0) continue;
    const [nonces, aads] = [Buffer.alloc(NONCE_BYTES * fresh.length), Buffer.alloc(AAD_BYTES * fresh.length)];
    const headers = Buffer.alloc(RECORD_HEADER_BYTES * fresh.length);
    const fixed = { memory, spans: fresh, key: MASTER_KEY, nonces, aads, headers, output, cursor };
    await timed('seal', () => seal({ ...fixed, level: COMPRESSION_LEVEL, fields: RECORD_HEADER_FIELDS }));
    if ((cursor[0] as number) >= PACK_BYTES) await timed('write', () => writePack(target, output, cursor));
  }
  await timed('write', () => writePack(target, output, cursor));
  closeSync(source);
  closeSync(target);
  rmSync(join(folder, 'stages'));
  return { ...seconds, totalSeconds: Object.values(seconds).reduce((sum, value) => sum + value, 0) };
}

/** As packs are written: past the page cache, in whole pages. */
function writePack(file: number, output: Buffer, cursor: Uint32Array): void {
  const wholeBytes = Math.ceil((cursor[0] as number) / PAGE_BYTES) * PAGE_BYTES;
  writeSync(file, output, 0, wholeBytes);
  fdatasyncSync(file);
  cursor[0] = 0;
}

function spansOf(length: number, chunkBytes: number): Span[] {
  const count = Math.ceil(length / chunkBytes);
  return Array.from({ length: count }, (_, i) => ({ offset: i * chunkBytes, length: Math.min(chunkBytes, length - i * chunkBytes) }));
}

async function latest(
  repository: RepositoryApi,
): Promise<{ ref: { organizationId: string; restorePointId: string }; index: DiskIndexRef }> {
  const points: string[] = [];
  for await (const { restorePointId } of repository.listManifests(signal)) points.push(restorePointId);
  const ref = { organizationId: ORGANIZATION, restorePointId: points.sort().at(-1) ?? '' };
  const [disk] = (await repository.readManifest(ref, signal)).disks;
  if (disk === undefined) throw new Error('The restore point has no disk');
  const { indexId, capacityBytes, chunkBytes } = disk;
  return { ref, index: { indexId, capacityBytes, chunkBytes } };
}

async function withDisk<T>(options: Options, readOnly: boolean, work: (disk: VddkDiskApi, memory: Buffer) => Promise<T>): Promise<T> {
  const host = await options.host;
  if (host === undefined) throw new Error('data-path: no host was started');
  try {
    const connection = await host.connectHosted({ readOnly }, signal);
    // As the service opens disks to restore by HotAdd; a backup reads through the page cache, which is warm for all.
    const disk = await connection.openDisk(options.disk, { unbuffered: !readOnly }, signal);
    try {
      return await work(disk, host.memory);
    } finally {
      await disk.close();
      await connection.disconnect();
    }
  } finally {
    await host.stop();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
    process.exit(1);
  },
);
