import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MIB, silentLogger } from '../../src/common/index.js';
import { VddkError, VddkHost, type VddkHostOptions, type VddkSettings, type VixTarget } from '../../src/vddk/index.js';

export const REPOSITORY_ROOT = resolve(import.meta.dirname, '..', '..');
export const STANDIN_DIR = join(REPOSITORY_ROOT, 'native', 'build', 'vddk-standin');

/** Bytes that differ from place to place and from seed to seed, and are nowhere zero. */
export function pattern(seed: string, lengthBytes: number): Buffer {
  const result = Buffer.allocUnsafe(lengthBytes);
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0) + 1;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    result[at] = ((state >>> 24) % 255) + 1;
  }
  return result;
}

/** What the work failed with. */
export async function failure(work: Promise<unknown>): Promise<VddkError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof VddkError) return error;
    throw error;
  }
  throw new Error('The work was to fail with a VddkError, and did not fail');
}

/** Shared memory this process still holds open. */
export function openMemfds(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('vapp-vault-disk-buffer');
    } catch {
      // The descriptor of this very listing is closed by now.
      return false;
    }
  }).length;
}

/** What one spec file makes and must take away again. */
export class Workshop {
  readonly dir = mkdtempSync(join(tmpdir(), 'vault-vddk-'));
  private readonly cleanups: (() => Promise<unknown>)[] = [];

  settings(changes: Partial<VddkSettings> = {}): VddkSettings {
    return {
      libraryDir: STANDIN_DIR,
      temporaryDir: join(this.dir, 'tmp'),
      nfcAioBufferSizeIn64KiB: 16,
      nfcAioBufferCount: 4,
      ioDepth: 4,
      maxRequestBytes: MIB,
      memoryBytes: 16 * MIB,
      operationTimeoutMs: 10_000,
      ...changes,
    };
  }

  async startHost(changes: Partial<VddkSettings> = {}, options: Partial<VddkHostOptions> = {}): Promise<VddkHost> {
    const host = await VddkHost.start(this.settings(changes), { log: silentLogger, ...options });
    this.cleanups.push(() => host.stop());
    return host;
  }

  async openDoor(facts: Partial<DoorFacts> = {}): Promise<FakeDoor> {
    const door = new FakeDoor(facts);
    await door.listen();
    this.cleanups.push(() => door.close());
    return door;
  }

  /** A sparse file with these pieces of data. */
  sparseFile(name: string, sizeBytes: number, pieces: [offsetBytes: number, data: Buffer][] = []): string {
    const path = join(this.dir, name);
    const fd = openSync(path, 'w');
    ftruncateSync(fd, sizeBytes);
    for (const [offset, data] of pieces) writeSync(fd, data, 0, data.length, offset);
    closeSync(fd);
    return path;
  }

  /** Compiles one C or C++ source for this spec. */
  compile(source: string, output: string, ...flags: string[]): string {
    const path = join(this.dir, output);
    const include = join(REPOSITORY_ROOT, 'native', 'include');
    execFileSync('g++', ['-std=c++17', '-O1', '-Wall', '-Werror', `-I${include}`, '-o', path, source, ...flags], { stdio: 'pipe' });
    return path;
  }

  descriptor(name: string, extents: string[], lines: string[] = ['CID=0a1b2c3d', 'parentCID=ffffffff']): string {
    const path = join(this.dir, name);
    const text = ['# Disk DescriptorFile', 'version=1', ...lines, 'createType="vmfs"', ...extents, 'ddb.adapterType = "lsilogic"', ''];
    writeFileSync(path, text.join('\n'));
    return path;
  }

