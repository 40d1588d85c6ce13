import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FirstClassDiskView, RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { RestorePlanView } from '../../src/restore/plan-types.js';
import { type NewFirstClassDisk, VsphereClient } from '../../src/vsphere/index.js';
import { attach, detach, diskNamed, diskNames, readFromDisk, writeToDisk } from '../harness/first-class-disk-content.js';
import { pattern } from '../contract/vddk-fixtures.js';
import { createFirstClassDisk } from '../simulator/model/first-class-disks.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** First class disks from the list to the restore, through the service and the simulated cloud. */
const MIB = 2 ** 20;
const TIB = 2 ** 40;
const BLOCK = 65_536;
const FAR = 2 * TIB + 5 * MIB;
const WIDE_MIB = 2 * 1024 * 1024 + 16;
let world: World;
let vcenter: VsphereClient;

beforeAll(async () => {
  world = await World.start();
  const { url, userName, password, thumbprintSha1 } = world.simulator.description.vcenter;
  vcenter = await VsphereClient.connect({ url, userName, password, trust: { thumbprint: thumbprintSha1 } });
  await make('wide', { capacityMib: WIDE_MIB, metadata: [{ key: 'cns.volume', value: 'pvc-1' }] });
  await make('lent');
  await vcenter.firstClassDisks.setFlag(at('wide'), 'enableChangedBlockTracking', true);
  await world.register();
});
afterAll(async () => {
  await vcenter?.close();
  await world?.close();
});

const model = () => world.simulator.vsphere;
const at = (name: string) => diskNamed(model(), name);
const datastore = (index: number) => model().datastores()[index]?.moRef ?? '';

function make(name: string, change: Partial<NewFirstClassDisk> = {}) {
  const wanted = { name, datastoreMoRef: datastore(0), capacityMib: 16, provisioning: 'thin', keepAfterDeleteVm: true } as const;
  return vcenter.firstClassDisks.create({ ...wanted, policyId: undefined, metadata: [], ...change });
}

async function listed(query = ''): Promise<FirstClassDiskView[]> {
  return (await world.api.get<{ items: FirstClassDiskView[] }>(`/api/v1/first-class-disks${query}`)).items;
}

async function idOf(name: string): Promise<string> {
  return (await listed(`?name=${name}&present=true`)).find((disk) => disk.name === name)?.id ?? '';
}

async function refresh(): Promise<{ firstClassDisks: number }> {
  const [cloud] = (await world.api.get<{ items: { id: string }[] }>('/api/v1/clouds')).items;
  return await world.api.post(`/api/v1/clouds/${cloud?.id}/refresh`, {});
}

