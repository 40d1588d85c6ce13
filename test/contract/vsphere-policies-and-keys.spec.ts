import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trustingAgent } from '../../src/common/index.js';
import { VsphereClient } from '../../src/vsphere/index.js';
import { VsphereModel, vim, type VimObject } from '../simulator/model/index.js';
import { generateKey, keyIdOf } from '../simulator/model/encryption.js';
import { reconfigureVm } from '../simulator/model/virtual-machines.js';
import { serverCertificate } from '../simulator/tls.js';
import { VcenterServer } from '../simulator/vsphere/index.js';

/** Storage policies and keys of the simulated vCenter, as our client and a stricter caller see them. */
const USER = 'administrator@vsphere.local';
const PASSWORD = 'simulated-pa55word';
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let client: VsphereClient;
let vmMoRef: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vsphere-policies-'));
  model = await VsphereModel.open({
    dataDir,
    datastoreNames: ['fast', 'slow'],
    storagePolicies: [{ name: 'Gold', datastoreNames: ['fast'] }],
  });
  const certificate = await serverCertificate(join(dataDir, 'vcenter-certificate.json'), 'vcenter', []);
  server = new VcenterServer({ model, ...certificate, userName: USER, password: PASSWORD, taskTiming: { minMs: 5, maxMs: 10 } });
  await server.listen();
  client = await VsphereClient.connect({
    url: server.url,
    userName: USER,
    password: PASSWORD,
    trust: { thumbprint: server.thumbprintSha1 },
  });
  const vm = await model.createVm({
    name: 'web',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: 'fast',
    firmware: 'efi',
    disks: [{ capacityBytes: 1024 * 1024 }],
  });
  vmMoRef = vm.moRef;
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

const state = () => model.inventory.vm(vmMoRef);
const reconfigure = (fields: Record<string, VimObject | VimObject[]>) =>
  reconfigureVm(model.inventory, state(), vim('VirtualMachineConfigSpec', fields)).then(
    () => 'done',
    (error: { faultType: string }) => error.faultType,
  );
const withPolicy = (profileId: string) => [vim('VirtualMachineDefinedProfileSpec', { profileId })];
const editedDisk = (more: Record<string, VimObject | VimObject[]>) => [
  vim('VirtualDeviceConfigSpec', { operation: 'edit', device: structuredClone(disk()), ...more }),
];
const disk = () => ((state().config.hardware as VimObject).device as VimObject[]).find(({ $type }) => $type === 'VirtualDisk') as VimObject;
const policy = (name: string) => (model.inventory.state.storagePolicies ?? []).find((each) => each.name === name)?.id ?? '';

describe('storage policies', () => {
  it('are listed by name, and each by the datastores that can keep it', async () => {
    const policies = await client.storagePolicies.list();
    expect(policies.map(({ name }) => name).sort()).toEqual(['Datastore Default', 'Gold', 'VM Encryption Policy']);
    const all = model.datastores().map(({ moRef }) => moRef);
    expect(await client.storagePolicies.compatibleDatastores(policy('Gold'), all)).toEqual([all[0]]);
    expect(await client.storagePolicies.compatibleDatastores(policy('Datastore Default'), all)).toEqual(all);
    await expect(client.storagePolicies.compatibleDatastores('none', all)).rejects.toThrow('none');
  });

  it('are those that the VM and its disks were given', async () => {
    expect(await client.storagePolicies.ofVm(vmMoRef, [2000])).toEqual({ home: undefined, disks: new Map() });
    expect(
      await reconfigure({
        vmProfile: withPolicy(policy('Gold')),
        deviceChange: editedDisk({ profile: withPolicy(policy('Datastore Default')) }),
      }),
    ).toBe('done');
    expect(await client.storagePolicies.ofVm(vmMoRef, [2000])).toEqual({
      home: policy('Gold'),
      disks: new Map([[2000, policy('Datastore Default')]]),
    });
    expect(await reconfigure({ vmProfile: withPolicy('none') })).toBe('InvalidArgument');
  });

  it('are told to whom shows the session in the SOAP header, in the order of the schema', async () => {
    const agent = trustingAgent({ thumbprint: server.thumbprintSha1 });
    const cookie = server.sessions.login(USER, PASSWORD, { address: '', userAgent: '' }).cookie;
    const ask = (header: string, call: string, httpCookie = '') =>
      new Promise<string>((resolve, reject) => {
        const headers = httpCookie === '' ? {} : { cookie: `vmware_soap_session="${httpCookie}"` };
        const request = httpsRequest(
          { agent, host: '127.0.0.1', port: server.port, path: '/pbm/sdk', method: 'POST', headers },
          (response) => {
            let text = '';
            response.on('data', (piece: Buffer) => {
              text += piece.toString();
            });
            response.on('end', () => resolve(/xsi:type="(\w+)"/.exec(text)?.[1] ?? text));
          },
        );
        request.on('error', reject);
        request.end(
          `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>${header}</e:Header><e:Body>${call}</e:Body></e:Envelope>`,
        );
      });
    const shown = `<vcSessionCookie>${cookie}</vcSessionCookie>`;
    const query = (body: string, namespace = 'urn:pbm') =>
      `<PbmQueryProfile xmlns="${namespace}"><_this type="PbmProfileProfileManager">ProfileManager</_this>${body}</PbmQueryProfile>`;
    const right = '<resourceType><resourceType>STORAGE</resourceType></resourceType>';
    try {
      expect(await ask(shown, query(right))).toContain(policy('Gold'));
      expect(await ask('', query(right), cookie)).toBe('NotAuthenticated');
      expect(await ask(shown, query(`<profileCategory>REQUIREMENT</profileCategory>${right}`))).toBe('InvalidRequest');
      expect(await ask(shown, query('<resourceType><resourceType>CPU</resourceType></resourceType>'))).toBe('InvalidRequest');
      expect(await ask(shown, query(right, 'urn:vim25'))).toBe('InvalidRequest');
    } finally {
      agent.destroy();
    }
  });
});

