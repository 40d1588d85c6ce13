import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { randomUUID } from 'node:crypto';
import { parseDatastorePath, readDescriptor } from '../datastore/index.js';
import { applySpecification, newConfiguration, nicType, scsiControllerType } from './configuration.js';
import { defaultDevices } from './default-devices.js';
import { DeviceChanges, isNic } from './devices.js';
import type { Inventory } from './inventory.js';
import { nicDevice, options } from './specification.js';
import type { VmState } from './state.js';
import { vim, type VimObject } from './vim.js';
import { addition, checkPlace, checkVmName, vmxPath } from './virtual-machines.js';
import { SimFault, type NicAdapter } from './vsphere-types.js';
import { ADDRESS_TYPES, CONTROLLER_NAMES, OWN_KEYS, parseVmx } from './vmx.js';

export interface Registration {
  name: string | undefined;
  folderMoRef: string;
  resourcePoolMoRef: string;
  hostMoRef: string | undefined;
}

/** RegisterVM_Task: everything comes back from the .vmx and the disks' descriptors, except snapshots. */
export async function registerVm(inventory: Inventory, path: string, request: Registration): Promise<VmState> {
  const hostMoRef = checkPlace(inventory, request.folderMoRef, request.resourcePoolMoRef, request.hostMoRef);
  const text = await readFile(inventory.absolutePath(path), 'utf8').catch(() => undefined);
  if (text === undefined) throw new SimFault('NotFound', `File ${path} was not found.`);
  const twin = inventory.state.vms.find((vm) => vmxPath(vm) === path);
  if (twin) throw new SimFault('AlreadyExists', `${path} is registered already.`, { name: String(twin.config.name) });
  const values = parseVmx(text);
  const name = request.name ?? values.get('displayName') ?? basename(path, '.vmx');
  checkVmName(inventory, request.folderMoRef, name);
  const { datastore, file } = parseDatastorePath(path) as { datastore: string; file: string };
  const home = { datastoreName: datastore, folder: dirname(file) };
  const config = newConfiguration(name, path);
  applySpecification(inventory, config, savedSpecification(values), undefined);
  const changes = [...(await savedDisks(inventory, values, home)), ...savedNics(inventory, values)];
  const { devices } = new DeviceChanges(inventory, home, defaultDevices(), undefined).apply(changes);
  restoreAddressTypes(devices, values);
  (config.hardware as VimObject).device = devices;
  const vm: VmState = {
    moRef: inventory.newMoRef('vm-'),
    config,
    powerState: 'poweredOff',
    hostMoRef,
    folderMoRef: request.folderMoRef,
    resourcePoolMoRef: request.resourcePoolMoRef,
    datastoreMoRef: inventory.datastoreMoRef(datastore),
    snapshots: [],
    nextSnapshotId: 0,
    consolidationNeeded: false,
  };
  inventory.state.vms.push(vm);
  inventory.changed(vm.moRef);
  return vm;
}

function savedSpecification(values: ReadonlyMap<string, string>): VimObject {
  const number = (key: string) => (values.has(key) ? Number(values.get(key)) : undefined);
  const hardwareVersion = values.get('virtualHW.version');
  const extra = [...values].filter(([key]) => !OWN_KEYS.test(key));
  return vim('VirtualMachineConfigSpec', {
    version: hardwareVersion === undefined ? undefined : `vmx-${hardwareVersion}`,
    uuid: values.get('uuid.bios'),
    instanceUuid: values.get('vc.uuid') ?? randomUUID(),
    guestId: values.get('guestOS'),
    annotation: values.get('annotation'),
    numCPUs: number('numvcpus'),
    numCoresPerSocket: number('cpuid.coresPerSocket'),
    memoryMB: number('memSize'),
    extraConfig: options(Object.fromEntries(extra)),
    changeTrackingEnabled: values.get('ctkEnabled') === 'TRUE',
    firmware: values.get('firmware'),
  });
}

async function savedDisks(
  inventory: Inventory,
  values: ReadonlyMap<string, string>,
  home: { datastoreName: string; folder: string },
): Promise<VimObject[]> {
  const changes = new Map<string, VimObject>();
  for (const [key, value] of values) {
    const match = /^scsi(\d):(\d+)\.fileName$/.exec(key);
    if (!match) continue;
    const bus = Number(match[1]);
    const adapter = CONTROLLER_NAMES.find(([, word]) => word === values.get(`scsi${bus}.virtualDev`))?.[0] ?? 'lsiLogic';
    changes.set(`scsi${bus}`, addition(vim(scsiControllerType(adapter), { key: -100 - bus, busNumber: bus, sharedBus: 'noSharing' })));
    const path = value.startsWith('[') ? value : `[${home.datastoreName}] ${home.folder}/${value}`;
    const descriptor = await readDescriptor(inventory.absolutePath(path)).catch(() => {
      throw new SimFault('FileNotFound', `File ${path} was not found.`, { file: path });
    });
    const { sectors } = descriptor.extent;
    changes.set(
      key,
      addition(
        vim('VirtualDisk', {
          key: -200 - changes.size,
          backing: vim('VirtualDiskFlatVer2BackingInfo', {
            fileName: path,
            diskMode: values.get(key.replace('.fileName', '.mode')) ?? 'persistent',
            thinProvisioned: descriptor.database.thinProvisioned === '1',
            uuid: diskUuid(descriptor.database.uuid),
          }),
          controllerKey: -100 - bus,
          unitNumber: Number(match[2]),
          capacityInKB: Math.floor(sectors / 2),
          capacityInBytes: sectors * 512,
        }),
      ),
    );
  }
  return [...changes.values()];
}

/** "60 00 c2 9b …-…" of a descriptor to the device's 6000C29b-xxxx-…, VMware's prefix in capitals. */
function diskUuid(text: string | undefined): string | undefined {
  const hex = text?.replace(/[^0-9a-f]/gi, '').toLowerCase() ?? '';
  const parts = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(hex)?.slice(1);
  return parts?.join('-').replace(/^6000c29/, '6000C29');
}

/** A NIC whose network is gone from this vCenter is left out. */
function savedNics(inventory: Inventory, values: ReadonlyMap<string, string>): VimObject[] {
  const changes: VimObject[] = [];
  for (let index = 0; values.has(`ethernet${index}.address`); index += 1) {
    const value = (key: string) => values.get(`ethernet${index}.${key}`);
    const network = inventory.state.networks.find((candidate) =>
      candidate.kind === 'Network' ? candidate.name === value('networkName') : candidate.moRef === value('dvs.portgroupId'),
    );
    if (!network) continue;
    const nic = {
      adapterType: value('virtualDev') as NicAdapter,
      macAddress: value('address') as string,
      networkMoRef: network.moRef,
      connected: value('startConnected') !== 'FALSE',
    };
    changes.push(addition({ ...nicDevice(inventory, nic, -300 - index), $type: nicType(nic.adapterType) }));
  }
  return changes;
}

/** All were added with their addresses fixed, so that none got a new one. */
function restoreAddressTypes(devices: readonly VimObject[], values: ReadonlyMap<string, string>): void {
  for (const nic of devices.filter(isNic)) {
    const key = [...values].find(([name, value]) => /^ethernet\d+\.address$/.test(name) && value.toLowerCase() === nic.macAddress)?.[0];
    const word = values.get(key?.replace('.address', '.addressType') ?? '');
    nic.addressType = ADDRESS_TYPES.find(([, saved]) => saved === word)?.[0] ?? 'manual';
  }
}
