/**
 * Two workers on one database, each a process of its own. One dies in the middle of a copy: the other takes its run up, and
 * stores nothing again that was in the repository already.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { smallSeed } from '../flow/small-seed.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { KillableWorld } from './killable-world.js';

const MIB = 2 ** 20;
const VAPPS = ['shop', 'intranet', 'sandbox', 'erp'];
/** Three packs, which are written when they are full, and some of a fourth. */
const LARGE_DISK_BYTES = 120 * MIB;
const READ_BEFORE_DEATH_BYTES = 104 * MIB;

describe('two workers', { timeout: 180_000 }, () => {
  let database: TestDatabase;
  let world: KillableWorld;

  beforeAll(async () => {
    database = await startTestDatabase();
    const seed = structuredClone(smallSeed);
    const disk = seed.vapps.find(({ name }) => name === 'intranet')?.vms[0]?.disks[0];
    if (disk === undefined) throw new Error('The seed has no vApp "intranet" with a disk');
    disk.capacityBytes = 2 * LARGE_DISK_BYTES;
    disk.dataBytes = LARGE_DISK_BYTES;
    world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url }, { seed });
    await world.startService({ VAPP_VAULT_ROLE: 'api' });
    await world.register();
  });
  afterAll(async () => {
    await world?.close();
    await database?.stop();
  });

  it('stop a run that somebody cancels elsewhere within seconds, and leave nothing', { timeout: 90_000 }, async () => {
    const worker = await world.startService({ VAPP_VAULT_ROLE: 'worker' });
    const midCopy = await world.hold({ door: 'vix', method: 'read', object: await world.moRef('erp-1'), afterBytes: MIB });
    const run = await world.startBackup('erp');
    await midCopy();
    const asked = performance.now();
    await world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    expect(await world.ended(run)).toMatchObject({ state: 'cancelled', openObligations: [] });
    // Within seconds, with room for a machine that does ten other things; the hung read alone would take ten minutes.
    expect(performance.now() - asked).toBeLessThan(60_000);
    await world.control.clearFaults();
    await world.expectNothingOwed(VAPPS);
    const again = await world.api.post<RunView>(`/api/v1/runs/${run.id}/retry`, {});
    expect(await world.ended(again)).toMatchObject({ state: 'succeeded', retryOf: run.id });
    await worker.stop();
  });

  it('finish what one of them had begun, byte for byte, and store nothing twice', { timeout: 120_000 }, async () => {
    const first = await world.startService({ VAPP_VAULT_ROLE: 'worker' });
    await world.control.checkpoint('before', 'intranet');
    const midCopy = await world.hold({
      ...{ door: 'vix', method: 'read', object: await world.moRef('wiki') },
      afterBytes: READ_BEFORE_DEATH_BYTES,
    });
    const run = await world.startBackup('intranet');
    await midCopy();
    // The packs that are full are on their way to the disk.
    for (const deadline = performance.now() + 20_000; (await packBytes()) < 64 * MIB; await sleep(50)) {
      expect(performance.now()).toBeLessThan(deadline);
    }
    const second = await world.startService({ VAPP_VAULT_ROLE: 'worker' });
    expect(await first.kill()).toEqual([]);
    const flushedBytes = await packBytes();
    await world.control.clearFaults();

    const end = await world.ended(run);
    expect(end).toMatchObject({ state: 'warning', attempt: 2, error: null, warnings: [expect.stringContaining('disappeared')] });
    expect(end.steps.filter(({ attempt, state }) => attempt === 1 && state === 'failed').map(({ name }) => name)).toEqual([
      'Copy the disks',
    ]);
    await world.expectNothingOwed(VAPPS);
    const { readBytes, storedBytes } = end.result as { readBytes: number; storedBytes: number };
    expect(readBytes).toBeGreaterThanOrEqual(LARGE_DISK_BYTES);
    // The data is random: it takes its size in the repository, once.
    expect(storedBytes).toBeLessThan(LARGE_DISK_BYTES - flushedBytes + 2 * MIB);
    expect(await packBytes()).toBeLessThan(LARGE_DISK_BYTES + 4 * MIB);

    await world.expectRestores(String(end.result?.restorePointId), 'intranet-2');
    const { disks } = await world.control.compare('before', 'intranet-2', { ignoreName: true });
    expect(disks.map(({ differingBytes }) => differingBytes)).toEqual([0]);
    await second.stop();
  });

  /** Of everything in packs, whoever wrote it. */
  async function packBytes(): Promise<number> {
    const folder = world.repositoryDir;
    const files = (await readdir(folder, { recursive: true })).filter((file) => /(^|\/)packs\/.*[0-9a-f]$/.test(file));
    const sizes = await Promise.all(
      files.map((file) =>
        stat(join(folder, file)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }
});
