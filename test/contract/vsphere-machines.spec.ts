import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VsphereClient } from '../../src/vsphere/index.js';
import { Fault, PASSWORD, ScriptedVcenter, USER } from './scripted-vcenter.js';

const CONTENT =
  '<returnval><profileManager type="PbmProfileProfileManager">ProfileManager</profileManager><placementSolver type="PbmPlacementSolver">placementSolver</placementSolver></returnval>';
const property = (object: string, type: string, name: string, value: string, xsiType: string) =>
  `<returnval><objects><obj type="${type}">${object}</obj><propSet><name>${name}</name><val xsi:type="${xsiType}">${value}</val></propSet></objects></returnval>`;

describe('what a vCenter says of the machines it takes', () => {
  let vcenter: ScriptedVcenter;
  let client: VsphereClient;
  const connect = async () => {
    client = await VsphereClient.connect({
      url: vcenter.url,
      userName: USER,
      password: PASSWORD,
      trust: { thumbprint: vcenter.thumbprint },
    });
  };

  beforeEach(async () => {
    vcenter = await ScriptedVcenter.start();
  });
  afterEach(async () => {
    await client.close();
    await vcenter.stop();
  });

  describe('storage policies', () => {
    beforeEach(async () => {
      vcenter
        .on('PbmRetrieveServiceContent', CONTENT)
        .on('PbmQueryProfile', '<returnval><uniqueId>p1</uniqueId></returnval><returnval><uniqueId>p2</uniqueId></returnval>')
        .on('PbmRetrieveContent', ({ body }) =>
          body
            .childrenNamed('profileIds')
            .map(
              (id) =>
                `<returnval><profileId><uniqueId>${id.textAt('uniqueId')}</uniqueId></profileId><name>policy ${id.textAt('uniqueId')}</name></returnval>`,
            )
            .join(''),
        )
        .on('PbmQueryAssociatedProfiles', ({ body }) =>
          body
            .childrenNamed('entities')
            .filter((entity) => entity.textAt('key') !== 'vm-7:2001')
            .map(
              (entity, index) =>
                `<returnval><object><objectType>${entity.textAt('objectType')}</objectType><key>${entity.textAt('key')}</key></object><profileId><uniqueId>p${index + 1}</uniqueId></profileId></returnval>`,
            )
            .join(''),
        )
        .on('PbmQueryMatchingHub', '<returnval><hubType>Datastore</hubType><hubId>datastore-2</hubId></returnval>');
      await connect();
    });

    it('are listed by name, and asked for a VM and its disks in one request', async () => {
      expect(await client.storagePolicies.list()).toEqual([
        { id: 'p1', name: 'policy p1' },
        { id: 'p2', name: 'policy p2' },
      ]);
      expect(await client.storagePolicies.ofVm('vm-7', [2000, 2001])).toEqual({ home: 'p1', disks: new Map([[2000, 'p2']]) });
      expect(vcenter.of('PbmQueryAssociatedProfiles')).toHaveLength(1);
      expect(vcenter.of('PbmRetrieveServiceContent')).toHaveLength(1);
    });

    it('carry the session of vCenter in their header, and say which type they ask of', async () => {
      await client.storagePolicies.list();
      const [call] = vcenter.of('PbmQueryProfile');
      expect(call?.text).toContain('<vcSessionCookie>5e55-10n-1</vcSessionCookie>');
      expect(call?.body.namespace).toBe('urn:pbm');
      expect(call?.body.child('_this')?.attribute('type', '')).toBe('PbmProfileProfileManager');
      expect(call?.body.elements().map(({ local }) => local)).toEqual(['_this', 'resourceType', 'profileCategory']);
    });

    it('tell which datastores suit', async () => {
      expect(await client.storagePolicies.compatibleDatastores('p1', ['datastore-1', 'datastore-2'])).toEqual(['datastore-2']);
      const [call] = vcenter.of('PbmQueryMatchingHub');
      expect(call?.body.childrenNamed('hubsToSearch').map((hub) => [hub.textAt('hubType'), hub.textAt('hubId')])).toEqual([
        ['Datastore', 'datastore-1'],
        ['Datastore', 'datastore-2'],
      ]);
      expect(call?.body.textAt('profile', 'uniqueId')).toBe('p1');
    });

    it('go on when the session has ended', async () => {
      vcenter.on('RetrievePropertiesEx', property('group-d1', 'Folder', 'name', 'Datacenters', 'xsd:string'));
      await client.storagePolicies.list();
      vcenter.sessions.clear();
      expect(await client.storagePolicies.list()).toHaveLength(2);
      expect(vcenter.of('Login')).toHaveLength(2);
    });

    it('fail by the fault, with what is to be done', async () => {
      vcenter.on(
        'PbmQueryAssociatedProfiles',
        new Fault('NoPermission', 'Permission to perform this operation was denied.', '<privilegeId>StorageProfile.View</privilegeId>'),
      );
      await expect(client.storagePolicies.ofVm('vm-7', [])).rejects.toMatchObject({
        code: 'NO_PERMISSION',
        message: expect.stringContaining('asking for the storage policies of vm-7'),
      });
    });
  });

  it('has no storage policies where nothing answers for them', async () => {
    await connect();
    vcenter.plainAnswer = { status: 503, body: '<html>no service</html' };
    await expect(client.storagePolicies.list()).rejects.toMatchObject({ code: 'PBM_UNAVAILABLE' });
    vcenter.plainAnswer = undefined;
  });

  it('tells its key providers, and has none where it has no manager of keys', async () => {
    await connect();
    expect(await client.keyProviders()).toEqual([]);
    await client.close();
    vcenter.managers = '<cryptoManager type="CryptoManagerKmip">CryptoManager</cryptoManager>';
    const clusters = ['kms-1', 'native'].map(
      (id, index) =>
        `<KmipClusterInfo xsi:type="KmipClusterInfo"><clusterId><id>${id}</id></clusterId><useAsDefault>${index === 1}</useAsDefault></KmipClusterInfo>`,
    );
    vcenter.on(
      'RetrievePropertiesEx',
      property('CryptoManager', 'CryptoManagerKmip', 'kmipServers', clusters.join(''), 'ArrayOfKmipClusterInfo'),
    );
    await connect();
    expect(await client.keyProviders()).toEqual([
      { id: 'kms-1', isDefault: false },
      { id: 'native', isDefault: true },
    ]);
  });

  it('tells which keys cannot be had, and nothing where it cannot be asked', async () => {
    const keys = [
      { keyId: 'a', providerId: 'kms-1' },
      { keyId: 'b', providerId: undefined },
    ];
    vcenter.managers = '<cryptoManager type="CryptoManagerKmip">CryptoManager</cryptoManager>';
    const status = (id: string, available: boolean) =>
      `<returnval><keyId><keyId>${id}</keyId></keyId><keyAvailable>${available}</keyAvailable></returnval>`;
    vcenter.on('QueryCryptoKeyStatus', status('a', true) + status('b', false));
    await connect();
    expect(await client.unavailableKeys(keys)).toEqual([keys[1]]);
    const [call] = vcenter.of('QueryCryptoKeyStatus');
    expect(call?.body.childrenNamed('keyIds').map((key) => [key.textAt('keyId'), key.textAt('providerId', 'id')])).toEqual([
      ['a', 'kms-1'],
      ['b', undefined],
    ]);
    vcenter.on('QueryCryptoKeyStatus', new Fault('NoPermission', 'Permission to perform this operation was denied.'));
    expect(await client.unavailableKeys(keys)).toEqual([]);
  });

  it('tells with which virtual hardware a VM can be made', async () => {
    const objects: Record<string, string> = {
      'resgroup-1': property('resgroup-1', 'ResourcePool', 'owner', 'domain-c8', 'ManagedObjectReference').replace(
        '<val ',
        '<val type="ClusterComputeResource" ',
      ),
      'domain-c8': property('domain-c8', 'ClusterComputeResource', 'environmentBrowser', 'envbrowser-8', 'ManagedObjectReference').replace(
        '<val ',
        '<val type="EnvironmentBrowser" ',
      ),
    };
    const option = (key: string, createSupported: boolean) =>
      `<returnval><key>${key}</key><createSupported>${createSupported}</createSupported></returnval>`;
    vcenter
      .on('RetrievePropertiesEx', ({ body }) => objects[body.textAt('specSet', 'objectSet', 'obj') ?? ''] ?? '')
      .on('QueryConfigOptionDescriptor', option('vmx-04', false) + option('vmx-19', true) + option('vmx-21', true));
    await connect();
    expect(await client.hardwareVersions('resgroup-1')).toEqual(['vmx-19', 'vmx-21']);
    expect(vcenter.of('QueryConfigOptionDescriptor')[0]?.self).toBe('envbrowser-8');
  });
});
