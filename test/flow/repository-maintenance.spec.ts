import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlertView } from '../../src/alerts/types.js';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig, openMasterKey } from '../../src/config/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FolderStore, Repository } from '../../src/repository/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir } from '../harness/database.js';

const CHUNK_BYTES = 64 * 1024;
const ORGANIZATION = 'urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9';

let dataDir: string;
let service: RunningService;
let key = '';
let repository: Repository;
let folder: string;
beforeAll(async () => {
  dataDir = await makeDataDir();
  const config = loadConfig({ VAPP_VAULT_DATA_DIR: dataDir, VAPP_VAULT_PORT: '0', VAPP_VAULT_ALERTS_LOOK_SECONDS: '5' });
  service = await startService(config, {
    log: silentLogger,
    showFirstKey: (made) => {
      key = made;
    },
  });
  folder = (config.repository as { path: string }).path;
  const masterKey = await openMasterKey(config.masterKey);
  repository = await Repository.open({ store: await FolderStore.open(folder), masterKey, log: silentLogger });
});
afterAll(async () => {
  await service?.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function backUp(restorePointId: string, fill: number): Promise<void> {
  const session = await repository.beginSession(ORGANIZATION, restorePointId);
  const writer = await session.openDisk({ diskId: 'd-1', capacityBytes: 4 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
  await writer.write(Buffer.alloc(CHUNK_BYTES, fill), [{ chunkIndex: 2, offset: 0, length: CHUNK_BYTES }]);
  const disk = { diskId: 'd-1', ...(await writer.finish()) };
  const content = { vapp: { name: 'shop' }, vms: [{ name: 'db-1', disks: [{ diskId: 'd-1', label: 'Hard disk 1' }] }] };
  await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content });
}

async function post(path: string, body: unknown) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const answer = await fetch(`${service.url}/api/v1/repository/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, body: (await answer.json()) as RunView };
}

async function run(path: string, body: unknown): Promise<RunView> {
  const { status, body: made } = await post(path, body);
  expect(status).toBe(202);
  let view = made;
  await expect
    .poll(
      async () => {
        const answer = await fetch(`${service.url}/api/v1/runs/${made.id}`, { headers: { authorization: `Bearer ${key}` } });
        view = (await answer.json()) as RunView;
        return view.endedAt;
      },
      { timeout: 60_000, interval: 100 },
    )
    .not.toBeNull();
  return view;
}

async function damageAlerts(): Promise<AlertView[]> {
  const answer = await fetch(`${service.url}/api/v1/alerts?kind=repository-damaged`, { headers: { authorization: `Bearer ${key}` } });
  return ((await answer.json()) as { items: AlertView[] }).items;
}

async function packs(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of (await FolderStore.open(folder)).list('orgs/')) if (name.includes('/packs/')) found.push(name);
  return found;
}

describe('the repository, over REST', () => {
  it('gives back space in two runs', async () => {
    await backUp('goes', 1);
    await repository.deleteManifest({ organizationId: ORGANIZATION, restorePointId: 'goes' });
    expect(await run('gc', {})).toMatchObject({ kind: 'gc', state: 'succeeded', result: { condemnedPacks: 0 } });
    expect(await run('gc', { graceHours: 0 })).toMatchObject({ state: 'succeeded', result: { condemnedPacks: 1, deletedPacks: 0 } });
    expect(await run('gc', { graceHours: 0, organizationId: ORGANIZATION })).toMatchObject({ result: { deletedPacks: 1 } });
    expect(await packs()).toEqual([]);
  });

  it('verifies, and names vApp, VM, disk and bytes of what is damaged', async () => {
    await backUp('stays', 2);
    expect(await run('verify', { mode: 'full' })).toMatchObject({
      kind: 'verify',
      state: 'succeeded',
      result: { restorePoints: 1, damaged: 0 },
    });
    expect(await damageAlerts()).toEqual([]);
    const path = join(folder, (await packs())[0] as string);
    const bytes = await readFile(path);
    // In the payload of the first record: the chunk.
    bytes[64 + 56 + 3] = (bytes[64 + 56 + 3] as number) ^ 1;
    await writeFile(path, bytes);
    const view = await run('verify', { mode: 'sample', samplePercent: 100 });
    expect(view).toMatchObject({ state: 'warning', result: { damaged: 1 } });
    expect(view.warnings[0]).toMatch(
      /^65536 bytes of Hard disk 1 of VM "db-1" in restore point stays of "shop" are lost, from byte 131072 on: /,
    );
  });

  it('raises an alert about damage, until a verification finds it no more', async () => {
    const alert = {
      severity: 'critical',
      organizationId: ORGANIZATION,
      message: expect.stringContaining('65536 bytes of Hard disk 1 of VM "db-1" in restore point stays of "shop" are lost'),
      details: { site: 'first', findings: 1, restorePoints: 1 },
    };
    await expect.poll(damageAlerts, { timeout: 20_000 }).toMatchObject([alert]);
    // Reads no chunk, and knows of what was found before.
    expect(await run('verify', { mode: 'structure', organizationId: ORGANIZATION })).toMatchObject({ result: { damaged: 1 } });
    const { id: runId } = await run('verify', { mode: 'structure' });
    await expect.poll(damageAlerts, { timeout: 20_000 }).toMatchObject([{ ...alert, details: { ...alert.details, runId } }]);
    await repository.deleteManifest({ organizationId: ORGANIZATION, restorePointId: 'stays' });
    expect(await run('verify', { mode: 'structure', organizationId: ORGANIZATION })).toMatchObject({ result: { damaged: 0 } });
    await expect.poll(damageAlerts, { timeout: 20_000 }).toEqual([]);
  });

  it('looks again, in every turn, at a pack whose trailer is known to be damaged', async () => {
    const before = await packs();
    await backUp('first', 3);
    const [pack] = (await packs()).filter((name) => !before.includes(name)) as [string];
    await backUp('second', 4);
    await backUp('third', 5);
    const path = join(folder, pack);
    const bytes = await readFile(path);
    const damaged = Buffer.from(bytes);
    damaged[bytes.length - 200] = (bytes[bytes.length - 200] as number) ^ 0x40;
    const { atime, mtime } = await stat(path);
    await writeFile(path, damaged);
    // As a disk rots: what is new is read in each turn anyway.
    await utimes(path, atime, mtime);
    const found = { damaged: 1, findings: [{ kind: 'object', name: expect.stringMatching(/^packs\//) }] };
    expect(await run('verify', { mode: 'structure' })).toMatchObject({ result: found });
    for (let turn = 0; turn < 4; turn += 1)
      expect(await run('verify', { mode: 'rolling' }), `turn ${turn}`).toMatchObject({ result: found });
    await expect.poll(damageAlerts, { timeout: 20_000 }).toMatchObject([{ severity: 'warning', organizationId: ORGANIZATION }]);
    await writeFile(path, bytes);
    expect(await run('verify', { mode: 'rolling' })).toMatchObject({ result: { damaged: 0 } });
    await expect.poll(damageAlerts, { timeout: 20_000 }).toEqual([]);
  }, 120_000);

  it.each([
    ['verify', { mode: 'everything' }],
    ['verify', { samplePercent: 0 }],
    ['gc', { graceHours: -1 }],
    ['gc', { force: true }],
  ])('refuses %s with %j', async (path, body) => {
    expect((await post(path, body)).status).toBe(422);
  });
});
