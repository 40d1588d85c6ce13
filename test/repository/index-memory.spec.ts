import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { extract } from '../../src/extract.js';
import { type DiskIndexRef, FolderStore, type ManifestRef, Repository, SecondSite } from '../../src/repository/index.js';
import { makeWorkspace, names, ORGANIZATION, type Workspace } from './fixture.js';

const CHUNK_BYTES = 4096;
const CHUNKS_PER_POINT = 1000;
/** The smallest table there is: 4096 slots, of which 2867 are used, and a sixteenth of those is spare. */
const SMALL_BYTES = 4096 * 48;
const RAISED_BYTES = 2 * SMALL_BYTES;
const TOO_LARGE = { code: 'INDEX_TOO_LARGE', retryable: false, subject: ORGANIZATION };

let workspace: Workspace;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
});
afterEach(() => workspace.remove());

/** As a process with that setting would: nothing cached. */
async function open(indexMemoryBytes?: number, folder = workspace.folder): Promise<Repository> {
  const { masterKey } = workspace;
  const store = await FolderStore.open(folder);
  return Repository.open({ store, masterKey, log: silentLogger, packTargetBytes: 512 * 1024, indexMemoryBytes });
}

interface Stored {
  ref: ManifestRef;
  disk: { diskId: string } & DiskIndexRef;
  image: Buffer;
}

/** A restore point of a thousand chunks that nobody else has. */
async function backUp(repository: Repository, restorePointId: string): Promise<Stored> {
  const session = await repository.beginSession(ORGANIZATION, restorePointId);
  try {
    const image = randomBytes(CHUNKS_PER_POINT * CHUNK_BYTES);
    const diskId = 'disk-2000';
    const writer = await session.openDisk({ diskId, capacityBytes: image.length, chunkBytes: CHUNK_BYTES });
    const chunks = Array.from({ length: CHUNKS_PER_POINT }, (_, i) => ({ chunkIndex: i, offset: i * CHUNK_BYTES, length: CHUNK_BYTES }));
    for (let at = 0; at < chunks.length; at += 100) await writer.write(image, chunks.slice(at, at + 100));
    const disk = { diskId, ...(await writer.finish()) };
    const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: null });
    return { ref, disk, image };
  } finally {
    await session.abandon();
  }
}

async function expectWhole(repository: Repository, { ref, disk, image }: Stored): Promise<void> {
  const reader = await repository.openDisk(ref, disk);
  const memory = Buffer.alloc(image.length);
  await reader.read(
    memory,
    Array.from({ length: CHUNKS_PER_POINT }, (_, chunkIndex) => ({ chunkIndex, offset: chunkIndex * CHUNK_BYTES })),
  );
  expect(memory.equals(image)).toBe(true);
}

