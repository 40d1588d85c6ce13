/**
 * One process of the stress test: backs up, deletes, collects and restores at random until it is
 * killed. What a restore point must hold stands in its own content, so nobody needs to remember it.
 */
import { createHash } from 'node:crypto';
import { silentLogger } from '../../src/common/index.js';
import {
  FolderStore,
  isRepositoryError,
  type Manifest,
  type ManifestRef,
  Repository,
  type SessionTimes,
} from '../../src/repository/index.js';

export const STRESS_CHUNK_BYTES = 16 * 1024;
export const STRESS_CHUNKS = 48;
/** Short, so that the killed hold up the living only for seconds; a stalled process notices and fails, which is no loss. */
const STRESS_TIMES = { heartbeatMs: 500, expiryMs: 8000 };
const STRESS_ORGANIZATION = 'urn:vcloud:org:stress';
/** Its restore points may go at any moment, with its key. */
export const SHREDDED_ORGANIZATION = 'urn:vcloud:org:shredded';
/** Few enough that restore points share most of their chunks, with each other and with deleted ones. */
const DIFFERENT_CHUNKS = 150;

export function openStressRepository(folder: string, masterKey: Buffer, sessionTimes?: SessionTimes): Promise<Repository> {
  return FolderStore.open(folder).then((store) =>
    Repository.openOrCreate({
      store,
      masterKey,
      log: silentLogger,
      chunkBytes: STRESS_CHUNK_BYTES,
      packTargetBytes: 128 * 1024,
      ...(sessionTimes && { sessionTimes }),
    }),
  );
}

function chunk(number: number): Buffer {
  const block = createHash('sha512').update(`stress ${number}`).digest();
  return Buffer.alloc(STRESS_CHUNK_BYTES, block);
}

/** @throws when a byte of the restore point is not what its content says, or cannot be read. */
export async function verifyStressPoint(repository: Repository, ref: ManifestRef): Promise<void> {
  const manifest = await repository.readManifest(ref);
  const numbers = manifest.content as number[];
  const [disk] = manifest.disks as [Manifest['disks'][number]];
  const reader = await repository.openDisk(ref, disk);
  const memory = Buffer.alloc(STRESS_CHUNKS * STRESS_CHUNK_BYTES);
  const all = Array.from({ length: STRESS_CHUNKS }, (_, chunkIndex) => ({ chunkIndex, offset: chunkIndex * STRESS_CHUNK_BYTES }));
  await reader.read(memory, all);
  for (const { chunkIndex, offset } of all) {
    const expected = chunk(numbers[chunkIndex] as number);
    if (!memory.subarray(offset, offset + STRESS_CHUNK_BYTES).equals(expected))
      throw new Error(`chunk ${chunkIndex} of ${ref.restorePointId} holds other bytes`);
  }
}

export async function stressPoints(repository: Repository): Promise<ManifestRef[]> {
  const refs: ManifestRef[] = [];
  for await (const ref of repository.listManifests()) refs.push(ref);
  return refs;
}

class Writer {
  private made = 0;

  constructor(
    private readonly repository: Repository,
    private readonly name: string,
  ) {}

  async act(): Promise<void> {
    const refs = (await stressPoints(this.repository)).filter(({ organizationId }) => organizationId === STRESS_ORGANIZATION);
    const some = refs[Math.floor(Math.random() * refs.length)];
    if (Math.random() < 0.15) return this.shredOrUse();
    const dice = Math.random();
    // Some are always left: a repository without restore points proves nothing.
    if (dice < 0.3 || !some || refs.length < 5) return this.backUp(some);
    if (dice < 0.55) return this.repository.deleteManifest(some);
    if (dice < 0.85) await this.repository.collectGarbage({ graceMs: 0 });
    else if (dice < 0.9) await this.verify();
    else await this.restore(some);
  }

  private async shredOrUse(): Promise<void> {
    if (Math.random() < 0.3) await this.repository.shredOrganization(SHREDDED_ORGANIZATION);
    else await this.backUp(undefined, SHREDDED_ORGANIZATION);
  }

