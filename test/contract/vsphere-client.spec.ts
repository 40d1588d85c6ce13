import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CancelledError, TimeoutError, trustingAgent } from '../../src/common/index.js';
import { VcenterTransport } from '../../src/vsphere/transport.js';
import { Fault, HANG_UP, PASSWORD, type ScriptedVcenter, SILENCE, USER } from './scripted-vcenter.js';
import { connect, failureOf, inventory, SNAPSHOTS, useScriptedVcenter, vcenter } from './vsphere-fixtures.js';

useScriptedVcenter();

const CONFIG = `<val xsi:type="VirtualMachineConfigInfo"><name>web%2f1</name><version>vmx-19</version><uuid>4211aa00-0000-0000-0000-000000000001</uuid>
  <instanceUuid>5011bb00-0000-0000-0000-000000000002</instanceUuid><guestId>debian11_64Guest</guestId><files><vmPathName>[ds 1] web/web.vmx</vmPathName></files>
  <hardware><numCPU>3</numCPU><memoryMB>1536</memoryMB>
   <device xsi:type="VirtualDisk"><key>2000</key><deviceInfo><label>Hard disk 1</label></deviceInfo><backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>[ds 1] web/web-000002.vmdk</fileName>
    <diskMode>persistent</diskMode><thinProvisioned>true</thinProvisioned><uuid>6000C29a-1</uuid><changeId>52 aa/7</changeId></backing><controllerKey>1000</controllerKey><unitNumber>0</unitNumber>
    <capacityInKB>4503599627370496</capacityInKB><capacityInBytes>1073742336</capacityInBytes></device></hardware>
  <extraConfig xsi:type="OptionValue"><key>disk.EnableUUID</key><value xsi:type="xsd:string">TRUE</value></extraConfig><changeTrackingEnabled>true</changeTrackingEnabled></val>`;

