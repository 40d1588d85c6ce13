/**
 * Several workers on one database: one that is frozen while its lease runs out comes back to find its run
 * in other hands, and must neither go on with it nor leave anything that it made meanwhile, unseen by who paid.
 */
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

const VAPPS = ['shop', 'intranet', 'sandbox', 'erp'];

describe('a worker lost by the others', { timeout: 180_000 }, () => {
  let database: TestDatabase;
  let world: KillableWorld;

  beforeAll(async () => {
    database = await startTestDatabase();
    world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url }, { taskDelayMs: 60 });
    await world.startService({ VAPP_VAULT_ROLE: 'api' });
    await world.register();
  });
  afterAll(async () => {
    await world?.close();
    await database?.stop();
  });

  const startWorker = (): Promise<KillableService> => world.startService({ VAPP_VAULT_ROLE: 'worker' });

  it('was frozen: it neither goes on nor leaves what it had asked for', async () => {
    const frozen = await startWorker();
    // vCenter takes the request long after its debt was paid by looking for a snapshot that was not there.
    const wiki = await world.moRef('wiki');
    const late = world.simulator.gate.hold({
      number: 1,
      moment: 'before',
      matching: ({ method, object }) => method === 'CreateSnapshot_Task' && object === wiki,
    });
    // One read comes late; the rest of the copy would be done before the worker next looks at its lease.
    const read = await world.hold({
      door: 'vix',
      method: 'read',
      object: await world.moRef('erp-1'),
      effect: 'delay',
      delayMs: 1_500,
      afterBytes: 5 * 2 ** 20,
    });
    const runs = await Promise.all(['intranet', 'erp'].map((name) => world.startBackup(name)));
    await Promise.all([late, read()]);
    await sleep(700);
    frozen.freeze();
    const successor = await startWorker();
    for (const run of runs) expect(await world.ended(run)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    const points = (await world.restorePoints()).map(({ id }) => id).toSorted();
    expect(points).toHaveLength(2);
    world.simulator.gate.release(true);
    for (let looks = 0; !(await world.state()).vcenterVms.some((vm) => vm.snapshots.length > 0); looks += 1) {
      if (looks > 200) throw new Error('vCenter never took the late request');
      await sleep(100);
    }
    frozen.thaw();
    await world.expectNothingOwed(VAPPS);
    expect((await world.restorePoints()).map(({ id }) => id).toSorted()).toEqual(points);
    await successor.stop();
    // The thawed one is a worker like any other again.
    await world.backUp('intranet', 'erp');
    await frozen.stop();
  });

  it('died between the manifest and the catalog: the restore point is brought in', async () => {
    const before = (await world.restorePoints()).length;
    const worker = await startWorker();
    const source = await database.connect([]);
    const lock = source.createQueryRunner();
    await lock.startTransaction();
    await lock.query('LOCK TABLE restore_points IN EXCLUSIVE MODE');
    const run = await world.startBackup('sandbox');
    for (let looks = 0; (await manifestCount(world)) === before; looks += 1) {
      if (looks > 1_000) throw new Error('No manifest was ever published');
      await sleep(20);
    }
    expect(await worker.kill()).toEqual([]);
    await lock.rollbackTransaction();
    await lock.release();
    expect((await world.restorePoints()).length).toBe(before);
    const successor = await startWorker();
    const end = await world.ended(run);
    expect(end).toMatchObject({ state: 'warning', error: null, result: { kind: 'full', vms: 1 } });
    await world.expectNothingOwed(VAPPS);
    expect((await world.restorePoints()).map((point) => point.id)).toContain(end.result?.restorePointId);
    await world.expectRestores(String(end.result?.restorePointId), 'sandbox-2');
    await successor.stop();
  });
});

async function manifestCount(world: KillableWorld): Promise<number> {
  const files = await readdir(world.repositoryDir, { recursive: true });
  return files.filter((file) => /(^|\/)manifests\/[0-9a-f-]{36}$/.test(file)).length;
}