  /** Beside deletions and rewriting, which are no damage. */
  private async verify(): Promise<void> {
    const { findings } = await this.repository.verify({ mode: 'full', organizationId: STRESS_ORGANIZATION });
    const lost = findings.filter(({ kind }) => kind !== 'object').map(({ restorePointId, reason }) => `${restorePointId}: ${reason}`);
    if (lost.length > 0) throw new Error(`verify finds ${lost.join('; ')}`);
  }

  private async backUp(previous: ManifestRef | undefined, organizationId = STRESS_ORGANIZATION): Promise<void> {
    this.made += 1;
    const session = await this.repository.beginSession(organizationId, `${this.name}-${this.made}`);
    try {
      const grid = { diskId: 'd', capacityBytes: STRESS_CHUNKS * STRESS_CHUNK_BYTES, chunkBytes: STRESS_CHUNK_BYTES };
      const base = previous && (await this.repository.readManifest(previous).catch(() => undefined));
      const numbers = base ? [...(base.content as number[])] : Array.from({ length: STRESS_CHUNKS }, () => anyNumber());
      const writer = base ? await session.openDisk({ ...grid, base: base.disks[0] }) : await session.openDisk(grid);
      for (let step = 0; step < 3; step += 1) {
        const touched = Array.from({ length: STRESS_CHUNKS }, (_, i) => i).filter((i) => i % 3 === step && (!base || Math.random() < 0.2));
        for (const i of touched) numbers[i] = anyNumber();
        const memory = Buffer.concat(touched.map((i) => chunk(numbers[i] as number)));
        const placed = touched.map((chunkIndex, i) => ({ chunkIndex, offset: i * STRESS_CHUNK_BYTES, length: STRESS_CHUNK_BYTES }));
        await writer.write(memory, placed);
        if (Math.random() < 0.3) await session.flush();
        // Long enough for others to delete, condemn and delete again what this session has come to rely on.
        if (Math.random() < 0.4) await new Promise((resolve) => setTimeout(resolve, Math.random() * 2000));
      }
      const disk = { diskId: 'd', ...(await writer.finish()) };
      await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: numbers });
    } finally {
      await session.abandon();
    }
  }

  /** Deleted under the reader is no loss; still there and unreadable is. */
  private async restore(ref: ManifestRef): Promise<void> {
    try {
      await verifyStressPoint(this.repository, ref);
    } catch (first) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      try {
        await verifyStressPoint(this.repository, ref);
      } catch (error) {
        if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) return;
        process.stderr.write(`LOST ${ref.restorePointId}: ${(error as Error).message} (first: ${(first as Error).message})\n`);
        process.exit(3);
      }
    }
  }
}

function anyNumber(): number {
  return Math.floor(Math.random() * DIFFERENT_CHUNKS);
}

/** Losing a race is part of the game; anything else is a finding. */
const EXPECTED = [
  'GC_RUNNING',
  // Of what is shredded meanwhile.
  'ORGANIZATION_KEY_MISSING',
  'GC_LOCK_LOST',
  'RESTORE_POINT_NOT_FOUND',
  'BASE_INCOMPLETE',
  'SESSION_EXPIRED',
  'INDEX_MISSING',
  'INDEX_DAMAGED',
];

async function main([folder, name]: string[], masterKey: string): Promise<void> {
  const writer = new Writer(await openStressRepository(folder as string, Buffer.from(masterKey, 'hex'), STRESS_TIMES), name as string);
  for (;;) {
    try {
      await writer.act();
      process.stdout.write('.');
    } catch (error) {
      if (isRepositoryError(error, ...EXPECTED)) continue;
      process.stderr.write(`UNEXPECTED ${(error as Error).stack}\n`);
      process.exit(2);
    }
  }
}

if (process.env.VAPP_VAULT_STRESS_KEY !== undefined) await main(process.argv.slice(2), process.env.VAPP_VAULT_STRESS_KEY);
