import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vixTarget } from '../../src/clouds/index.js';
import { VsphereClient, type VsphereError, PRIVILEGES } from '../../src/vsphere/index.js';
import { VsphereModel } from '../simulator/model/index.js';
import { serverCertificate } from '../simulator/tls.js';
import { PRIVILEGE_IDS } from '../simulator/vsphere/accounts.js';
import { METHOD_PRIVILEGES } from '../simulator/vsphere/method-privileges.js';
import { VcenterServer } from '../simulator/vsphere/index.js';
import { Workshop } from './vddk-fixtures.js';

/** What the account may do, asked beforehand and refused at the call: against the simulated vCenter. */
const MIB = 1024 * 1024;
const ADMINISTRATOR = { userName: 'administrator@vsphere.local', password: 'simulated-pa55word' };
const account = (name: string) => ({ userName: `${name}@vsphere.local`, password: `pa55-of-${name}` });
const NEEDED = PRIVILEGES.map(({ id }) => id);
const workshop = new Workshop();
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let vmMoRef: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vsphere-privileges-'));
  model = await VsphereModel.open({ dataDir, networkNames: ['VM Network'], hostNames: ['esx-a', 'esx-b'], datastoreNames: ['one', 'two'] });
  const certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', []);
  server = new VcenterServer({
    model,
    ...certificate,
    ...ADMINISTRATOR,
    accounts: [
      { ...account('exact'), privileges: NEEDED },
      { ...account('reader'), privileges: [] },
      { ...account('lacking'), without: ['VirtualMachine.State.RemoveSnapshot', 'Cryptographer.Access'] },
      { ...account('unpropagated'), propagate: false },
    ],
    taskTiming: { minMs: 1, maxMs: 5 },
  });
  await server.listen();
  const datastoreName = model.datastores()[0]?.name ?? '';
  const places = { folderMoRef: model.vmFolderMoRef, resourcePoolMoRef: model.rootResourcePoolMoRef, datastoreName };
  const disks = [{ capacityBytes: 2 * MIB, thin: true }];
  const nics = [{ networkMoRef: model.networks()[0]?.moRef ?? '', macAddress: '00:50:56:01:02:03' }];
  const hardware = { guestId: 'debian12_64Guest', firmware: 'bios' as const, cpuCount: 1, memoryMib: 64, annotation: '', extraConfig: {} };
  vmMoRef = (await model.createVm({ name: 'web', ...places, ...hardware, controllers: [{ adapterType: 'paraVirtual' }], disks, nics }))
    .moRef;
});

