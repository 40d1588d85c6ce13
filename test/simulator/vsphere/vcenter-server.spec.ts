import { mkdtemp, rm } from 'node:fs/promises';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseXml, trustingAgent, type XmlElement } from '../../../src/common/index.js';
import { VsphereClient } from '../../../src/vsphere/index.js';
import * as https from 'node:https';
import { serverCertificate } from '../tls.js';
import { VcenterServer, VsphereModel, type SimVm } from './index.js';

const PASSWORD = 'Sim-vCenter-1!';
const USER = 'administrator@vsphere.local';
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let agent: https.Agent;
let vm: SimVm;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sim-vcenter-'));
  model = await VsphereModel.open({ dataDir });
  const certificate = await serverCertificate(join(dataDir, 'vcenter-certificate.json'), 'vcenter', ['127.0.0.1']);
  server = new VcenterServer({
    model,
    certificatePem: certificate.certificatePem,
    privateKeyPem: certificate.privateKeyPem,
    userName: USER,
    password: PASSWORD,
    taskTiming: { minMs: 5, maxMs: 20 },
  });
  await server.listen();
  agent = trustingAgent({ thumbprint: server.thumbprintSha1 });
  vm = await model.createVm({
    name: 'web',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: 'ds-1',
    disks: [{ capacityBytes: 10 * 1024 * 1024 }, { capacityBytes: 5 * 1024 * 1024 + 512 }],
    nics: [{ networkMoRef: model.networks()[1]?.moRef as string, macAddress: '00:50:56:01:02:03' }],
  });
});
afterAll(async () => {
  agent?.destroy();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function soap(body: string, cookie = ''): Promise<{ status: number; body: XmlElement; cookie: string }> {
  const envelope = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>${body}</e:Body></e:Envelope>`;
  return new Promise((resolve, reject) => {
    const request = https.request(
      { agent, host: '127.0.0.1', port: server.port, path: '/sdk', method: 'POST', headers: { cookie } },
      (response) => {
        let text = '';
        response.on('data', (part: Buffer) => {
          text += part.toString();
        });
        response.on('end', () => {
          const root = parseXml(text).child('Body')?.elements()[0] as XmlElement;
          resolve({
            status: response.statusCode ?? 0,
            body: root,
            cookie: (response.headers['set-cookie']?.[0] ?? '').split(';')[0] as string,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(envelope);
  });
}

const method = (name: string, self: string, args = '') =>
  `<${name} xmlns="urn:vim25"><_this type="${self}">${self}</_this>${args}</${name}>`;
const login = async () =>
  (await soap(method('Login', 'SessionManager', `<userName>${USER}</userName><password>${PASSWORD}</password>`))).cookie;
const faultType = (answer: { body: XmlElement }) => answer.body.child('detail')?.elements()[0]?.attribute('type');
const collector = (name: string, args: string) =>
  `<${name} xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this>${args}</${name}>`;

describe('the SOAP door', () => {
  it('refuses what vCenter refuses', async () => {
    const cookie = await login();
    const snapshot = (inner: string) =>
      soap(`<CreateSnapshot_Task xmlns="urn:vim25"><_this type="VirtualMachine">${vm.moRef}</_this>${inner}</CreateSnapshot_Task>`, cookie);
    expect(faultType(await soap(method('Login', 'SessionManager', `<userName>${USER}</userName><password>wrong</password>`)))).toBe(
      'InvalidLogin',
    );
    expect(faultType(await soap(method('SessionIsActive', 'SessionManager', '<sessionID>x</sessionID><userName>y</userName>')))).toBe(
      'NotAuthenticated',
    );
    expect(faultType(await soap(method('NoSuchMethod', 'SessionManager'), cookie))).toBe('MethodNotFound');
    expect(faultType(await snapshot('<description>d</description><name>n</name><memory>false</memory><quiesce>false</quiesce>'))).toBe(
      'InvalidRequest',
    );
    expect(faultType(await snapshot('<name>n</name><memory>false</memory>'))).toBe('InvalidRequest');
    expect(faultType(await snapshot('<name>n</name><memory>false</memory><quiesce>false</quiesce><more>1</more>'))).toBe('InvalidRequest');
    expect(
      faultType(await soap('<PowerOnVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">vm-999</_this></PowerOnVM_Task>', cookie)),
    ).toBe('ManagedObjectNotFound');
    expect(model.vm(vm.moRef)?.snapshots).toEqual([]);
  });

  it('tells who is not logged in no property, and says so of each', async () => {
    const spec =
      '<specSet><propSet><type>Folder</type><all>false</all><pathSet>name</pathSet></propSet>' +
      '<objectSet><obj type="Folder">group-d1</obj><skip>false</skip></objectSet></specSet>';
    const { body } = await soap(collector('RetrievePropertiesEx', `${spec}<options/>`));
    const object = body.find('returnval', 'objects');
    expect([object?.textAt('obj'), object?.child('propSet'), object?.textAt('missingSet', 'path')]).toEqual([
      'group-d1',
      undefined,
      'name',
    ]);
    expect(object?.find('missingSet', 'fault', 'fault')?.attribute('type')).toBe('NotAuthenticated');
  });

  it('pages properties, with a token that can be used once', async () => {
    const cookie = await login();
    const spec =
      '<specSet><propSet><type>ManagedEntity</type><all>false</all><pathSet>name</pathSet></propSet>' +
      `<objectSet><obj type="Folder">${model.inventory.state.rootFolderMoRef}</obj><skip>false</skip>` +
      '<selectSet xsi:type="TraversalSpec"><name>f</name><type>Folder</type><path>childEntity</path><skip>false</skip><selectSet><name>f</name></selectSet><selectSet><name>d</name></selectSet></selectSet>' +
      '<selectSet xsi:type="TraversalSpec"><name>d</name><type>Datacenter</type><path>vmFolder</path><skip>false</skip><selectSet><name>f</name></selectSet></selectSet>' +
      '</objectSet></specSet>';
    const first = await soap(collector('RetrievePropertiesEx', `${spec}<options><maxObjects>2</maxObjects></options>`), cookie);
    const page = first.body.child('returnval');
    const token = page?.textAt('token');
    expect([page?.childrenNamed('objects').length, typeof token]).toEqual([2, 'string']);
    const next = collector('ContinueRetrievePropertiesEx', `<token>${token}</token>`);
    const second = (await soap(next, cookie)).body.child('returnval');
    const names = [page, second].flatMap((each) => each?.childrenNamed('objects') ?? []).map((each) => each.textAt('propSet', 'val'));
    expect(names).toEqual(['Datacenters', 'DC0', 'vm', 'web']);
    expect((await soap(next, cookie)).status).toBe(500);
    const bad = spec.replace('pathSet>name<', 'pathSet>nonsense<');
    expect(faultType(await soap(collector('RetrievePropertiesEx', `${bad}<options/>`), cookie))).toBe('InvalidProperty');
  });

  it('gives a whole, schema-valid configuration, and injected faults once', async () => {
    const cookie = await login();
    const ask = () =>
      soap(
        collector(
          'RetrievePropertiesEx',
          `<specSet><propSet><type>VirtualMachine</type><all>true</all></propSet><objectSet><obj type="VirtualMachine">${vm.moRef}</obj></objectSet></specSet><options/>`,
        ),
        cookie,
      );
    server.rules.add({ door: 'vcenter', method: 'RetrievePropertiesEx', effect: 'fault', fault: 'HostConnectFault', times: 1 });
    expect(faultType(await ask())).toBe('HostConnectFault');
    const { decodeSequence } = await import('./codec.js');
    const { schema } = await import('./schema/schema.js');
    const properties = (await ask()).body.child('returnval')?.child('objects')?.childrenNamed('propSet') ?? [];
    expect(properties.length).toBeGreaterThan(10);
    for (const name of ['config', 'runtime', 'summary', 'guest', 'capability', 'layoutEx']) {
      const val = properties.find((property) => property.textAt('name') === name)?.child('val') as XmlElement;
      expect(() => decodeSequence(val, schema.fields(val.attribute('type') as string) ?? [], name)).not.toThrow();
    }
    server.rules.clear();
  });
});

describe('the product client', () => {
  it('logs in, tracks changes, makes, reads and removes a snapshot, and finds its session again', async () => {
    const client = await VsphereClient.connect({
      url: server.url,
      userName: USER,
      password: PASSWORD,
      trust: { thumbprint: server.thumbprintSha1 },
    });
    try {
      await client.enableChangeTracking(vm.moRef);
      const first = await client.createSnapshot(vm.moRef, { name: 'first', description: '', quiesce: false, timeoutMs: 10_000 });
      const [disk] = await client.snapshotDisks(first.moRef);
      expect(disk).toMatchObject({ path: '[ds-1] web/web.vmdk', capacityBytes: 10 * 1024 * 1024 });
      await model.guest.write(vm.moRef, disk?.deviceKey as number, 65536, Buffer.from('changed'));
      await client.removeSnapshot(vm.moRef, first.moRef);
      server.expireSessions();
      const second = await client.createSnapshot(vm.moRef, { name: 'second', description: '', quiesce: false, timeoutMs: 10_000 });
      const question = { deviceKey: disk?.deviceKey as number, capacityBytes: disk?.capacityBytes as number };
      expect(await client.queryChangedAreas(vm.moRef, second.moRef, question, disk?.changeId as string)).toEqual([
        { offsetBytes: 65536, lengthBytes: 65536 },
      ]);
      await client.removeSnapshot(vm.moRef, second.moRef);

      const configuration = await client.readVm(vm.moRef);
      expect(configuration.disks.map((each) => each.capacityBytes)).toEqual([10 * 1024 * 1024, 5 * 1024 * 1024 + 512]);
      const placement = await client.placementOptions(model.rootResourcePoolMoRef);
      const copy = await client.createVm(
        configuration.configXml,
        'restored',
        { folderMoRef: placement.vmFolderMoRef, resourcePoolMoRef: model.rootResourcePoolMoRef, datastoreName: 'ds-1' },
        { keepIdentity: false },
      );
      expect(model.vm(copy)?.disks.map((each) => each.capacityBytes)).toEqual([10 * 1024 * 1024, 5 * 1024 * 1024 + 512]);
      const nvram = await client.downloadFile('[ds-1] web/web.nvram');
      await client.uploadFile('[ds-1] restored/restored.nvram', nvram);
      expect((await client.downloadFile('[ds-1] restored/restored.nvram')).equals(nvram)).toBe(true);
      await client.destroyVm(copy);
      expect(model.vm(copy)).toBeUndefined();
    } finally {
      await client.close();
    }
  });
});

describe('the vix door', () => {
  async function talk(requests: Record<string, unknown>[]): Promise<Record<string, unknown>[]> {
    const socket = net.connect(server.port, '127.0.0.1');
    const answers: Record<string, unknown>[] = [];
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    socket.write('VIXSIM/1\n');
    for (const request of requests) {
      socket.write(`${JSON.stringify(request)}\n`);
      const { value } = await lines.next();
      answers.push(JSON.parse(value as string) as Record<string, unknown>);
    }
    socket.destroy();
    return answers;
  }

  it('gives out the chain of a snapshot, and refuses a running disk, a bad password and a wrong thumbprint', async () => {
    const hello = { op: 'hello', thumbprint: server.thumbprintSha1 };
    const auth = { op: 'auth', kind: 'password', userName: USER, password: PASSWORD };
    const path = model.vm(vm.moRef)?.disks[0]?.path;
    const open = { op: 'open', path, readOnly: true, singleLink: false, compression: 0 };
    const connect = (snapshot: string | null) => ({ op: 'connect', vm: vm.moRef, snapshot, readOnly: true, transportModes: 'nbdssl:nbd' });
    expect((await talk([{ ...hello, thumbprint: 'AA:BB' }]))[0]).toMatchObject({ ok: false, vixError: 1 });
    expect((await talk([hello, { ...auth, password: 'no' }]))[1]).toMatchObject({ ok: false, vixError: 35 });
    expect((await talk([hello, { op: 'auth', kind: 'session', cookie: 'abc', userName: USER }]))[1]).toMatchObject({ vixError: 3047 });
    await model.powerOn(vm.moRef);
    expect((await talk([hello, auth, connect(null), open]))[3]).toMatchObject({ ok: false, vixError: 13 });
    const first = await model.createSnapshot(vm.moRef, { name: 'a' });
    const second = await model.createSnapshot(vm.moRef, { name: 'b' });
    const frozen = (path as string).replace('.vmdk', '-000001.vmdk');
    const answers = await talk([
      hello,
      auth,
      connect(second.moRef),
      { ...open, path: frozen },
      { op: 'close', handle: '1' },
      { op: 'bye' },
    ]);
    expect(answers[3]).toMatchObject({
      ok: true,
      capacitySectors: '20480',
      links: [{ format: 'sesparse' }, { format: 'flat', offsetSectors: '0' }],
    });
    expect(answers.slice(4)).toMatchObject([{ ok: true }, { ok: true }]);
    expect((await talk([hello, auth, connect(first.moRef), { ...open, path: frozen }]))[3]).toMatchObject({ vixError: 4 });
    await model.removeAllSnapshots(vm.moRef);
    await model.powerOff(vm.moRef);
  });

  it('lets one writer in when the VM is off, and marks what it wrote', async () => {
    const disk = model.vm(vm.moRef)?.disks[0];
    const requests = [
      { op: 'hello', thumbprint: server.thumbprintSha1 },
      { op: 'auth', kind: 'password', userName: USER, password: PASSWORD },
      { op: 'connect', vm: vm.moRef, snapshot: null, readOnly: false, transportModes: 'nbdssl' },
      { op: 'open', path: disk?.path, readOnly: false, singleLink: false, compression: 0 },
      { op: 'written', handle: '1', extents: [['256', '8']] },
      { op: 'setMetadata', handle: '1', key: 'toolsVersion', value: '12352' },
      { op: 'open', path: disk?.path, readOnly: false, singleLink: false, compression: 0 },
    ];
    const answers = await talk(requests);
    expect(answers.slice(3, 6).every((answer) => answer.ok === true)).toBe(true);
    expect(answers[6]).toMatchObject({ ok: false, vixError: 15 });
  });
});
