/**
 * "Nothing lost": the service dies at an instant, another one starts on the same data folder, and
 * soon nothing is owed to anybody. What is owed at each step, and who pays it:
 *
 * | step of a backup             | owed from before it       | paid by the run in     | else by the sweep: |
 * | ---------------------------- | ------------------------- | ---------------------- | ------------------ |
 * | enter maintenance mode       | vcd.maintenance           | the last step          | exit               |
 * | PrepareForAccess, each VM    | vddk.access (identity)    | "End access"           | EndAccess          |
 * | CreateSnapshot, each VM      | vsphere.snapshot (name)   | "Remove the snapshots" | remove by name     |
 * | publish                      | nothing: it is the commit | -                      | catalog follows    |
 * | step of a restore            |                           |                        |                    |
 * | CreateVM, each VM            | vsphere.vm (unique name)  | (settled at hand-over) | destroy            |
 * | write its disks              | vddk.access               | at the VM's end        | EndAccess          |
 * | import                       | vcd.vapp (unique name)    | (settled at hand-over) | delete with VMs    |
 * | put back, compare            | vcd.maintenance           | hand-over              | exit               |
 * | hand-over                    | nothing: it is the commit | -                      | run has succeeded  |
 * | of a first class disk        |                           |                        |                    |
 * | snapshot it for a backup     | vsphere.disk-snapshot     | "Remove the snapshot"  | remove by text     |
 * | make it                      | vsphere.disk (its name)   | (settled at hand-over) | delete             |
 * | snapshot it, write over it   | vsphere.disk-snapshot     | the step after commit  | revert, remove     |
 * | delete the old vApp or VMs,  | vcd.replace, from the     | the step after it      | carry on           |
 * | give the new name, addresses | commit on                 |                        |                    |
 * | power the vApp on            | vcd.power-on, from the    | the last step          | carry on           |
 * |                              | commit on                 |                        |                    |
 *
 * Several vApps stand at different moments when the one kill comes: a second per moment instead of ten.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALL_KILLS } from './all-kills.js';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FirstClassDisks } from './first-class-disks.js';
import { KillableWorld } from './killable-world.js';

const VAPPS = ['shop', 'intranet', 'sandbox', 'erp'];

describe('a service killed at any instant', { timeout: 180_000 }, () => {
  let world: KillableWorld;
  let service: Awaited<ReturnType<KillableWorld['startService']>>;
  let firstPoints: string[];
  /** Those of the cloud, and what restores have made of them since. */
  const vapps = [...VAPPS];

  beforeAll(async () => {
    world = await KillableWorld.start();
    service = await world.startService();
    await world.register();
    await world.control.checkpoint('first', 'intranet');
    firstPoints = await world.backUp(...VAPPS);
  });
  afterAll(async () => {
    await world?.close();
  });

  /** Kills, clears the way, starts again. */
  async function killAndRestart(): Promise<void> {
    expect(await service.kill()).toEqual([]);
    await world.control.clearFaults();
    service = await world.startService();
  }

  it.runIf(ALL_KILLS)('leaves nothing of backups: access asked for, between snapshots, mid copy, snapshots removed', async () => {
    const moments = await Promise.all([
      world.hold({ door: 'vix', method: 'prepareForAccess', object: await world.moRef('sandbox-1') }),
      world.hold({ door: 'vcenter', method: 'CreateSnapshot_Task', object: await world.moRef('app-1') }),
      world.hold({ door: 'vix', method: 'read', object: await world.moRef('wiki'), afterBytes: 2 * 2 ** 20 }),
      world.hold({ door: 'vix', method: 'endAccess', object: await world.moRef('erp-1') }),
    ]);
    const runs = await Promise.all(VAPPS.map((name) => world.startBackup(name)));
    for (const moment of moments) await moment();
    await killAndRestart();
    await world.expectNothingOwed(VAPPS);
    // The one that starts again finishes what the dead one had begun.
    for (const run of runs) expect(await world.run(run.id)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    expect(await world.restorePoints()).toHaveLength(firstPoints.length + runs.length);
    await world.backUp(...VAPPS);
  });

  it('leaves nothing of backups: snapshot being made, being removed, before publish, leaving maintenance mode', async () => {
    const before = (await world.restorePoints()).length;
    const wiki = await world.moRef('wiki');
    const intranet = await world.vappPath('intranet');
    const lastEndAccess = await world.hold({ door: 'vix', method: 'endAccess', object: wiki, effect: 'delay', delayMs: 1_000 });
    const moments = await Promise.all([
      world.hold({ door: 'vcenter', method: 'RemoveSnapshot_Task', skip: 3 }),
      world.hold({ door: 'vcd', method: 'POST', path: `${await world.vappPath('erp')}/action/exitMaintenanceMode` }),
    ]);
    const runs = await Promise.all(['intranet', 'erp', 'shop'].map((name) => world.startBackup(name)));
    await lastEndAccess();
    await (await world.hold({ door: 'vcd', method: 'GET', path: `${intranet}/controlAccess`, delayMs: 20_000 }))();
    for (const moment of moments) await moment();
    const asked = await world.hold({
      door: 'vcenter',
      method: 'CreateSnapshot_Task',
      object: await world.moRef('sandbox-1'),
      effect: 'delay',
      delayMs: 1,
    });
    await world.startBackup('sandbox');
    await asked();
    await killAndRestart();
    await world.expectNothingOwed(VAPPS);
    // Only erp's had been published, and a restore point that exists is not lost; the others were begun again.
    expect((await world.restorePoints()).length).toBe(before + 4);
    expect(await world.run((runs[1] as { id: string }).id)).toMatchObject({ state: 'warning', attempt: 1, error: null });
    expect(await world.run((runs[0] as { id: string }).id)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    await world.backUp(...VAPPS);
  });

  it.runIf(ALL_KILLS)('undoes what a request of its makes that arrives long after all was paid', async () => {
    const { gate } = world.simulator;
    const asked = gate.hold({ number: 1, moment: 'before', matching: ({ object }) => object.endsWith('/action/enterMaintenanceMode') });
    const run = await world.startBackup('sandbox');
    await asked;
    expect(await service.kill()).toEqual([]);
    // The second look comes three lease times after the death was noticed: far enough away for a slow machine.
    service = await world.startService({ VAPP_VAULT_LEASE_DURATION_SECONDS: '6', VAPP_VAULT_LEASE_LATE_REQUEST_SECONDS: '18' });
    expect(await world.ended(run)).toMatchObject({ state: 'warning', attempt: 2, error: null, openObligations: [] });
    gate.release(true);
    const inMaintenance = async () => (await world.state()).vapps.some((vapp) => vapp.inMaintenanceMode);
    for (let looks = 0; !(await inMaintenance()); looks += 1) {
      if (looks > 100) throw new Error('VCD never took the late request');
      await sleep(50);
    }
    await world.expectNothingOwed(VAPPS, 60_000);
  });

  it.runIf(ALL_KILLS)(
    'leaves nothing of restores begun, and begins them again: VM being made, disk being written, between imports, putting back',
    async () => {
      const [shop, intranet] = firstPoints as [string, string];
      const held: (() => Promise<void>)[] = [];
      const runs: RunView[] = [];
      const betweenImports = await world.hold({ door: 'vcd', path: '/importVmIntoExistingVApp$' });
      runs.push(await world.startCopy(shop, 'shop-2'));
      await betweenImports();
      // Until its address is known, what is owed goes by a name that nobody else's vApp has.
      expect((await world.state()).vapps.map((vapp) => vapp.name)).not.toContain('shop-2');
      const puttingBack = await world.hold({ door: 'vcd', method: 'PUT', path: '/networkConfigSection', delayMs: 6_000 });
      runs.push(await world.startCopy(intranet, 'intranet-2'));
      await puttingBack();
      held.push(await world.hold({ door: 'vix', method: 'write', afterBytes: 2 ** 20 }));
      runs.push(await world.startCopy(intranet, 'intranet-3'));
      for (const moment of held) await moment();
      const asked = await world.hold({ door: 'vcenter', method: 'CreateVM_Task', effect: 'delay', delayMs: 1 });
      runs.push(await world.startCopy(intranet, 'intranet-4'));
      await asked();
      await killAndRestart();
      vapps.push('shop-2', 'intranet-2', 'intranet-3', 'intranet-4');
      await world.expectNothingOwed(vapps);
      for (const run of runs) expect(await world.run(run.id)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    },
  );

  it('begins a restore being imported again, and keeps one that was handed over', async () => {
    const intranet = firstPoints[1] as string;
    const handedOver = await world.hold({ door: 'vcd', method: 'POST', path: '/action/exitMaintenanceMode', delayMs: 8_000 });
    const kept = await world.startCopy(intranet, 'intranet-5');
    await handedOver();
    const importing = await world.hold({ door: 'vcd', path: '/importVmAsVApp$', delayMs: 1 });
    const again = await world.startCopy(intranet, 'intranet-6');
    await importing();
    await killAndRestart();
    vapps.push('intranet-5', 'intranet-6');
    await world.expectNothingOwed(vapps);
    expect(await world.run(kept.id)).toMatchObject({ state: 'warning', attempt: 1, error: null, result: { vappName: 'intranet-5' } });
    expect(await world.run(again.id)).toMatchObject({ state: 'warning', attempt: 2, error: null, result: { vappName: 'intranet-6' } });
    for (const name of ['intranet-5', 'intranet-6']) {
      const { disks, attributes } = await world.control.compare('first', name, {
        ignoreName: true,
        ignore: ['vms/*/nics/*/macAddress', 'vms/*/nics/*/ipAddress'],
      });
      expect(disks.map((disk) => disk.differingBytes)).toEqual([0]);
      expect(attributes).toEqual([]);
    }
  });

  it.runIf(ALL_KILLS)(
    'leaves nothing of first class disks: mid copy, disk made, mid write over one that is there',
    { timeout: 120_000 },
    async () => {
      const names = ['copied', 'made', 'over'];
      const disks = await FirstClassDisks.make(world, names);
      const points = await disks.backUp(['made', 'over']);
      await disks.write('over', 'today');
      const moments = await Promise.all([
        world.hold({ door: 'vix', method: 'read', object: disks.named('copied').id, afterBytes: 1 }),
        world.hold({ door: 'vix', method: 'write', object: disks.named('over').id, afterBytes: 2 * 2 ** 20 }),
      ]);
      const { gate } = world.simulator;
      // It is made, and nobody was told which disk it is.
      const made = gate.hold({ number: 1, moment: 'after', matching: ({ method }) => method === 'CreateDisk_Task' });
      await disks.startBackup('copied');
      await disks.startRestore(points.get('over'), { choices: { existingDisk: 'overwrite' } });
      await disks.startRestore(points.get('made'), { name: 'made-2' });
      await made;
      for (const moment of moments) await moment();
      expect(await service.kill()).toEqual([]);
      // Half of it is what it was then, half what it was today.
      expect(await disks.content('over')).toBeUndefined();
      gate.release(false);
      await world.control.clearFaults();
      service = await world.startService();
      await world.expectNothingOwed(vapps, 60_000);
      // In place it is undone; what is made beside it is begun again.
      expect(disks.names()).toEqual([...names, 'made-2'].toSorted());
      expect(await disks.content('over')).toBe('today');
      await disks.restore(points.get('over'), { choices: { existingDisk: 'overwrite' } });
      expect(await disks.content('over')).toBe('first');
      await world.expectNothingOwed(vapps, 60_000);
    },
  );

  it('still restores the restore point from before all that', async () => {
    const run = await world.ended(await world.startCopy(firstPoints[1] as string, 'intranet-7'));
    expect(run.error).toBeNull();
    const { disks } = await world.control.compare('first', 'intranet-7', { ignoreName: true });
    expect(disks.map((disk) => disk.differingBytes)).toEqual([0]);
    await world.expectNothingOwed([...vapps, 'intranet-7']);
  });

  it('warned of nothing that grows, such as listeners', () => {
    expect(world.output).not.toMatch(/MaxListenersExceededWarning/);
  });
});
