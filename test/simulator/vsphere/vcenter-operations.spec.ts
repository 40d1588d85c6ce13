import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseXml, trustingAgent, type XmlElement } from '../../../src/common/index.js';
import { serverCertificate } from '../tls.js';
import { type FaultRule, VcenterServer, VsphereModel, type SimVm } from './index.js';

const ACCOUNT = { userName: 'administrator@vsphere.local', password: 'Sim-vCenter-1!' };
const MIB = 1024 * 1024;
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let agent: https.Agent;
let cookie: string;
let vm: SimVm;
const recorded: { method: string; path: string; status: number }[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sim-vcenter-operations-'));
  model = await VsphereModel.open({ dataDir });
  const certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', ['127.0.0.1']);
  server = new VcenterServer({
    model,
    ...certificate,
    ...ACCOUNT,
    taskTiming: { minMs: 5, maxMs: 10 },
    recorder: ({ method, path, status }) => recorded.push({ method, path, status }),
  });
  await server.listen();
  agent = trustingAgent({ thumbprint: server.thumbprintSha1 });
  const [network, portGroup] = model.networks();
  vm = await model.createVm({
    name: 'web',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: 'ds-1',
    annotation: 'a "quoted" | line\nand another',
    cpuCount: 4,
    coresPerSocket: 2,
    firmware: 'efi',
    controllers: [{ adapterType: 'paraVirtual' }, { adapterType: 'lsiLogicSas' }],
    disks: [
      { capacityBytes: 2 * MIB + 512 },
      { capacityBytes: MIB, controllerIndex: 1, unitNumber: 3, thin: false, diskMode: 'independent_persistent' },
    ],
    nics: [
      { networkMoRef: portGroup?.moRef as string, macAddress: '00:50:56:01:02:03', adapterType: 'e1000e', connected: false },
      { networkMoRef: network?.moRef as string },
    ],
    extraConfig: { 'guestinfo.role': 'x = "y"|z' },
  });
  cookie = (
    await soap(
      'SessionManager',
      'SessionManager',
      'Login',
      `<userName>${ACCOUNT.userName}</userName><password>${ACCOUNT.password}</password>`,
    )
  ).cookie;
});
afterAll(async () => {
  agent?.destroy();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

interface Answer {
  status: number;
  text: string;
  cookie: string;
}

function send(method: string, path: string, body = '', signal?: AbortSignal): Promise<Answer> {
  const headers = cookie === undefined ? {} : { cookie };
  return new Promise((resolve, reject) => {
    const request = https.request({ agent, host: '127.0.0.1', port: server.port, path, method, headers, signal }, (response) => {
      let text = '';
      response.on('error', reject);
      response.on('data', (part: Buffer) => {
        text += part.toString();
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, cookie: (response.headers['set-cookie']?.[0] ?? '').split(';')[0] as string }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function soap(
  type: string,
  moRef: string,
  operation: string,
  args = '',
  signal?: AbortSignal,
): Promise<Answer & { body: XmlElement }> {
  const call = `<${operation} xmlns="urn:vim25"><_this type="${type}">${moRef}</_this>${args}</${operation}>`;
  const xml = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>${call}</e:Body></e:Envelope>`;
  const answer = await send('POST', '/sdk', xml, signal);
  return { ...answer, body: parseXml(answer.text).child('Body')?.elements()[0] as XmlElement };
}

const faultOf = (answer: { body: XmlElement }) => answer.body.child('detail')?.elements()[0]?.attribute('type');
const fetch = async (type: string, moRef: string, property: string) =>
  (await soap(type, moRef, 'Fetch', `<prop>${property}</prop>`)).body.child('returnval');

/** @returns the task's result, or the type of its fault. */
async function finished(answer: { body: XmlElement }): Promise<XmlElement | string | undefined> {
  const task = answer.body.textAt('returnval') as string;
  for (let tries = 0; tries < 200; tries += 1) {
    const info = await fetch('Task', task, 'info');
    if (info?.textAt('state') === 'success') return info.child('result');
    if (info?.textAt('state') === 'error') return info.find('error', 'fault')?.attribute('type');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${task} did not end`);
}

describe('registration', () => {
  it('brings back disks, NICs, controllers, identity and settings of an unregistered VM', async () => {
    const before = model.vm(vm.moRef) as SimVm;
    expect((await soap('VirtualMachine', vm.moRef, 'UnregisterVM')).status).toBe(200);
    expect(model.vm(vm.moRef)).toBeUndefined();
    const register = (path: string) =>
      soap(
        'Folder',
        model.vmFolderMoRef,
        'RegisterVM_Task',
        `<path>${path}</path><asTemplate>false</asTemplate><pool type="ResourcePool">${model.rootResourcePoolMoRef}</pool>`,
      ).then(finished);
    const made = (await register('[ds-1] web/web.vmx')) as XmlElement;
    const after = model.vm(made.text()) as SimVm;
    expect(after.moRef).not.toBe(vm.moRef);
    const unsaved = { moRef: '', snapshots: [], currentSnapshotMoRef: undefined };
    expect({ ...after, ...unsaved }).toEqual({ ...before, ...unsaved });
    expect(after.nics).toHaveLength(2);
    vm = after;
    expect(await register('[ds-1] web/web.vmx')).toBe('AlreadyExists');
    expect(await register('[ds-1] web/none.vmx')).toBe('NotFound');
  });

  it('refuses to unregister a running VM, and leaves NICs out whose network is gone', async () => {
    await model.powerOn(vm.moRef);
    expect(faultOf(await soap('VirtualMachine', vm.moRef, 'UnregisterVM'))).toBe('InvalidPowerState');
    await model.powerOff(vm.moRef);
    const group = model.createPortGroup('passing');
    const other = await model.createVm({
      name: 'other',
      folderMoRef: model.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: 'ds-1',
      nics: [{ networkMoRef: group.moRef }, { networkMoRef: model.networks()[0]?.moRef as string }],
    });
    await soap('VirtualMachine', other.moRef, 'UnregisterVM');
    model.remove(group.moRef);
    const args = `<path>[ds-1] other/other.vmx</path><name>again</name><asTemplate>false</asTemplate><pool type="ResourcePool">${model.rootResourcePoolMoRef}</pool>`;
    const made = (await finished(await soap('Folder', model.vmFolderMoRef, 'RegisterVM_Task', args))) as XmlElement;
    expect(model.vm(made.text())?.nics.map((nic) => nic.macAddress)).toEqual([other.nics[1]?.macAddress]);
    await model.destroyVm(made.text());
  });
});

describe('folders and views', () => {
  it('moves a VM, and a container view shows where it is', async () => {
    const folder = (await soap('Folder', model.vmFolderMoRef, 'CreateFolder', '<name>moved</name>')).body.textAt('returnval') as string;
    expect(
      await finished(await soap('Folder', folder, 'MoveIntoFolder_Task', `<list type="VirtualMachine">${vm.moRef}</list>`)),
    ).toBeUndefined();
    expect(model.vm(vm.moRef)?.folderMoRef).toBe(folder);
    const view = async (container: string, recursive: boolean) => {
      const args = `<container type="Folder">${container}</container><type>VirtualMachine</type><recursive>${recursive}</recursive>`;
      const made = (await soap('ViewManager', 'ViewManager', 'CreateContainerView', args)).body.textAt('returnval') as string;
      const found = (await fetch('ContainerView', made, 'view'))?.elements().map((each) => each.text()) ?? [];
      expect((await soap('View', made, 'DestroyView')).status).toBe(200);
      expect(faultOf(await soap('View', made, 'DestroyView'))).toBe('ManagedObjectNotFound');
      return found;
    };
    expect([await view(model.vmFolderMoRef, true), await view(model.vmFolderMoRef, false), await view(folder, false)]).toEqual([
      [vm.moRef],
      [],
      [vm.moRef],
    ]);
    await finished(await soap('Folder', model.vmFolderMoRef, 'MoveIntoFolder_Task', `<list type="VirtualMachine">${vm.moRef}</list>`));
    expect(await finished(await soap('Folder', folder, 'Destroy_Task'))).toBeUndefined();
  });

  it('changes and resets a list view', async () => {
    const listed = (name: string) => `<${name} type="VirtualMachine">${vm.moRef}</${name}>`;
    const view = (await soap('ViewManager', 'ViewManager', 'CreateListView')).body.textAt('returnval') as string;
    const shown = async () => (await fetch('ListView', view, 'view'))?.elements().length;
    await soap('ListView', view, 'ModifyListView', listed('add'));
    expect(await shown()).toBe(1);
    await soap('ListView', view, 'ModifyListView', listed('remove'));
    expect(await shown()).toBe(0);
    await soap('ListView', view, 'ResetListView', listed('obj'));
    expect(await shown()).toBe(1);
    expect(faultOf(await soap('ListView', 'view-0', 'ResetListView'))).toBe('ManagedObjectNotFound');
  });
});

describe('datastores', () => {
  const browse = async (operation: string, path: string, spec: string) => {
    const browser = `datastoreBrowser-${model.datastores()[0]?.moRef}`;
    const args = `<datastorePath>${path}</datastorePath><searchSpec>${spec}</searchSpec>`;
    return finished(await soap('HostDatastoreBrowser', browser, operation, args));
  };
  const details =
    '<details><fileType>true</fileType><fileSize>true</fileSize><modification>true</modification><fileOwner>false</fileOwner></details>';

  it('searches by kind and pattern, and tells only the details asked for', async () => {
    const disks = (await browse('SearchDatastore_Task', '[ds-1] web', `<query xsi:type="VmDiskFileQuery"/>${details}`)) as XmlElement;
    const files = disks.childrenNamed('file');
    expect(files.map((file) => [file.attribute('type', 'http://www.w3.org/2001/XMLSchema-instance'), file.textAt('path')])).toEqual([
      ['VmDiskFileInfo', 'web.vmdk'],
      ['VmDiskFileInfo', 'web_1.vmdk'],
    ]);
    expect(Number(files[0]?.textAt('fileSize'))).toBeGreaterThan(100);
    const plain = (await browse('SearchDatastore_Task', '[ds-1] web', '<matchPattern>*-FLAT.vmdk</matchPattern>')) as XmlElement;
    expect(plain.childrenNamed('file').map((file) => [file.textAt('path'), file.textAt('fileSize')])).toEqual([
      ['web-flat.vmdk', undefined],
      ['web_1-flat.vmdk', undefined],
    ]);
    const tree = (await browse('SearchDatastoreSubFolders_Task', '[ds-1]', `<matchPattern>*.vmx</matchPattern>`)) as XmlElement;
    expect(tree.elements().map((each) => [each.textAt('folderPath'), each.childrenNamed('file').length])).toEqual([
      ['[ds-1]', 0],
      ['[ds-1] web/', 1],
    ]);
    expect(await browse('SearchDatastore_Task', '[ds-1] nothing', details)).toBe('FileNotFound');
  });

  it('tells the space that the file system has now', async () => {
    const store = model.datastores()[0];
    const before = Number((await fetch('Datastore', store?.moRef as string, 'summary'))?.textAt('freeSpace'));
    await writeFile(join(store?.directory as string, 'ballast'), Buffer.alloc(64 * MIB, 7));
    const after = (await fetch('Datastore', store?.moRef as string, 'summary')) as XmlElement;
    await rm(join(store?.directory as string, 'ballast'));
    expect(Number(after.textAt('freeSpace'))).not.toBe(before);
    expect(Number(after.textAt('capacity'))).toBeGreaterThan(Number(after.textAt('freeSpace')));
    expect(model.datastores()[0]?.capacityBytes).toBe(Number(after.textAt('capacity')));
  });

  it('takes dcPath with a first slash too, and records every file request', async () => {
    recorded.length = 0;
    const target = (name: string, datacenter: string) => `/folder/web/${name}?dcPath=${encodeURIComponent(datacenter)}&dsName=ds-1`;
    expect((await send('PUT', target('a%20b', '/DC0'), 'content')).status).toBe(201);
    expect(await send('GET', target('a%20b', 'DC0'))).toMatchObject({ status: 200, text: 'content' });
    expect((await send('GET', target('none', 'DC0'))).status).toBe(404);
    expect((await send('DELETE', target('a%20b', 'DC0'))).status).toBe(204);
    expect(recorded.map(({ method, path, status }) => [method, path.split('?')[0], status])).toEqual([
      ['PUT /folder', '/folder/web/a%20b', 201],
      ['GET /folder', '/folder/web/a%20b', 200],
      ['GET /folder', '/folder/web/none', 404],
      ['DELETE /folder', '/folder/web/a%20b', 204],
    ]);
  });
});

describe('tasks and faults', () => {
  it('cancels a task that may be cancelled, and no other', async () => {
    const slow = new VcenterServer({
      model,
      ...(await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', ['127.0.0.1'])),
      ...ACCOUNT,
      taskTiming: { minMs: 400, maxMs: 400 },
    });
    await slow.listen();
    const [fast, mine] = [server, cookie];
    try {
      server = slow;
      cookie = (
        await soap(
          'SessionManager',
          'SessionManager',
          'Login',
          `<userName>${ACCOUNT.userName}</userName><password>${ACCOUNT.password}</password>`,
        )
      ).cookie;
      const edit = await soap('VirtualMachine', vm.moRef, 'ReconfigVM_Task', '<spec><annotation>never</annotation></spec>');
      expect((await soap('Task', edit.body.textAt('returnval') as string, 'CancelTask')).status).toBe(200);
      expect(await finished(edit)).toBe('RequestCanceled');
      expect(model.vm(vm.moRef)?.annotation).not.toBe('never');
      expect(faultOf(await soap('Task', edit.body.textAt('returnval') as string, 'CancelTask'))).toBe('InvalidState');
      const power = await soap('VirtualMachine', vm.moRef, 'PowerOnVM_Task');
      expect(faultOf(await soap('Task', power.body.textAt('returnval') as string, 'CancelTask'))).toBe('NotSupported');
      await finished(power);
      await model.powerOff(vm.moRef);
    } finally {
      [server, cookie] = [fast, mine];
      await slow.close();
    }
  });

  it('drops a connection, and hangs until the client goes', async () => {
    const rule = (effect: FaultRule['effect'], method: string): FaultRule => ({ door: 'vcenter', method, effect, times: 1 });
    server.rules.add(rule('drop', 'CurrentTime'));
    server.rules.add(rule('drop', 'GET /folder'));
    await expect(soap('ServiceInstance', 'ServiceInstance', 'CurrentTime')).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect((await soap('ServiceInstance', 'ServiceInstance', 'CurrentTime')).status).toBe(200);
    await expect(send('GET', '/folder/web/web.vmx?dcPath=DC0&dsName=ds-1')).rejects.toThrow(/socket hang up|ECONNRESET/);
    server.rules.clear();
    server.rules.add(rule('hang', 'CurrentTime'));
    await expect(soap('ServiceInstance', 'ServiceInstance', 'CurrentTime', '', AbortSignal.timeout(300))).rejects.toThrow(/abort/i);
    expect((await soap('ServiceInstance', 'ServiceInstance', 'CurrentTime')).status).toBe(200);
    server.rules.clear();
  });

  it('takes a disk size by whichever of its two fields was changed', async () => {
    const disk = model.vm(vm.moRef)?.disks[0];
    const grow = async (kib: number, bytes: number | undefined) => {
      const capacity = `<capacityInKB>${kib}</capacityInKB>${bytes === undefined ? '' : `<capacityInBytes>${bytes}</capacityInBytes>`}`;
      const device = `<device xsi:type="VirtualDisk"><key>${disk?.key}</key><controllerKey>1000</controllerKey><unitNumber>0</unitNumber>${capacity}</device>`;
      const outcome = await finished(
        await soap(
          'VirtualMachine',
          vm.moRef,
          'ReconfigVM_Task',
          `<spec><deviceChange><operation>edit</operation>${device}</deviceChange></spec>`,
        ),
      );
      return outcome ?? model.vm(vm.moRef)?.disks[0]?.capacityBytes;
    };
    expect(await grow(2048, undefined)).toBe(2 * MIB + 512);
    expect(await grow(2048, 3 * MIB)).toBe(3 * MIB);
    expect(await grow(4096, 3 * MIB)).toBe(4 * MIB);
    expect(await grow(5 * 1024, 6 * MIB)).toBe('InvalidDeviceSpec');
    expect(await grow(1024, 4 * MIB)).toBe('InvalidDeviceSpec');
  });

  it('tells the API versions before login, and every property singly', async () => {
    expect((await send('GET', '/sdk/vimServiceVersions.xml')).text).toContain('<name>urn:vim25</name><version>8.0.3.0</version>');
    expect(await fetch('VirtualMachine', vm.moRef, 'snapshot')).toBeUndefined();
    const group = model.networks().find((network) => network.kind === 'DistributedVirtualPortgroup');
    expect((await fetch('DistributedVirtualPortgroup', group?.moRef as string, 'config'))?.textAt('uplink')).toBe('false');
    expect(faultOf(await soap('VirtualMachine', vm.moRef, 'Fetch', '<prop>nonsense</prop>'))).toBe('InvalidProperty');
  });
});

describe('state.json', () => {
  it('comes back with its snapshots standing, which then can be read through and removed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sim-reload-'));
    const first = await VsphereModel.open({ dataDir: folder });
    const made = await first.createVm({
      name: 'kept',
      folderMoRef: first.vmFolderMoRef,
      resourcePoolMoRef: first.rootResourcePoolMoRef,
      datastoreName: 'ds-1',
      disks: [{ capacityBytes: MIB }],
    });
    const key = made.disks[0]?.key as number;
    await first.guest.write(made.moRef, key, 0, Buffer.from('one'));
    await first.createSnapshot(made.moRef, { name: 'a' });
    await first.guest.write(made.moRef, key, 4096, Buffer.from('two'));
    const second = await first.createSnapshot(made.moRef, { name: 'b' });
    const hash = await first.guest.contentHash(made.moRef, key);
    await first.close();

    const again = await VsphereModel.open({ dataDir: folder });
    try {
      expect(again.vm(made.moRef)?.snapshots.map((snapshot) => snapshot.name)).toEqual(['a', 'b']);
      expect(again.vm(made.moRef)?.currentSnapshotMoRef).toBe(second.moRef);
      expect(await again.guest.contentHash(made.moRef, key)).toBe(hash);
      const third = await again.createSnapshot(made.moRef, { name: 'c' });
      expect(third.moRef).not.toBe(second.moRef);
      await again.removeAllSnapshots(made.moRef);
      expect(again.vm(made.moRef)?.disks[0]?.path).toBe('[ds-1] kept/kept.vmdk');
      expect(await again.guest.contentHash(made.moRef, key)).toBe(hash);
    } finally {
      await again.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