describe('connecting', () => {
  it('logs in, speaks the server’s version, and gives VDDK cookie and thumbprint of the verified certificate', async () => {
    const client = await connect();
    expect([client.instanceUuid, client.apiVersion]).toEqual(['2e7bdc1f-57a3-4a86-8f43-8f6a3c8f2a11', '8.0.2.0']);
    const credentials = client.vixCredentials();
    expect(credentials).toEqual({
      host: '127.0.0.1',
      port: Number(new URL(vcenter.url).port),
      thumbprint: vcenter.thumbprint,
      cookie: '5e55-10n-1',
      userName: USER,
    });
    vcenter.on('FindByUuid', '<returnval type="VirtualMachine">vm-16</returnval>');
    expect(await client.findVmByInstanceUuid('5011bb00-0000-0000-0000-000000000002')).toBe('vm-16');
    expect(vcenter.of('FindByUuid')[0]?.soapAction).toBe('"urn:vim25/8.0.2.0"');
    expect(
      vcenter
        .of('FindByUuid')[0]
        ?.body.elements()
        .map((e) => e.local),
    ).toEqual(['_this', 'uuid', 'vmSearch', 'instanceUuid']);
  });

  it('trusts an authority too, and nobody unknown', async () => {
    await connect({ trust: { caPem: vcenter.certificatePem } });
    const seen = vcenter.calls.length;
    const error = await failureOf(connect({ trust: {} }));
    expect(error.code).toBe('CERTIFICATE_UNTRUSTED');
    expect(vcenter.calls.length).toBe(seen);
  });

  it('takes a SHA-256 thumbprint as well, and refuses what is none', async () => {
    await connect({ trust: { thumbprint: new X509Certificate(vcenter.certificatePem).fingerprint256.toLowerCase() } });
    expect((await failureOf(connect({ trust: { thumbprint: 'none' } }))).code).toBe('BAD_THUMBPRINT');
  });

  it('sends nothing to a server with another thumbprint', async () => {
    const error = await failureOf(connect({ trust: { thumbprint: 'AB'.repeat(20) } }));
    expect([error.code, error.retryable]).toEqual(['CERTIFICATE_UNTRUSTED', false]);
    expect(error.message).toContain(vcenter.thumbprint);
    expect(vcenter.calls).toEqual([]);
  });

  it('tells a wrong password apart', async () => {
    const error = await failureOf(connect({ password: `${PASSWORD}x` }));
    expect([error.code, error.retryable]).toEqual(['LOGIN_REFUSED', false]);
    expect(error.message).toContain(USER);
  });

  it('tells an unreachable server apart, and takes it for passing', async () => {
    const error = await failureOf(connect({ url: 'https://127.0.0.1:1/sdk' }));
    expect([error.code, error.retryable]).toEqual(['UNREACHABLE', true]);
  });

  it.each([
    ['another web server', (v: ScriptedVcenter) => (v.plainAnswer = { status: 404, body: '<html><p>nothing here' })],
    ['a single ESXi host', (v: ScriptedVcenter) => (v.apiType = 'HostAgent')],
  ])('refuses %s', async (_, change) => {
    change(vcenter);
    const error = await failureOf(connect());
    expect(error.code).toBe('NOT_A_VCENTER');
  });

  it('refuses a server without TLS', async () => {
    const plain = http.createServer((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const error = await failureOf(connect({ url: `https://127.0.0.1:${(plain.address() as AddressInfo).port}` }));
    await new Promise((resolve) => plain.close(resolve));
    expect(error.code).toBe('NOT_A_VCENTER');
  });

  it('refuses an address with a password in it, without repeating it', async () => {
    const error = await failureOf(connect({ url: `https://root:${encodeURIComponent(PASSWORD)}@127.0.0.1/` }));
    expect(error.code).toBe('BAD_ADDRESS');
  });
});

describe('a server that takes the connection and says nothing', () => {
  let silent: Server;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    silent = createServer((socket) => {
      sockets.add(socket.resume());
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  // With a thumbprint nobody has a socket before the handshake ends.
  const ways = [
    ['a thumbprint', { thumbprint: 'AB'.repeat(32) }],
    ['the system’s authorities', {}],
  ] as const;
  const transport = (trust: object) =>
    new VcenterTransport({ url: `https://127.0.0.1:${(silent.address() as AddressInfo).port}/sdk`, trust });
  const get = { method: 'GET', path: '/sdk/vimService?wsdl', headers: {} } as const;

  it.each(ways)('is given up at the time limit, trusted by %s', async (_, trust) => {
    const open = transport(trust);
    await expect(open.send({ ...get, lane: 'fresh', timeoutMs: 200 })).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
    open.close();
  });

  it.each(ways)('is given up when the caller is aborted, trusted by %s', async (_, trust) => {
    const open = transport(trust);
    const caller = new AbortController();
    const sent = open.send({ ...get, lane: 'fresh', timeoutMs: 60_000, signal: caller.signal });
    caller.abort(new CancelledError('enough'));
    await expect(sent).rejects.toThrow('enough');
    open.close();
  });

  it('is given up by requests that wait for a connection of the pool', async () => {
    const open = transport({});
    const all = Array.from({ length: 70 }, () => open.send({ ...get, timeoutMs: 300 }));
    const ends = await Promise.allSettled(all);
    expect(ends.every((end) => end.status === 'rejected' && end.reason instanceof TimeoutError)).toBe(true);
    open.close();
  });

  it('is left when it has not finished the handshake in time', async () => {
    const agent = trustingAgent({ thumbprint: 'AB'.repeat(32) }, { keepAlive: false }, 200);
    const request = https.get({ agent, host: '127.0.0.1', port: (silent.address() as AddressInfo).port });
    await expect(once(request, 'response')).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(0);
    agent.destroy();
  });
});

describe('the session', () => {
  it('is renewed once for all calls that found it expired', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory({ 'datastore-1': { name: '<val xsi:type="xsd:string">ds%2f1</val>' } }));
    vcenter.sessions.clear();
    const names = await Promise.all(Array.from({ length: 8 }, () => client.datastoreName('datastore-1')));
    expect(names).toEqual(Array(8).fill('ds/1'));
    expect(vcenter.of('Login')).toHaveLength(2);
    expect(client.vixCredentials().cookie).toBe('5e55-10n-2');
  });

  it('is renewed where vCenter answers and tells no property, which nobody takes for properties that are unset', async () => {
    const client = await connect();
    const vm =
      '<val xsi:type="ArrayOfManagedObjectReference"><ManagedObjectReference type="VirtualMachine">vm-16</ManagedObjectReference></val>';
    const answer = inventory({ 'group-v3': { childEntity: vm }, 'vm-16': { name: '<val xsi:type="xsd:string">web</val>' } });
    // Between the question for the folder's VMs and the one for their names.
    vcenter.on('RetrievePropertiesEx', (call) => {
      if (vcenter.of('RetrievePropertiesEx').length === 1) vcenter.sessions.clear();
      return answer(call);
    });
    expect(await client.findVmInFolder('group-v3', 'web')).toBe('vm-16');
    expect(vcenter.of('Login')).toHaveLength(2);
  });

  it('repeats a read whose connection broke, and never a change', async () => {
    const client = await connect();
    let broken = 2;
    const read = inventory({ 'datastore-1': { name: '<val xsi:type="xsd:string">ds-1</val>' } });
    vcenter.on('RetrievePropertiesEx', (call) => (broken-- > 0 ? HANG_UP : read(call)));
    expect(await client.datastoreName('datastore-1')).toBe('ds-1');
    vcenter.on('UnregisterVM', HANG_UP);
    const error = await failureOf(client.unregisterVm('vm-16'));
    expect(error.code).toBe('CONNECTION_LOST');
    expect(vcenter.of('UnregisterVM')).toHaveLength(1);
  });

  it('ends a request at its timeout and at its signal', async () => {
    const client = await connect({ requestTimeoutMs: 300 });
    vcenter.on('UnregisterVM', SILENCE);
    expect(await failureOf(client.unregisterVm('vm-16'))).toBeInstanceOf(TimeoutError);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    expect(await failureOf(client.unregisterVm('vm-16', controller.signal))).toBeInstanceOf(CancelledError);
  });

  it('never lets a fault carry the request', async () => {
    const client = await connect();
    vcenter.on('UnregisterVM', new Fault('NoPermission', 'Permission to perform this operation was denied.'));
    const error = await failureOf(client.unregisterVm('vm-16'));
    expect([error.code, error.faultType, error.method, error.object]).toEqual(['NO_PERMISSION', 'NoPermission', 'UnregisterVM', 'vm-16']);
    expect(inspect(error, { depth: 9 })).not.toContain('Envelope');
  });
});

describe('reading', () => {
  it('reads a VM whole, with types, large numbers and readable names', async () => {
    const client = await connect();
    vcenter.on(
      'RetrievePropertiesEx',
      inventory({
        'vm-16': {
          config: CONFIG,
          runtime:
            '<val xsi:type="VirtualMachineRuntimeInfo"><host type="HostSystem">host-7</host><connectionState>connected</connectionState><powerState>poweredOn</powerState></val>',
          capability: '<val xsi:type="VirtualMachineCapability"><changeTrackingSupported>true</changeTrackingSupported></val>',
          datastore:
            '<val xsi:type="ArrayOfManagedObjectReference"><ManagedObjectReference type="Datastore" xsi:type="ManagedObjectReference">datastore-1</ManagedObjectReference></val>',
          parent: '<val type="Folder" xsi:type="ManagedObjectReference">group-v3</val>',
          resourcePool: '<val type="ResourcePool" xsi:type="ManagedObjectReference">resgroup-8</val>',
          snapshot: SNAPSHOTS('newer'),
        },
        'datastore-1': { name: '<val xsi:type="xsd:string">ds 1</val>' },
      }),
    );
    const vm = await client.readVm('vm-16');
    expect(vm).toMatchObject({
      name: 'web/1',
      powerState: 'poweredOn',
      cpuCount: 3,
      memoryMib: 1536,
      hostMoRef: 'host-7',
      folderMoRef: 'group-v3',
      resourcePoolMoRef: 'resgroup-8',
    });
    expect([vm.changeTrackingEnabled, vm.changeTrackingSupported, vm.vmPath]).toEqual([true, true, '[ds 1] web/web.vmx']);
    expect(vm.datastores).toEqual([{ moRef: 'datastore-1', name: 'ds 1' }]);
    expect(vm.disks).toEqual([
      {
        deviceKey: 2000,
        label: 'Hard disk 1',
        path: '[ds 1] web/web-000002.vmdk',
        capacityBytes: 1_073_742_336,
        uuid: '6000C29a-1',
        changeId: '52 aa/7',
        diskMode: 'persistent',
        backingType: 'VirtualDiskFlatVer2BackingInfo',
        parentPaths: [],
        compatibilityMode: undefined,
        sharing: undefined,
        controllerKey: 1000,
        unitNumber: 0,
        thin: true,
      },
    ]);
    expect(vm.snapshots.map((s) => [s.moRef, s.name, s.parentMoRef])).toEqual([
      ['snapshot-8', 'older', undefined],
      ['snapshot-9', 'newer', 'snapshot-8'],
    ]);
    expect(vm.configXml).toContain('xsi:type="VirtualDisk"');
    expect(vm.configXml).toContain('xmlns:xsd=');
    expect(vm.configXml).toContain('<value xsi:type="xsd:string">TRUE</value>');
  });

  it('follows page tokens to the end', async () => {
    const client = await connect();
    const vm = (n: number) =>
      `<objects><obj type="VirtualMachine">vm-${n}</obj><propSet><name>name</name><val xsi:type="xsd:string">vm ${n}</val></propSet></objects>`;
    const children = Array.from(
      { length: 250 },
      (_, n) => `<ManagedObjectReference type="VirtualMachine">vm-${n}</ManagedObjectReference>`,
    ).join('');
    const folder = inventory({ 'group-v3': { childEntity: `<val xsi:type="ArrayOfManagedObjectReference">${children}</val>` } });
    const page = (from: number) => Array.from({ length: Math.min(100, 250 - from) }, (_, n) => vm(from + n)).join('');
    vcenter
      .on('RetrievePropertiesEx', (call) =>
        call.text.includes('group-v3') ? folder(call) : `<returnval><token>100</token>${page(0)}</returnval>`,
      )
      .on('ContinueRetrievePropertiesEx', (call) => {
        const from = Number(call.body.textAt('token'));
        return `<returnval>${from + 100 < 250 ? `<token>${from + 100}</token>` : ''}${page(from)}</returnval>`;
      });
    expect(await client.findVmInFolder('group-v3', 'vm 249')).toBe('vm-249');
    expect(await client.findVmInFolder('group-v3', 'vm 250')).toBeUndefined();
    expect(vcenter.of('ContinueRetrievePropertiesEx')).toHaveLength(4);
  });

  it('says which VM is gone', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory({}));
    const error = await failureOf(client.readVm('vm-404'));
    expect([error.code, error.subject]).toEqual(['NOT_FOUND', 'VM vm-404']);
  });
});