describe('encryption', () => {
  const encrypt = (key: VimObject) => vim('CryptoSpecEncrypt', { cryptoKeyId: key });

  it('needs a key that its provider has', async () => {
    expect(await client.keyProviders()).toEqual([]);
    expect(await reconfigure({ crypto: encrypt(vim('CryptoKeyId', { keyId: 'k1' })) })).toBe('InvalidVmConfig');
    model.setKeyProviders([{ id: 'kms', isDefault: true, keyIds: ['k1'] }, { id: 'other' }]);
    expect(await client.keyProviders()).toEqual([
      { id: 'kms', isDefault: true },
      { id: 'other', isDefault: false },
    ]);
    expect(await reconfigure({ crypto: encrypt(keyIdOf({ id: 'other', isDefault: false, keyIds: [] }, 'k1')) })).toBe('InvalidVmConfig');
  });

  it('is of the home first, whose keys are in encryption.bundle, then of disks and of a vTPM', async () => {
    const key = keyIdOf({ id: 'kms', isDefault: true, keyIds: [] }, 'k1');
    const tpm = [vim('VirtualDeviceConfigSpec', { operation: 'add', device: vim('VirtualTPM', { key: -1 }) })];
    const cryptoOfDisk = () => editedDisk({ backing: vim('VirtualDeviceConfigSpecBackingSpec', { crypto: encrypt(key) }) });
    expect(await reconfigure({ deviceChange: tpm })).toBe('InvalidVmConfig');
    expect(await reconfigure({ deviceChange: cryptoOfDisk() })).toBe('InvalidVmConfig');
    const bundle = vim('OptionValue', { key: 'encryption.bundle', value: 'captured' });
    expect(await reconfigure({ crypto: encrypt(key), extraConfig: [bundle], deviceChange: [...tpm, ...cryptoOfDisk()] })).toBe('done');
    expect(state().config).toMatchObject({ keyId: { keyId: 'k1' }, extraConfig: expect.arrayContaining([bundle]) });
    expect((disk().backing as VimObject).keyId).toMatchObject({ keyId: 'k1', providerId: { id: 'kms' } });
    expect(await reconfigure({ crypto: encrypt(key) })).toBe('InvalidVmConfig');
    expect(await reconfigure({ crypto: vim('CryptoSpecDecrypt') })).toBe('InvalidVmConfig');
    await model.powerOn(vmMoRef);
    expect(await reconfigure({ crypto: vim('CryptoSpecShallowRecrypt', { newKeyId: generateKey(model.inventory, 'kms') }) })).toBe(
      'InvalidPowerState',
    );
    await model.powerOff(vmMoRef);
  });

  it('comes with the policy for it, with a new key and a new bundle', async () => {
    const vm = await model.createVm({
      name: 'new',
      folderMoRef: model.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: 'fast',
    });
    const other = model.inventory.vm(vm.moRef);
    await reconfigureVm(model.inventory, other, vim('VirtualMachineConfigSpec', { vmProfile: withPolicy(policy('VM Encryption Policy')) }));
    expect(model.inventory.state.keyProviders?.[0]?.keyIds).toContain((other.config.keyId as VimObject).keyId);
    expect(model.vm(vm.moRef)?.extraConfig['encryption.bundle']).toMatch(/^vmware:key\/list/);
  });
});
