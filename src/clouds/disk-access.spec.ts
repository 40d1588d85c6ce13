import { describe, expect, it } from 'vitest';
import { loadConfig } from '../config/index.js';
import { diskPlacesFor, transportPolicy, type VddkUse, withWish } from './disk-access.js';

const useOf = (environment: Record<string, string>) => {
  const { vddk } = loadConfig(environment, '/srv');
  return { ...vddk, transport: transportPolicy(vddk) } as unknown as VddkUse;
};

describe('which transports a run uses', () => {
  it('are the service’s where it asks for nothing', () => {
    expect(withWish(useOf({}))).toEqual({ modes: ['nbdssl', 'nbd'], fallback: 'allow', compression: 'none' });
    const environment = { VAPP_VAULT_VDDK_TRANSPORT_MODES: 'san:nbdssl', VAPP_VAULT_VDDK_TRANSPORT_FALLBACK: 'refuse' };
    expect(withWish(useOf({ ...environment, VAPP_VAULT_VDDK_COMPRESSION: 'zlib' }), {})).toEqual({
      modes: ['san', 'nbdssl'],
      fallback: 'refuse',
      compression: 'zlib',
    });
  });

  it('are its own, each by itself, where it asks', () => {
    expect(withWish(useOf({}), { modes: ['hotadd'] })).toEqual({ modes: ['hotadd'], fallback: 'allow', compression: 'none' });
    expect(withWish(useOf({}), { fallback: 'refuse', compression: 'skipz' })).toEqual({
      modes: ['nbdssl', 'nbd'],
      fallback: 'refuse',
      compression: 'skipz',
    });
  });

  it('are HotAdd alone in VMware Cloud, whatever it asks for', () => {
    const use = useOf({ VAPP_VAULT_VDDK_VMWARE_CLOUD: 'true' });
    expect(withWish(use, { modes: ['nbdssl'], fallback: 'allow' })).toEqual({ modes: ['hotadd'], fallback: 'refuse', compression: 'none' });
  });
});

describe('diskPlacesFor', () => {
  const device = (type: string, key: number, more: string) => `<device xsi:type="${type}"><key>${key}</key>${more}</device>`;
  const disk = (key: number, controllerKey: number, keyId = '') =>
    device('VirtualDisk', key, `<backing>${keyId}</backing><controllerKey>${controllerKey}</controllerKey><unitNumber>0</unitNumber>`);
  const devices = [
    device('VirtualIDEController', 200, ''),
    device('ParaVirtualSCSIController', 1000, ''),
    device('VirtualNVMEController', 31000, ''),
    disk(3000, 200),
    disk(2000, 1000, '<keyId><keyId>k</keyId></keyId>'),
    disk(32000, 31000),
  ];
  const configXml = `<config xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><hardware>${devices.join('')}</hardware></config>`;
  const placeOf = diskPlacesFor(configXml, [
    { moRef: 'datastore-1', name: 'gold [1]', type: 'VMFS' },
    { moRef: 'datastore-2', name: 'silver', type: 'VVOL' },
    { moRef: 'datastore-3', name: 'bronze' },
  ]);

  it('tells datastore type, bus and encryption of each disk', () => {
    expect(placeOf({ deviceKey: 3000, path: '[silver] web/web.vmdk' })).toEqual({ datastoreType: 'VVOL', bus: 'ide', encrypted: false });
    expect(placeOf({ deviceKey: 2000, path: '[silver] web/web_1.vmdk' })).toEqual({ datastoreType: 'VVOL', bus: 'scsi', encrypted: true });
    expect(placeOf({ deviceKey: 32000, path: '[bronze] web/web_2.vmdk' })).toEqual({
      datastoreType: 'unknown',
      bus: 'nvme',
      encrypted: false,
    });
  });

  it('refuses nothing for what it cannot tell, and finds datastores with brackets in their names', () => {
    expect(placeOf({ deviceKey: 9, path: '[elsewhere] a.vmdk' })).toEqual({ datastoreType: 'unknown', bus: 'scsi', encrypted: false });
    expect(placeOf({ deviceKey: 3000, path: '[gold [1]] web/web.vmdk' }).datastoreType).toBe('VMFS');
  });
});