async function backUp(name: string, settings: Record<string, unknown> = {}): Promise<{ run: RunView; point: RestorePointRow }> {
  const run = await world.finish(await world.api.post<RunView>('/api/v1/backups', { vappId: await idOf(name), settings }));
  expect(run.error).toBeNull();
  return { run, point: await world.api.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`) };
}

/** Of the second restore point: all tests restore that one. */
let restorePointId = '';

function restoreOf(change: Record<string, unknown> = {}) {
  return { restorePointId, mode: 'first-class-disk', ...change };
}

function datastoreName(index: number): string {
  return model().datastores()[index]?.name ?? '';
}

async function points(name: string): Promise<number> {
  const { items } = await world.api.get<{ items: unknown[] }>(`/api/v1/restore-points?vappId=${await idOf(name)}`);
  return items.length;
}

/** As the second backup found it. */
async function assertContent(name: string, last: string): Promise<void> {
  expect(await readFromDisk(model(), name, MIB, BLOCK)).toEqual(pattern('near', BLOCK));
  expect(await readFromDisk(model(), name, FAR, BLOCK)).toEqual(pattern('far', BLOCK));
  expect(await readFromDisk(model(), name, FAR + 2 * BLOCK, BLOCK)).toEqual(pattern(last, BLOCK));
  expect((await readFromDisk(model(), name, 0, BLOCK)).every((byte) => byte === 0)).toBe(true);
  expect((await readFromDisk(model(), name, FAR + 3 * BLOCK, BLOCK)).every((byte) => byte === 0)).toBe(true);
}

async function nothingLeft(): Promise<void> {
  await assertNothingLeft(world);
  expect(model().inventory.state.firstClassDisks?.flatMap(({ snapshots }) => snapshots)).toEqual([]);
}

describe('first class disks', () => {
  it('are listed with their datastore, the VMs that have them and nobody as their tenant', async () => {
    const [wide] = await listed('?name=wide');
    expect(wide).toMatchObject({
      name: 'wide',
      sizeBytes: WIDE_MIB * MIB,
      attachedTo: [],
      namedDiskId: null,
      present: true,
      changeTracking: true,
    });
    expect(wide).toMatchObject({ diskId: at('wide').id, datastoreMoRef: datastore(0), provisioning: 'thin', lastRestorePointAt: null });
    expect(wide?.organizationId).toMatch(/^urn:vapp-vault:provider:/);
    expect((await listed('?attached=true')).length).toBe(0);
    expect((await listed('?datastore=nowhere')).length).toBe(0);
    expect((await refresh()).firstClassDisks).toBe((await listed('?present=true')).length);
  });

  it('are copied by what is allocated, then by what changed, past 2 TiB', async () => {
    await writeToDisk(model(), 'wide', MIB, pattern('near', BLOCK));
    await writeToDisk(model(), 'wide', FAR, pattern('far', BLOCK));
    const first = await backUp('wide');
    expect(first.point).toMatchObject({ kind: 'full', sourceKind: 'first-class-disk', vmCount: 0, capacityBytes: WIDE_MIB * MIB, vms: [] });
    expect(first.run.result).toMatchObject({ kind: 'full', fullReason: 'first-backup', readBytes: 2 * BLOCK });
    await nothingLeft();
    await writeToDisk(model(), 'wide', FAR + 2 * BLOCK, pattern('later', BLOCK));
    const second = await backUp('wide');
    expect(second.run.result).toMatchObject({ kind: 'incremental', fullReason: null, readBytes: BLOCK });
    restorePointId = second.point.id;
    await nothingLeft();
  });

  it('that a VM has are refused with one sentence, by the run too, and passed over by a scope', async () => {
    const vm = model().vms()[0];
    await attach(model(), 'lent', vm?.moRef ?? '');
    const vappId = await idOf('lent');
    // The inventory does not know yet: the run looks itself.
    const run = await world.finish(await world.api.post<RunView>('/api/v1/backups', { vappId }));
    const sentence = `First class disk "lent" is attached to VM "${vm?.name}", so it is backed up with that VM and not by itself; back up the VM, or detach the disk and refresh the cloud.`;
    expect(run.error).toMatchObject({ code: 'DISK_ATTACHED', message: sentence });
    await refresh();
    const [lent] = await listed('?attached=true');
    expect(lent).toMatchObject({ id: vappId, attachedTo: [{ vmMoRef: vm?.moRef, vmName: vm?.name }] });
    await expect(world.api.post('/api/v1/backups', { vappId })).rejects.toThrow(sentence);
    const { items } = await world.api.get<{ items: { id: string }[] }>('/api/v1/clouds');
    const scope = { cloudId: items[0]?.id, kinds: ['first-class-disk'], vappNames: ['lent'] };
    const answer = await world.api.post<{ runs: RunView[]; skipped: { name: string; reason: string }[] }>('/api/v1/backups', { scope });
    expect(answer).toMatchObject({ runs: [], skipped: [{ name: 'lent', reason: sentence }] });
    await detach(model(), 'lent');
    await refresh();
    await nothingLeft();
  });

  it('come back as a new disk beside the old one, byte for byte', async () => {
    const plan = await world.api.post<RestorePlanView>('/api/v1/restores/plan', restoreOf({ name: 'wide again' }));
    expect(plan).toMatchObject({ canStart: true, vappName: 'wide again', organizationName: 'System', vms: [] });
    expect(plan.items.filter(({ conformity }) => conformity !== 'fits').map(({ attribute }) => attribute)).toEqual(['id', 'name']);
    const run = await world.restore(restoreOf({ name: 'wide again', choices: { datastore: datastoreName(1) } }));
    expect(run.error).toBeNull();
    expect(run.result).toMatchObject({ diskName: 'wide again', datastoreName: datastoreName(1), blocks: 'empty' });
    const differences = run.result?.differences as { path: string }[] | undefined;
    expect(differences?.map(({ path }) => path)).toEqual(['name', 'datastore']);
    await assertContent('wide again', 'later');
    expect(at('wide again')).toMatchObject({ metadata: [{ key: 'cns.volume', value: 'pvc-1' }], changeTracking: true, thin: true });
    expect(await idOf('wide again')).not.toBe(await idOf('wide'));
    await nothingLeft();
  });

  it('are written over by what changed since, in the disk that is there', async () => {
    await writeToDisk(model(), 'wide', FAR + 4 * BLOCK, pattern('unwanted', BLOCK));
    const run = await world.restore(restoreOf({ choices: { existingDisk: 'overwrite' } }));
    expect(run.error).toBeNull();
    expect(run.result).toMatchObject({ blocks: 'changed', differences: [], diskId: at('wide').id });
    await assertContent('wide', 'later');
    expect((await readFromDisk(model(), 'wide', FAR + 4 * BLOCK, BLOCK)).every((byte) => byte === 0)).toBe(true);
    await nothingLeft();
    // The chain goes on: what the restore wrote is what changed.
    expect((await backUp('wide')).run.result).toMatchObject({ kind: 'incremental' });
    await assertContent('wide', 'later');
  });

  it('stay as they were when writing over them fails, and a new one that fails is not left behind', async () => {
    await writeToDisk(model(), 'wide', 8 * MIB, pattern('today', BLOCK));
    await writeToDisk(model(), 'wide', FAR, pattern('today too', BLOCK));
    // The first block is written, the second is not.
    await world.control.addFault({ door: 'vix', method: 'write', object: at('wide').id, effect: 'error', vixError: 7, afterBytes: BLOCK });
    const over = await world.restore(restoreOf({ choices: { existingDisk: 'overwrite' } }));
    expect(over.state).toBe('failed');
    expect(await readFromDisk(model(), 'wide', 8 * MIB, BLOCK)).toEqual(pattern('today', BLOCK));
    expect(await readFromDisk(model(), 'wide', FAR, BLOCK)).toEqual(pattern('today too', BLOCK));
    await nothingLeft();
    const names = diskNames(model());
    await world.control.addFault({ door: 'vix', method: 'write', effect: 'error', vixError: 7, afterBytes: BLOCK });
    const anew = await world.restore(restoreOf({ name: 'never' }));
    expect(anew.state).toBe('failed');
    expect(diskNames(model())).toEqual(names);
    await world.control.clearFaults();
    await nothingLeft();
  });

  it('that have still to go back keep the snapshot for it: no backup takes half of it, and no later restore is undone', async () => {
    const stays = { door: 'vcenter', method: 'RevertVStorageObject_Task', effect: 'fault', fault: 'FileLocked' } as const;
    await world.control.addFault(stays);
    const { id } = at('wide');
    await world.control.addFault({ door: 'vix', method: 'write', object: id, effect: 'error', vixError: 7, afterBytes: BLOCK, times: 1 });
    const broken = await world.restore(restoreOf({ choices: { existingDisk: 'overwrite' } }));
    expect(broken).toMatchObject({ state: 'failed', openObligations: [{ kind: 'vsphere.disk-snapshot' }] });
    const [below] = at('wide').snapshots;
    // Half of it is what the restore wrote.
    expect(await readFromDisk(model(), 'wide', 8 * MIB, BLOCK)).not.toEqual(pattern('today', BLOCK));

    const before = await points('wide');
    const asked = [
      await world.finish(await world.api.post<RunView>('/api/v1/backups', { vappId: await idOf('wide') })),
      await world.restore(restoreOf({ choices: { existingDisk: 'overwrite' } })),
    ];
    for (const { state, error } of asked) {
      expect({ state, error }).toMatchObject({ state: 'failed', error: { code: 'DISK_REVERT_OWED', retryable: true } });
      expect(error?.message).toContain(`First class disk "wide" is half written over by run ${broken.id}`);
    }
    expect(await points('wide')).toBe(before);
    expect(at('wide').snapshots).toEqual([below]);

    await world.control.clearFaults();
    await backUp('wide');
    expect(await readFromDisk(model(), 'wide', 8 * MIB, BLOCK)).toEqual(pattern('today', BLOCK));
    expect(await readFromDisk(model(), 'wide', FAR, BLOCK)).toEqual(pattern('today too', BLOCK));
    await nothingLeft();
  });

  it('come back after they were deleted, with their history, and have to be read in full once', async () => {
    const id = await idOf('wide');
    await vcenter.firstClassDisks.remove({ id: at('wide').id, datastoreMoRef: at('wide').datastoreMoRef });
    await refresh();
    expect((await listed('?name=wide&present=false')).map((disk) => disk.id)).toEqual([id]);
    await expect(world.api.post('/api/v1/backups', { vappId: id })).rejects.toThrow('not in the cloud any more');
    const refused = await world.restore(restoreOf({ choices: { existingDisk: 'overwrite' } }));
    expect(refused.error).toMatchObject({ code: 'CHOICE_NEEDED' });
    expect(refused.error?.message).toContain('is not there any more, so it cannot be written over');
    const run = await world.restore(restoreOf());
    expect(run.error).toBeNull();
    await assertContent('wide', 'later');
    expect(await idOf('wide')).toBe(id);
    expect((await backUp('wide')).run.result).toMatchObject({ kind: 'full', fullReason: 'disk-replaced' });
    expect(await points('wide')).toBe(5);
    await nothingLeft();
  });

  it('of an odd size are copied to their last sector, of which vSphere tells nothing', async () => {
    const size = { capacityBytes: 4 * MIB + BLOCK + 512, provisioningType: 'thin' };
    await createFirstClassDisk(model().inventory, { name: 'odd', datastoreMoRef: datastore(0), path: undefined, ...size });
    await vcenter.firstClassDisks.setFlag(at('odd'), 'enableChangedBlockTracking', true);
    await writeToDisk(model(), 'odd', 4 * MIB + BLOCK, pattern('tail', 512));
    await refresh();
    await world.control.addFault({
      door: 'vix',
      method: 'queryAllocated',
      object: at('odd').id,
      effect: 'error',
      vixError: 1,
      afterBytes: 0,
    });
    const first = await backUp('odd');
    await world.control.clearFaults();
    expect(first.point.capacityBytes).toBe(size.capacityBytes);
    expect(first.run.warnings).toEqual([
      expect.stringContaining('Which blocks of first class disk "odd" are allocated was told by change tracking'),
    ]);
    await writeToDisk(model(), 'odd', 4 * MIB + BLOCK, pattern('later tail', 512));
    const { point, run } = await backUp('odd');
    expect(run.result).toMatchObject({ kind: 'incremental' });
    const restore = await world.restore({ restorePointId: point.id, mode: 'first-class-disk', name: 'odd again' });
    expect(restore.error).toBeNull();
    expect(restore.warnings.some((warning) => warning.includes(`it has ${5 * MIB} bytes instead of ${size.capacityBytes}`))).toBe(true);
    expect(await readFromDisk(model(), 'odd again', 4 * MIB + BLOCK, 1024)).toEqual(
      Buffer.concat([pattern('later tail', 512), Buffer.alloc(512)]),
    );
    await nothingLeft();
  });

  it('of a vCenter that is a year ahead are dated by the service’s clock', async () => {
    const { inventory } = model();
    const begunMs = Date.now();
    inventory.clockOffsetMs = 365 * 24 * 60 * 60_000;
    try {
      const { point, run } = await backUp('odd');
      expect(Date.parse(point.createdAt)).toBeGreaterThanOrEqual(begunMs);
      expect(Date.parse(point.createdAt)).toBeLessThanOrEqual(Date.now());
      expect(run.warnings).toEqual([expect.stringContaining('by vCenter and was taken at')]);
    } finally {
      inventory.clockOffsetMs = 0;
    }
    await nothingLeft();
  });

  it('are refused by modes that are not theirs, and by fields of VMs', async () => {
    const restorePointId = restoreOf().restorePointId;
    await expect(world.api.post('/api/v1/restores', { restorePointId, mode: 'copy', name: 'x' })).rejects.toThrow(
      'use mode first-class-disk',
    );
    const withVms = await world.restore(restoreOf({ vms: ['web'] }));
    expect(withVms.error?.message).toContain('Mode first-class-disk takes no vms');
    await expect(world.api.post('/api/v1/restores/plan', restoreOf({ choices: { datastore: 'nowhere' } }))).rejects.toThrow(
      'choices.datastore is "nowhere"',
    );
  });
});