  async clear(): Promise<void> {
    for (const cleanup of this.cleanups.reverse()) await cleanup();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface DoorDisk {
  capacitySectors: number;
  links: { format: 'flat' | 'sesparse'; file: string; offsetSectors?: string }[];
  metadata?: Record<string, string>;
  faults?: object[];
  /** Refuse to open with this error. */
  vixError?: number;
  /** How the library behaves on it: callbacks, highBits, logThreads. */
  library?: object;
  /** Really used; nbdssl where absent. */
  transport?: string;
  /** Other facts for the first openings, each for one. */
  openings?: { faults?: object[]; vixError?: number; transport?: string; capacitySectors?: number }[];
  /** Refuse to close with this error. */
  closeVixError?: number;
}

export interface DoorFacts {
  thumbprint: string;
  userName: string;
  password: string;
  cookie: string;
  vm: string;
  snapshot: string;
  disks: Record<string, DoorDisk>;
  /** Refuse PrepareForAccess and EndAccess with this error. */
  accessVixError?: number;
  /** For the first calls of an operation, each for one; 0 lets it pass. */
  refusals?: Partial<Record<'connect' | 'prepareForAccess' | 'endAccess', number[]>>;
  /** The library shall tell of broken rules and leaks. */
  strict?: boolean;
  /** Operations that never come back. */
  unanswered?: readonly string[];
}

type Request = Record<string, unknown> & { op: string };

/** The vCenter side of the stand-in, as small as it can be; the simulated cloud has the real one. */
export class FakeDoor {
  readonly facts: DoorFacts;
  readonly requests: Request[] = [];
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private handles = new Map<string, DoorDisk>();

  constructor(facts: Partial<DoorFacts>) {
    this.facts = {
      thumbprint: '11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44',
      userName: 'backup@vsphere.local',
      password: 'correct horse',
      cookie: 'vmware_soap_session-0123456789',
      vm: 'vm-16',
      snapshot: 'snapshot-12',
      disks: {},
      ...facts,
    };
    this.server = createServer((socket) => this.serve(socket));
  }

  listen(): Promise<void> {
    return new Promise((done) => this.server.listen(0, '127.0.0.1', done));
  }

  close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((done) => this.server.close(() => done()));
  }

  target(changes: Partial<VixTarget> = {}): VixTarget {
    const { thumbprint, userName, password, vm } = this.facts;
    const { port } = this.server.address() as AddressInfo;
    return { host: '127.0.0.1', port, thumbprint, vmMoRef: vm, credentials: { kind: 'password', userName, password }, ...changes };
  }

  operations(op: string): Request[] {
    return this.requests.filter((request) => request.op === op);
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('utf8');
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (line === 'VIXSIM/1') continue;
        const request = JSON.parse(line) as Request;
        this.requests.push(request);
        const answers = request.op !== 'bye' && !this.facts.unanswered?.includes(request.op);
        if (answers) socket.write(`${JSON.stringify(this.answer(request))}\n`);
      }
    });
  }

  private answer(request: Request): object {
    const refuse = (vixError: number) => ({ ok: false, vixError, message: `refused: ${request.op}` });
    const { facts } = this;
    const refusal = facts.refusals?.[request.op as 'connect']?.shift() ?? 0;
    if (refusal !== 0) return refuse(refusal);
    switch (request.op) {
      case 'hello':
        return request.thumbprint === facts.thumbprint ? { ok: true, strict: facts.strict === true } : refuse(1);
      case 'auth':
        if (request.kind === 'session') return request.cookie === facts.cookie ? { ok: true } : refuse(3047);
        return request.password === facts.password ? { ok: true } : refuse(35);
      case 'connect':
        if (request.vm !== facts.vm) return refuse(4000);
        return request.snapshot === null || request.snapshot === facts.snapshot ? { ok: true } : refuse(13003);
      case 'cleanup':
        return { ok: true, cleaned: 2, remaining: 1 };
      case 'prepareForAccess':
      case 'endAccess':
        return facts.accessVixError === undefined ? { ok: true } : refuse(facts.accessVixError);
      case 'close': {
        const closeVixError = this.handles.get(String(request.handle))?.closeVixError;
        return closeVixError === undefined ? { ok: true } : refuse(closeVixError);
      }
      case 'open':
        return this.open(request, refuse);
      default:
        return { ok: true };
    }
  }

  private open(request: Request, refuse: (vixError: number) => object): object {
    const known = this.facts.disks[String(request.path)];
    if (!known) return refuse(4);
    const disk: DoorDisk = { ...known, ...known.openings?.shift() };
    if (disk.vixError !== undefined) return refuse(disk.vixError);
    const handle = String(this.handles.size + 1);
    this.handles.set(handle, disk);
    return {
      ok: true,
      handle,
      capacitySectors: String(disk.capacitySectors),
      transport: disk.transport ?? 'nbdssl',
      adapterType: 3,
      uuid: '60 00 C2 9a',
      parentFileNameHint: null,
      links: disk.links,
      metadata: disk.metadata ?? {},
      faults: disk.faults ?? [],
      ...(disk.library && { library: disk.library }),
    };
  }
}

const GRAIN_BYTES = 4096;
const TABLE_ENTRIES = 4096;

/**
 * A seSparse extent, written here independently of the simulator's writer: grains of 4 KiB by number,
 * stored in the order given.
 */
export function seSparse(capacitySectors: number, grains: [number: number, content: Buffer | 'zero' | 'unmapped'][]): Buffer {
  const tables = Math.ceil(capacitySectors / 8 / TABLE_ENTRIES);
  const directorySectors = Math.ceil((tables * 8) / 512);
  const [directoryAt, tablesAt] = [4, 4 + directorySectors];
  const grainsAt = tablesAt + tables * 64;
  const stored = grains.filter((grain): grain is [number, Buffer] => typeof grain[1] !== 'string');
  const file = Buffer.alloc(grainsAt * 512 + stored.length * GRAIN_BYTES);
  const header = [
    0xcafebabe,
    0,
    capacitySectors,
    8,
    64,
    0,
    0,
    0,
    0,
    0,
    1,
    1,
    2,
    1,
    3,
    1,
    directoryAt,
    directorySectors,
    tablesAt,
    tables * 64,
  ];
  for (const [index, value] of header.entries()) file.writeBigUInt64LE(BigInt(value), index * 8);
  file.writeBigUInt64LE(0x0000000200000001n, 8);
  file.writeBigUInt64LE(BigInt(grainsAt), 24 * 8);
  file.writeBigUInt64LE(0xcafecafen, 512);
  const tableNumbers = new Map<number, number>();
  let storedCount = 0;
  for (const [number, content] of grains) {
    const index = Math.floor(number / TABLE_ENTRIES);
    // Tables in reverse of their order on disk: a reader that ignores the directory is found out.
    if (!tableNumbers.has(index)) tableNumbers.set(index, tables - 1 - tableNumbers.size);
    const table = tableNumbers.get(index) as number;
    file.writeBigUInt64LE(0x1000000000000000n + BigInt(table), directoryAt * 512 + index * 8);
    let entry = content === 'zero' ? 0x2000000000000000n : 0x1000000000000000n;
    if (typeof content !== 'string') {
      content.copy(file, grainsAt * 512 + storedCount * GRAIN_BYTES);
      const place = BigInt(storedCount);
      entry = 0x3000000000000000n | ((place & 0xfffn) << 48n) | (place >> 12n);
      storedCount += 1;
    }
    file.writeBigUInt64LE(entry, (tablesAt + table * 64) * 512 + (number % TABLE_ENTRIES) * 8);
  }
  return file;
}