afterAll(async () => {
  await workshop.clear();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function as<T>(who: { userName: string; password: string }, work: (client: VsphereClient) => Promise<T>): Promise<T> {
  const trust = { thumbprint: server.thumbprintSha1 };
  const client = await VsphereClient.connect({ url: server.url, ...who, trust });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
const lackedBy = (name: string) =>
  as(account(name), async ({ survey }) => new Map((await survey.missingPrivileges()).map(({ id, on }) => [id, on])));

describe('the table of privileges', () => {
  it('has what the methods of our WSDL ask for, and nothing vSphere does not know', async () => {
    const wsdl = await readFile(new URL('../../src/vsphere/wsdl/vim25-vadp.wsdl', import.meta.url), 'utf8');
    const methods = new Set([...wsdl.matchAll(/<wsdl:operation name="(\w+)"/g)].map(([, name]) => name as string));
    const privileges = await readFile(new URL('../simulator/vsphere/method-privileges.ts', import.meta.url), 'utf8');
    const fixed = [...methods].flatMap((method) => {
      const line = new RegExp(`^ {2}${method}: on\\w+\\('([\\w.]+)'\\)`, 'm').exec(privileges);
      return line === null ? [] : [line[1] as string];
    });
    expect(fixed.length).toBeGreaterThan(4);
    expect(fixed.filter((id) => !NEEDED.includes(id))).toEqual([]);
    expect([...methods].filter((method) => /_Task$/.test(method) && METHOD_PRIVILEGES[method] === undefined)).toEqual([]);
    expect(NEEDED.filter((id) => !PRIVILEGE_IDS.includes(id))).toEqual([]);
    expect(new Set(NEEDED).size).toBe(NEEDED.length);
  });
});

describe('privileges asked beforehand', () => {
  it('are all there for an administrator, and for an account that has exactly those', async () => {
    expect(await as(ADMINISTRATOR, ({ survey }) => survey.missingPrivileges())).toEqual([]);
    expect(await lackedBy('exact')).toEqual(new Map());
  });

  it('are named when they are missing, with their label, their purpose, and where', async () => {
    const missing = await as(account('lacking'), ({ survey }) => survey.missingPrivileges());
    expect(missing.map(({ id, label, purposes }) => [id, label, purposes])).toEqual([
      ['VirtualMachine.State.RemoveSnapshot', 'Virtual machine > Remove snapshot', ['backup', 'restore']],
      ['Cryptographer.Access', 'Cryptographic operations > Direct Access', ['encryption']],
    ]);
    expect(missing[0]?.on).toEqual(['vCenter', 'datacenter "DC0"']);
    expect([...(await lackedBy('reader')).keys()]).toEqual(NEEDED);
  });

  it('must be handed down: given at the root alone they are missing in the datacenter', async () => {
    const lacked = await lackedBy('unpropagated');
    expect([...lacked.keys()]).toEqual(NEEDED);
    expect(new Set([...lacked.values()].flat())).toEqual(new Set(['datacenter "DC0"']));
  });

  it('are asked by name where vCenter does not take the session’s key', async () => {
    server.rules.set([{ door: 'vcenter', method: 'HasPrivilegeOnEntities', effect: 'fault', fault: 'InvalidArgument' }]);
    expect([...(await lackedBy('lacking')).keys()]).toEqual(['VirtualMachine.State.RemoveSnapshot', 'Cryptographer.Access']);
    server.rules.clear();
  });

  it('are read from the account’s roles where it may ask neither way', async () => {
    server.rules.set([
      { door: 'vcenter', method: 'HasPrivilegeOnEntities', effect: 'fault', fault: 'NoPermission' },
      { door: 'vcenter', method: 'FetchUserPrivilegeOnEntities', effect: 'fault', fault: 'NoPermission' },
    ]);
    expect([...(await lackedBy('lacking')).keys()]).toEqual(['VirtualMachine.State.RemoveSnapshot', 'Cryptographer.Access']);
    expect(await lackedBy('exact')).toEqual(new Map());
    expect(new Set([...(await lackedBy('unpropagated')).values()].flat())).toEqual(new Set(['datacenter "DC0"']));
    server.rules.clear();
  });
});

describe('privileges refused at the call', () => {
  const refused = async (work: Promise<unknown>): Promise<string> => {
    const error = (await work.then(
      () => undefined,
      (reason: unknown) => reason,
    )) as VsphereError;
    expect(error?.code).toMatch(/^(NO_PERMISSION|FILE_TRANSFER_FAILED)$/);
    return error.message;
  };

  it('name the privilege that vCenter misses', async () => {
    await as(account('reader'), async (client) => {
      const snapshot = { name: 's', description: '', quiesce: false, timeoutMs: 10_000 };
      expect(await refused(client.createSnapshot(vmMoRef, snapshot))).toMatch(/the privilege "Virtual machine > Create snapshot"\.$/);
      expect(await refused(client.enableChangeTracking(vmMoRef))).toContain('"Virtual machine > Toggle disk change tracking"');
      expect(await refused(client.destroyVm(vmMoRef))).toContain('"Virtual machine > Remove"');
      expect(await refused(client.unregisterVm(vmMoRef))).toContain('"Virtual machine > Unregister"');
      expect(await refused(client.powerOff(vmMoRef))).toContain('"Virtual machine > Power off"');
      const { vmPath, configXml, disks } = await client.readVm(vmMoRef);
      expect(await refused(client.queryChangedAreas(vmMoRef, undefined, disks[0] as (typeof disks)[number], '*'))).toContain(
        'read-only disk access',
      );
      expect(await refused(client.downloadFile(vmPath, undefined, vmMoRef))).toContain('"Datastore > Browse datastore"');
      const place = { folderMoRef: model.vmFolderMoRef, resourcePoolMoRef: model.rootResourcePoolMoRef, datastoreName: 'one' };
      expect(await refused(client.createVm(configXml, 'copy', place, { keepIdentity: false }))).toContain('"Virtual machine > Create new"');
    });
    expect(model.vm(vmMoRef)?.name).toBe('web');
  });

  it('are none for an account with exactly those of the table: a backup’s and a restore’s calls go through', async () => {
    await as(account('exact'), async (client) => {
      await client.enableChangeTracking(vmMoRef);
      const snapshot = await client.createSnapshot(vmMoRef, { name: 's', description: '', quiesce: false, timeoutMs: 20_000 });
      const [disk] = await client.snapshotDisks(snapshot.moRef);
      if (disk !== undefined) await client.queryChangedAreas(vmMoRef, snapshot.moRef, disk, disk.changeId ?? '*');
      await client.removeSnapshot(vmMoRef, snapshot.moRef);
      const { vmPath, configXml } = await client.readVm(vmMoRef);
      const vmx = await client.downloadFile(vmPath, undefined, vmMoRef);
      await client.uploadFile(`${vmPath}.copy`, vmx, undefined, vmMoRef);
      const place = { folderMoRef: model.vmFolderMoRef, resourcePoolMoRef: model.rootResourcePoolMoRef, datastoreName: 'two' };
      const copy = await client.createVm(configXml, 'copy', place, { keepIdentity: false });
      await client.powerOff(copy);
      await client.destroyVm(copy);
    });
  });
});

describe('what there is in a vCenter', () => {
  it('hosts with their state, datastores with their type, VMs', async () => {
    await as(ADMINISTRATOR, async ({ survey }) => {
      const hosts = await survey.hosts();
      expect(
        hosts.map(({ name, connectionState, powerState, inMaintenanceMode }) => [name, connectionState, powerState, inMaintenanceMode]),
      ).toEqual([
        ['esx-a', 'connected', 'poweredOn', false],
        ['esx-b', 'connected', 'poweredOn', false],
      ]);
      const datastores = await survey.datastores();
      expect(datastores.map(({ name, type, accessible }) => [name, type, accessible])).toEqual([
        ['one', 'VMFS', true],
        ['two', 'VMFS', true],
      ]);
      expect(datastores.every(({ freeBytes, capacityBytes }) => freeBytes > 0 && freeBytes <= capacityBytes)).toBe(true);
      const vms: { name: string; hardwareVersion: string | undefined; changeTrackingSupported: boolean }[] = [];
      for await (const page of survey.vms()) vms.push(...page);
      expect(vms.map(({ name, changeTrackingSupported }) => [name, changeTrackingSupported])).toEqual([['web', true]]);
      expect(vms[0]?.hardwareVersion).toMatch(/^vmx-\d+$/);
      expect(Math.abs((await survey.currentTime()).getTime() - Date.now())).toBeLessThan(60_000);
    });
  });
});

describe('one login', () => {
  it('serves a hundred disks: VDDK connects with the session we have', async () => {
    const host = await workshop.startHost();
    const logins = () => server.rules.requests.filter(({ method }) => method === 'Login').length;
    const before = { logins: logins(), door: server.rules.requests.length };
    await as(account('exact'), async (client) => {
      const [disk] = (await client.readVm(vmMoRef)).disks;
      for (let n = 0; n < 100; n += 1) {
        const connection = await host.connect(vixTarget(client, vmMoRef), { readOnly: true, transportModes: 'nbdssl:nbd' });
        await (await connection.openDisk(disk?.path ?? '', {})).close();
        await connection.disconnect();
      }
    });
    const door = server.rules.requests.slice(before.door).filter((request) => request.door === 'vix' && request.outcome === 'ok');
    expect(door.filter(({ method }) => method === 'open')).toHaveLength(100);
    expect(logins() - before.logins).toBe(1);
  });
});
