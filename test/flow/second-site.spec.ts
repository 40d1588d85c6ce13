import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogEntities, type RestorePointRow } from '../../src/catalog/index.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { CredentialSeal } from '../../src/clouds/credential-seal.js';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig, openMasterKey } from '../../src/config/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FolderStore, Repository } from '../../src/repository/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const CHUNK_BYTES = 64 * 1024;
const ORGANIZATION = 'urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9';
const OTHER_ORGANIZATION = 'urn:vcloud:org:11111111-7471-3192-8d09-a8f7eeda85f9';
const HOUR_MS = 3600_000;

let database: TestDatabase;
let points: RestorePointService;
let folder: string;
let environment: Record<string, string>;
let service: RunningService;
let first: Repository;
let key = '';
const [one, two] = [randomUUID(), randomUUID()] as [string, string];

beforeAll(async () => {
  database = await startTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-sites-'));
  environment = {
    VAPP_VAULT_DATA_DIR: folder,
    VAPP_VAULT_PORT: '0',
    VAPP_VAULT_DATABASE_URL: database.url,
    VAPP_VAULT_SECOND_SITE_KIND: 'folder',
    VAPP_VAULT_SECOND_SITE_PATH: join(folder, 'second'),
  };
  const masterKey = await openMasterKey(loadConfig(environment).masterKey);
  first = await Repository.create({ store: await FolderStore.open(join(folder, 'repository')), masterKey, log: silentLogger });
  points = new RestorePointService(await database.connect([...catalogEntities]));
  // Made while no service was there: its first look finds them.
  await backUp(one, 1, ORGANIZATION);
  await backUp(two, 2, OTHER_ORGANIZATION);
  service = await startService(loadConfig(environment), {
    log: silentLogger,
    showFirstKey: (made) => {
      key = made;
    },
  });
}, 60_000);
afterAll(async () => {
  await service?.close();
  await database?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function backUp(restorePointId: string, fill: number, organizationId: string): Promise<void> {
  const session = await first.beginSession(organizationId, restorePointId);
  const writer = await session.openDisk({ diskId: 'd-1', capacityBytes: 4 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
  await writer.write(Buffer.alloc(CHUNK_BYTES, fill), [{ chunkIndex: 2, offset: 0, length: CHUNK_BYTES }]);
  const disk = { diskId: 'd-1', ...(await writer.finish()) };
  const content = { vapp: { name: 'shop' }, vms: [{ name: 'db-1', disks: [{ diskId: 'd-1', label: 'Hard disk 1' }] }] };
  const createdAt = new Date().toISOString();
  await session.publish({ createdAt, disks: [disk], documents: [], content });
  const bytes = { capacityBytes: 0, readBytes: 0, newBytes: 0, storedBytes: 0 };
  const row: RestorePointRow = {
    id: restorePointId,
    organizationId,
    cloudId: 'cloud',
    vappId: 'vapp-1',
    vappName: 'shop',
    sourceKind: 'vapp',
    createdAt,
    kind: 'full',
    runId: 'run-1',
    vmCount: 0,
    ...bytes,
    warnings: [],
    vms: [],
  };
  await points.record(row);
}

async function ask(method: string, path: string, body?: unknown) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await fetch(`${service.url}/api/v1/${path}`, init);
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

async function run(path: string, body: unknown): Promise<RunView> {
  const { status, body: made } = await ask('POST', path, body);
  expect(status, JSON.stringify(made)).toBe(202);
  return ended(made.id);
}

async function ended(id: string): Promise<RunView> {
  let view: RunView | undefined;
  await expect
    .poll(
      async () => {
        view = (await ask('GET', `runs/${id}`)).body as RunView;
        return view.endedAt;
      },
      { timeout: 60_000, interval: 100 },
    )
    .not.toBeNull();
  return view as RunView;
}

async function objects(site: 'repository' | 'second', part: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of (await FolderStore.open(join(folder, site))).list('orgs/')) if (name.includes(part)) found.push(name);
  return found;
}

describe('a service with a second site', () => {
  it('copies each restore point by a run of its own, with its progress, and says so of the restore point', async () => {
    // One at a time in an organization; these are of two.
    let runs: RunView[] = [];
    await expect
      .poll(
        async () => {
          runs = ((await ask('GET', 'runs?kind=copy')).body as { items: RunView[] }).items;
          return runs.filter(({ state }) => state === 'succeeded').length;
        },
        { timeout: 60_000, interval: 200 },
      )
      .toBe(2);
    expect(runs.map(({ subject }) => subject)).toEqual(Array(2).fill('copy of a restore point of "shop"'));
    expect(new Set(runs.flatMap(({ progress }) => Object.keys(progress)))).toEqual(
      new Set([`restore point ${one}`, `restore point ${two}`]),
    );
    expect(await objects('second', '/packs/')).toEqual(await objects('repository', '/packs/'));
    expect((await objects('second', '/manifests/')).length).toBe(2);
    const { body } = await ask('GET', `restore-points/${one}`);
    expect(Date.parse(body.copiedAt)).toBeGreaterThan(0);
  }, 90_000);

  it('heals what verification finds damaged, and says so', async () => {
    const [pack] = await objects('repository', '/packs/');
    const path = join(folder, 'repository', pack as string);
    const bytes = await readFile(path);
    bytes[64 + 56 + 3] = (bytes[64 + 56 + 3] as number) ^ 1;
    await writeFile(path, bytes);
    const view = await run('repository/verify', { mode: 'full' });
    expect(view).toMatchObject({
      state: 'warning',
      result: { damaged: 0, healed: [{ kind: 'disk', vm: 'db-1', damagedBytes: CHUNK_BYTES }] },
    });
    expect(view.warnings[0]).toMatch(/^Healed from the other site: 65536 bytes of Hard disk 1 of VM "db-1"/);
    expect(await run('repository/verify', { mode: 'sample', samplePercent: 100 })).toMatchObject({ state: 'succeeded' });
    expect(await run('repository/verify', { mode: 'full', site: 'second' })).toMatchObject({
      state: 'succeeded',
      result: { site: 'second', restorePoints: 2 },
    });
  });

  it('verifies in turns that together read everything, and goes on where it ended', async () => {
    const first = await run('repository/verify', { mode: 'rolling' });
    expect(first).toMatchObject({ state: 'succeeded', result: { packs: 1 } });
    let packs = 1;
    for (let turn = 0; turn < 10 && packs < 3; turn += 1) {
      const { result } = await run('repository/verify', { mode: 'rolling' });
      packs += (result as { packs: number }).packs;
    }
    expect(packs).toBeGreaterThanOrEqual(3);
    expect((await ask('POST', 'repository/verify', { mode: 'rolling', organizationId: ORGANIZATION })).status).toBe(422);
  });

  it('locks a restore point at both sites, extends the lock and never shortens it', async () => {
    const inHours = (hours: number) => new Date(Math.floor(Date.now() / 1000) * 1000 + hours * HOUR_MS).toISOString();
    const later = inHours(48);
    const { status, body } = await ask('PUT', `restore-points/${two}/lock`, { until: later });
    expect([status, body]).toEqual([200, { restorePointId: two, lockedUntil: later, enforcedByStore: false }]);
    expect((await ask('PUT', `restore-points/${two}/lock`, { until: inHours(1) })).body.lockedUntil).toBe(later);
    const refused = await ask('DELETE', `restore-points/${two}`);
    expect([refused.status, refused.body.code]).toEqual([409, 'RESTORE_POINT_LOCK_CONFLICT']);
    expect((await ask('GET', `restore-points/${two}`)).body.lockedUntil).toBe(later);
    expect((await objects('second', '/locks/')).length).toBe(1);
    expect((await ask('PUT', `restore-points/${randomUUID()}/lock`, { until: later })).status).toBe(404);
    expect((await ask('PUT', `restore-points/${two}/lock`, { until: 'tomorrow' })).status).toBe(422);
  });

  it('copies by request, and collects at either site', async () => {
    expect(await run('repository/copies', { restorePointId: one })).toMatchObject({
      state: 'succeeded',
      result: { copied: [], restorePoints: 1 },
    });
    expect((await ask('DELETE', `restore-points/${one}`)).status).toBe(204);
    expect(await run('repository/copies', {})).toMatchObject({ state: 'succeeded', result: { departed: [one], removed: [] } });
    expect((await ask('POST', 'repository/copies', { restorePointId: one })).status).toBe(404);
    expect(await run('repository/gc', { graceHours: 0, site: 'second' })).toMatchObject({ result: { site: 'second', restorePoints: 2 } });
    expect(await run('repository/gc', { graceHours: 0 })).toMatchObject({ result: { site: 'first', restorePoints: 1 } });
  });

  it('refuses to make a new repository where the first site is empty and the second is not', async () => {
    const empty = loadConfig({ ...environment, VAPP_VAULT_REPOSITORY_PATH: join(folder, 'empty') });
    await expect(startService(empty, { log: silentLogger })).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    expect(await (await FolderStore.open(join(folder, 'empty'))).size('repository.json')).toBeUndefined();
    const same = loadConfig({ ...environment, VAPP_VAULT_SECOND_SITE_PATH: join(folder, 'repository') });
    await expect(startService(same, { log: silentLogger })).rejects.toMatchObject({ code: 'SITE_FOREIGN' });
  });

  it('changes the master key at a start with both keys: repository, second site and stored logins', async () => {
    const former = loadConfig(environment).masterKey.path;
    const formerKey = await openMasterKey({ path: former, makeIfMissing: false });
    const path = join(folder, 'new.key');
    const newKey = await openMasterKey({ path, makeIfMissing: true });
    const source = await database.connect([]);
    const sealed = new CredentialSeal(formerKey).sealText('cloud-9', 'secret');
    await source.query(`INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords) VALUES ('cloud-9', 'nine', '{}', '[]', $1)`, [
      sealed,
    ]);
    await service.close();
    const both = { ...environment, VAPP_VAULT_MASTER_KEY_FILE: path, VAPP_VAULT_FORMER_MASTER_KEY_FILE: former };
    service = await startService(loadConfig(both), { log: silentLogger });
    expect(await run('repository/verify', { mode: 'full' })).toMatchObject({ state: 'succeeded', result: { restorePoints: 1 } });
    expect(await run('repository/copies', {})).toMatchObject({ result: { notCopied: 0 } });
    for (const site of ['repository', 'second']) {
      const store = await FolderStore.open(join(folder, site));
      const open = (masterKey: Buffer) => Repository.open({ store, masterKey, log: silentLogger });
      await (await open(newKey)).readManifest({ organizationId: OTHER_ORGANIZATION, restorePointId: two });
      await expect(open(formerKey)).rejects.toMatchObject({ code: 'WRONG_MASTER_KEY' });
    }
    const [row]: { sealed: Buffer }[] = await source.query(`SELECT sealed_passwords AS sealed FROM clouds WHERE id = 'cloud-9'`);
    expect(new CredentialSeal(newKey).openText('cloud-9', 'it', row?.sealed as Buffer)).toBe('secret');
  }, 60_000);
});