describe('an organization with more chunks than its index may hold', () => {
  it('takes no new ones before that line is crossed: what is there is read, verified and collected, and collecting makes room', async () => {
    const repository = await open(SMALL_BYTES);
    const points = [await backUp(repository, 'rp-1'), await backUp(repository, 'rp-2')];
    const refused = await backUp(repository, 'rp-3').catch((error: unknown) => error);
    expect(refused).toMatchObject(TOO_LARGE);
    expect((refused as Error).message).toMatch(
      new RegExp(
        `^The chunk index of organization ${ORGANIZATION} needs ${RAISED_BYTES} bytes .*repository.indexMemoryBytes allows ${SMALL_BYTES};`,
      ),
    );

    const other = await open(SMALL_BYTES);
    for (const point of points) await expectWhole(other, point);
    expect((await other.verify({ mode: 'full' })).findings).toEqual([]);

    await other.deleteManifest((points[0] as Stored).ref);
    await other.collectGarbage({ graceMs: 0 });
    await other.collectGarbage({ graceMs: 0 });
    // Not that of the other process alone: the one that was refused has the room, too.
    points.push(await backUp(repository, 'rp-4'));
    for (const point of points.slice(1)) await expectWhole(await open(SMALL_BYTES), point);
  });

  it('refuses a session when it is begun, and keeps no record of it', async () => {
    const repository = await open(RAISED_BYTES);
    for (const id of ['rp-1', 'rp-2']) await backUp(repository, id);
    const session = await repository.beginSession(ORGANIZATION, 'rp-3');
    // Up to between the line for new ones and the one for what is there.
    for (let i = 2 * (CHUNKS_PER_POINT + 2); i < 2800; i += 1) await session.putDocument(Buffer.from(`document ${i}`));
    await session.flush();
    await session.abandon();
    const small = await open(SMALL_BYTES);
    await expect(small.beginSession(ORGANIZATION, 'rp-4')).rejects.toMatchObject(TOO_LARGE);
    expect((await names(workspace.store, 'orgs/')).filter((name) => name.includes('/sessions/'))).toEqual([]);
    expect(await small.collectGarbage({ graceMs: 0 })).toMatchObject({ restorePoints: 2 });
  });

  it('past the line, stored by others, says what it needs, each time, and with the setting raised is as any other', async () => {
    const raised = await open(RAISED_BYTES);
    const points = [await backUp(raised, 'rp-1'), await backUp(raised, 'rp-2'), await backUp(raised, 'rp-3')];
    // Without segments, too: then the trailers of the packs are what is taken in.
    for (const without of ['', 'index/']) {
      if (without !== '')
        for (const name of await names(workspace.store, 'orgs/')) if (name.includes(without)) await workspace.store.delete(name);
      const small = await open(SMALL_BYTES);
      const readAll = async () => {
        for (const point of points) await expectWhole(small, point);
      };
      for (let again = 0; again < 3; again += 1) {
        await expect(small.beginSession(ORGANIZATION, 'rp-4')).rejects.toMatchObject(TOO_LARGE);
        await expect(readAll()).rejects.toThrow(`indexMemoryBytes allows ${SMALL_BYTES}; set it to ${RAISED_BYTES} at least`);
      }
      await expect(small.verify({ mode: 'full' })).rejects.toMatchObject(TOO_LARGE);
      await expect(small.collectGarbage({ graceMs: 0 })).rejects.toMatchObject(TOO_LARGE);
    }

    const again = await open(RAISED_BYTES);
    for (const point of points) await expectWhole(again, point);
    expect((await again.verify({ mode: 'full' })).findings).toEqual([]);
    expect(await again.collectGarbage({ graceMs: 0 })).toMatchObject({ restorePoints: 3 });
    points.push(await backUp(again, 'rp-4'));
    await expectWhole(again, points[3] as Stored);
  });

  it('does not keep the space of others from being collected', async () => {
    const raised = await open(RAISED_BYTES);
    for (const id of ['rp-1', 'rp-2', 'rp-3']) await backUp(raised, id);
    const organizations = ['urn:vcloud:org:1', 'urn:vcloud:org:2', 'urn:vcloud:org:3', 'urn:vcloud:org:4'];
    for (const [i, organizationId] of organizations.entries()) {
      const session = await raised.beginSession(organizationId, `rp-of-${i}`);
      await session.putDocument(Buffer.from('a document'));
      await session.publish({ createdAt: new Date().toISOString(), disks: [], documents: [], content: null });
      await session.abandon();
    }
    const small = await open(SMALL_BYTES);
    await expect(small.collectGarbage({ graceMs: 0 })).rejects.toMatchObject(TOO_LARGE);
    const condemned = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/condemned/'));
    expect(condemned).toHaveLength(organizations.length);
  });

  it('takes no copies past the line at a second site, which is rid of what was deleted at the first all the same', async () => {
    const raised = await open(RAISED_BYTES);
    const points = [await backUp(raised, 'rp-1'), await backUp(raised, 'rp-2'), await backUp(raised, 'rp-3')];
    const folder = join(workspace.folder, 'second');
    const second = await FolderStore.open(folder);
    const { masterKey } = workspace;
    const site = new SecondSite(
      raised,
      { masterKey, log: silentLogger, packTargetBytes: 512 * 1024, indexMemoryBytes: SMALL_BYTES },
      { openStore: async () => second, keepDeletedMs: 0, log: silentLogger },
    );
    // The first one has a larger limit here than the second one.
    await expect(site.copy()).rejects.toMatchObject(TOO_LARGE);
    expect(await (await open(SMALL_BYTES, folder)).verify({ mode: 'full' })).toMatchObject({ restorePoints: 2, findings: [] });
    await raised.deleteManifest((points[0] as Stored).ref);
    await expect(site.copy()).rejects.toMatchObject(TOO_LARGE);
    expect((await names(second, 'orgs/')).filter((name) => name.includes('/manifests/'))).toHaveLength(1);

    const there = await site.repository();
    for (let run = 0; run < 2; run += 1) await there.collectGarbage({ graceMs: 0 });
    expect(await site.copy()).toMatchObject({ copied: ['rp-3'], failed: [] });
    for (const point of points.slice(1)) await expectWhole(await open(SMALL_BYTES, folder), point);
  });

  it('is read by vapp-vault-extract without any setting', async () => {
    const raised = await open(RAISED_BYTES);
    const points = [await backUp(raised, 'rp-1'), await backUp(raised, 'rp-2'), await backUp(raised, 'rp-3')];
    const [keyFile, output] = [join(workspace.folder, 'master.key'), join(workspace.folder, 'disk.raw')];
    await writeFile(keyFile, `${workspace.masterKey.toString('base64')}\n`, { mode: 0o600 });
    const where = ['--repository', workspace.folder, '--key-file', keyFile];
    const complaints: string[] = [];
    const arguments_ = ['disk', ...where, '--restore-point', 'rp-3', '--disk', 'disk-2000', '--output', output];
    expect([
      await extract(
        arguments_,
        () => undefined,
        (line) => complaints.push(line),
      ),
      complaints,
    ]).toEqual([0, []]);
    expect((await readFile(output)).equals((points[2] as Stored).image)).toBe(true);
  });
});
