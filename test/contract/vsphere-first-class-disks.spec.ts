import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FirstClassDisk, type NewFirstClassDisk, VsphereClient } from '../../src/vsphere/index.js';
import { attach, detach, readFromDisk, writeToDisk } from '../harness/first-class-disk-content.js';
import { VsphereModel } from '../simulator/model/index.js';
import { serverCertificate } from '../simulator/tls.js';
import { VcenterServer } from '../simulator/vsphere/index.js';

/** First class disks of the simulated vCenter through our client: every call and what it does there. */
const USER = 'administrator@vsphere.local';
const PASSWORD = 'simulated-pa55word';
const MIB = 2 ** 20;
const BLOCK = 65_536;
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let client: VsphereClient;
let fast: string;
let slow: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vsphere-fcd-'));
  model = await VsphereModel.open({
    dataDir,
    datastoreNames: ['fast', 'slow'],
    storagePolicies: [{ name: 'Gold', datastoreNames: ['fast'] }],
  });
  const certificate = await serverCertificate(join(dataDir, 'vcenter-certificate.json'), 'vcenter', []);
  server = new VcenterServer({ model, ...certificate, userName: USER, password: PASSWORD, taskTiming: { minMs: 1, maxMs: 5 } });
  await server.listen();
  const trust = { thumbprint: server.thumbprintSha1 };
  client = await VsphereClient.connect({ url: server.url, userName: USER, password: PASSWORD, trust });
  [fast, slow] = ['fast', 'slow'].map((name) => model.datastores().find((each) => each.name === name)?.moRef ?? '') as [string, string];
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

const make = (name: string, change: Partial<NewFirstClassDisk> = {}): Promise<FirstClassDisk> =>
  client.firstClassDisks.create({
    name,
    datastoreMoRef: fast,
    capacityMib: 8,
    provisioning: 'thin',
    keepAfterDeleteVm: true,
    policyId: undefined,
    metadata: [],
    ...change,
  });
const ids = async (datastoreMoRef: string) => (await client.firstClassDisks.list(datastoreMoRef)).sort();

