import type { ManifestDisk, ManifestVm } from '../../catalog/index.js';
import type { VappCapture, VdcResources, VmCapture } from '../../vcd/index.js';
import type { RestorePayload } from '../restore-request.js';
import type { OneVmInput } from './rule-one-vm.js';
import type { Today, TodaysVm } from './today.js';

/** Small captures and clouds for the specs of the rules. */

export function vmCapture(name: string, more: Partial<VmCapture> = {}): VmCapture {
  return {
    href: `https://vcd/api/vApp/vm-${name}`,
    id: `urn:vcloud:vm:${name}`,
    name,
    status: 8,
    deployed: false,
    vim: { vimServer: { href: 'https://vcd/vc' }, vmMoRef: `moref-${name}`, diskDatastores: [] },
    nics: [],
    disks: [],
    metadata: [],
    sections: {},
    ...more,
  };
}

export function vappCapture(vms: VmCapture[], more: Partial<VappCapture> = {}): VappCapture {
  return {
    href: 'https://vcd/api/vApp/vapp-shop',
    id: 'urn:vcloud:vapp:shop',
    name: 'shop',
    status: 8,
    deployed: false,
    organization: { href: 'https://vcd/api/org/acme', name: 'acme' },
    vdc: { href: 'https://vcd/api/vdc/main', id: 'urn:vcloud:vdc:main', name: 'main' },
    owner: { href: 'https://vcd/api/admin/user/olivia', name: 'olivia' },
    inMaintenanceMode: false,
    lease: { deploymentSeconds: 0, storageSeconds: 0 },
    startup: [],
    networks: [],
    access: { sharedToEveryone: false, grants: [] },
    metadata: [],
    vms,
    sections: {},
    apiVersion: '37.0',
    raw: {},
    ...more,
  };
}

export function vdcResources(more: Partial<VdcResources> = {}): VdcResources {
  return {
    href: 'https://vcd/api/vdc/main',
    id: 'urn:vcloud:vdc:main',
    name: 'main',
    organization: { href: 'https://vcd/api/org/acme', name: 'acme' },
    vimServerHref: 'https://vcd/vc',
    resourcePoolMoRef: 'resgroup-1',
    storageProfiles: [
      { href: 'sp-gold', name: 'gold', isDefault: false, enabled: true },
      { href: 'sp-silver', name: 'silver', isDefault: true, enabled: true },
      { href: 'sp-old', name: 'old', isDefault: false, enabled: false },
    ],
    networks: [{ href: 'https://vcd/api/network/lan', name: 'lan' }],
    ...more,
  };
}

export function manifestDisk(deviceKey: number, more: Partial<ManifestDisk> = {}): ManifestDisk {
  return {
    diskId: `disk-${deviceKey}`,
    deviceKey,
    label: `Hard disk ${deviceKey - 1999}`,
    path: '[ds-1] web/web.vmdk',
    uuid: null,
    changeId: null,
    diskMode: 'persistent',
    thin: true,
    controllerKey: 1000,
    unitNumber: 0,
    kind: 'full',
    fullReason: null,
    transportMode: 'nbdssl',
    allocatedBytes: 100,
    changedBytes: 0,
    readBytes: 0,
    newBytes: 0,
    storedBytes: 0,
    durationMs: 0,
    metadata: {},
    indexId: 'index',
    capacityBytes: 1000,
    chunkBytes: 100,
    ...more,
  };
}

export function manifestVm(name: string, disks: ManifestDisk[] = [manifestDisk(2000)]): ManifestVm {
  return {
    vmId: `our-${name}`,
    name,
    vcloudId: `urn:vcloud:vm:${name}`,
    instanceUuid: `uuid-${name}`,
    biosUuid: '',
    vcenterInstanceUuid: 'vc',
    vcenterName: 'vc',
    moRef: `moref-${name}`,
    configurationDocument: 'c',
    nvramDocument: null,
    quiesced: 'none',
    changeTrackingEnabledByUs: false,
    disks,
    excludedDisks: [],
  };
}

/** Today's VM with the disks it was captured with. */
export function todaysVm(name: string, disks: readonly ManifestDisk[], more: Partial<TodaysVm> & { snapshots?: string[] } = {}): TodaysVm {
  const { snapshots = [], ...rest } = more;
  const configuration = {
    vmPath: `[ds-1] ${name}/${name}.vmx`,
    disks: disks.map(({ deviceKey, capacityBytes }) => ({ deviceKey, capacityBytes })),
    snapshots: snapshots.map((snapshot) => ({ name: snapshot })),
  } as unknown as TodaysVm['configuration'];
  return {
    href: `https://vcd/api/vApp/vm-${name}`,
    moRef: `moref-${name}`,
    name,
    sameVm: true,
    capture: vmCapture(name),
    configuration,
    namedDisks: new Map(),
    ...rest,
  };
}

export function today(more: Partial<Today> = {}): Today {
  return {
    vdc: vdcResources(),
    vdcs: [{ id: 'urn:vcloud:vdc:main', name: 'main' }],
    vcenter: {} as Today['vcenter'],
    vimServerHref: 'https://vcd/vc',
    vmFolderMoRef: 'group-v1',
    datastores: [{ moRef: 'ds', name: 'ds-1', type: 'VMFS', freeBytes: 10_000, accessible: true }],
    target: undefined,
    originalExists: false,
    nameTaken: false,
    vms: new Map(),
    users: new Map([['olivia', { href: 'https://vcd/api/admin/user/olivia', name: 'olivia' }]]),
    nicsInUse: [],
    namedDisks: new Map(),
    affinityMembers: new Map(),
    instanceUuidHolders: new Map(),
    ...more,
  };
}

/** vCenter tells nothing that would keep a VM from being made as it was. */
export const machines: Pick<OneVmInput, 'machines' | 'support'> = {
  machines: new Map(),
  support: { hardwareVersions: [], keyProviders: [], lostKeys: new Set(), policies: [], datastoresOf: new Map() },
};

export function payload(more: Partial<RestorePayload> = {}): RestorePayload {
  return {
    restorePointId: 'point',
    mode: 'missing-vapp',
    choices: {},
    powerOn: false,
    parallelVms: 2,
    sourceOrganizationId: 'org',
    ...more,
  };
}