describe('first class disks', () => {
  it('are made with everything they are asked to have, and read back so', async () => {
    const [gold] = await client.storagePolicies.list();
    const metadata = [
      { key: 'cns.containerCluster', value: 'prod & "test"' },
      { key: 'owner', value: 'Zoë' },
    ];
    const made = await make('orders <1>', { provisioning: 'eagerZeroedThick', keepAfterDeleteVm: false, policyId: gold?.id, metadata });
    const read = await client.firstClassDisks.read(made);
    expect(read).toMatchObject({ name: 'orders <1>', datastoreMoRef: fast, capacityBytes: 8 * MIB, provisioning: 'eagerZeroedThick' });
    expect(read).toMatchObject({ keepAfterDeleteVm: false, changeTrackingEnabled: false, encrypted: false, metadata, parentPaths: [] });
    expect(read.path).toMatch(/^\[fast\] fcd\/[0-9a-f]{32}\.vmdk$/);
    expect(await client.storagePolicies.ofFirstClassDisk(made.id)).toEqual(gold);

    await client.firstClassDisks.rename(made, 'orders');
    await client.firstClassDisks.setFlag(made, 'keepAfterDeleteVm', true);
    await client.firstClassDisks.writeMetadata(made, [{ key: 'owner', value: 'Ann' }], ['cns.containerCluster']);
    const changed = await client.firstClassDisks.read(made);
    expect(changed).toMatchObject({ name: 'orders', keepAfterDeleteVm: true, metadata: [{ key: 'owner', value: 'Ann' }] });

    await client.firstClassDisks.remove(made);
    await client.firstClassDisks.remove(made);
    expect(await ids(fast)).toEqual([]);
    await expect(client.firstClassDisks.read(made)).rejects.toMatchObject({ code: 'NOT_FOUND', subject: `first class disk "orders <1>"` });
  });

  it('are listed for each datastore and found wherever they are', async () => {
    const [a, b, c] = [await make('a'), await make('b', { datastoreMoRef: slow }), await make('c', { datastoreMoRef: slow })];
    expect([await ids(fast), await ids(slow)]).toEqual([[a.id], [b.id, c.id].sort()]);
    expect((await client.firstClassDisks.find(c.id, fast))?.datastoreMoRef).toBe(slow);
    expect((await client.firstClassDisks.find(c.id))?.name).toBe('c');
    expect(await client.firstClassDisks.find('00000000-0000-4000-8000-000000000000', slow)).toBeUndefined();
    for (const disk of [a, b, c]) await client.firstClassDisks.remove(disk);
  });

  it('tell what changed between two snapshots, past the first block, and go back', async () => {
    const disk = await make('tracked');
    await client.firstClassDisks.setFlag(disk, 'enableChangedBlockTracking', true);
    expect((await client.firstClassDisks.read(disk)).changeTrackingEnabled).toBe(true);
    await writeToDisk(model, 'tracked', 0, Buffer.alloc(BLOCK, 1));
    const first = await client.firstClassDisks.createSnapshot(disk, 'one', 60_000);
    const changeId = await client.firstClassDisks.snapshotChangeId(disk, first.id);
    await writeToDisk(model, 'tracked', 5 * MIB, Buffer.alloc(BLOCK, 2));
    const second = await client.firstClassDisks.createSnapshot(disk, 'two', 60_000);
    expect((await client.firstClassDisks.snapshots(disk)).map(({ id, description }) => [id, description])).toEqual([
      [first.id, 'one'],
      [second.id, 'two'],
    ]);
    const question = { ...disk, capacityBytes: 8 * MIB };
    expect(await client.firstClassDisks.queryChangedAreas(question, second.id, changeId ?? '')).toEqual([
      { offsetBytes: 5 * MIB, lengthBytes: BLOCK },
    ]);
    await expect(client.firstClassDisks.queryChangedAreas(question, second.id, `other/1`)).rejects.toMatchObject({
      code: 'CHANGE_TRACKING_LOST',
    });

    await client.firstClassDisks.revert(disk, first.id);
    expect((await client.firstClassDisks.snapshots(disk)).map(({ id }) => id)).toEqual([first.id]);
    expect([await readFromDisk(model, 'tracked', 0, 4), await readFromDisk(model, 'tracked', 5 * MIB, 4)]).toEqual([
      Buffer.alloc(4, 1),
      Buffer.alloc(4, 0),
    ]);
    await client.firstClassDisks.removeSnapshot(disk, first.id);
    await client.firstClassDisks.removeSnapshot(disk, first.id);
    expect(await client.firstClassDisks.snapshots(disk)).toEqual([]);
    await client.firstClassDisks.remove(disk);
  });

  it('have no change id while they are not tracked', async () => {
    const disk = await make('untracked');
    const { id } = await client.firstClassDisks.createSnapshot(disk, 'one', 60_000);
    expect(await client.firstClassDisks.snapshotChangeId(disk, id)).toBeUndefined();
    await expect(client.firstClassDisks.queryChangedAreas(disk, id, '*')).rejects.toMatchObject({ code: 'CHANGE_TRACKING_LOST' });
    await client.firstClassDisks.removeSnapshot(disk, id);
    await client.firstClassDisks.remove(disk);
  });

  it('name the VM that has one, and are let be meanwhile', async () => {
    const disk = await make('lent');
    const vm = await model.createVm({
      name: 'web',
      folderMoRef: model.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: 'fast',
      disks: [{ capacityBytes: MIB }],
    });
    expect((await client.firstClassDisks.attachments([disk])).get(disk.id) ?? []).toEqual([]);
    await attach(model, 'lent', vm.moRef);
    const [attachment] = (await client.firstClassDisks.attachments([disk])).get(disk.id) ?? [];
    expect(attachment?.vmId).toBe(vm.moRef);
    expect((await client.firstClassDisks.read(disk)).consumerIds).toEqual([vm.moRef]);
    await expect(client.firstClassDisks.remove(disk)).rejects.toMatchObject({ code: 'INVALID_STATE' });
    await detach(model, 'lent');
    await client.firstClassDisks.letTasksEnd(fast, 5_000);
    await client.firstClassDisks.remove(disk);
    expect(await ids(fast)).toEqual([]);
  });
});
