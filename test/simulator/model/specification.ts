import { nicType, scsiControllerType } from './configuration.js';
import { isNic } from './devices.js';
import { managedObjectNotFound, type Inventory } from './inventory.js';
import { objectAt, vim, type VimObject } from './vim.js';
import { addition } from './virtual-machines.js';
import type { SimNicSpec, SimVmSpec } from './vsphere-types.js';

export function specification(inventory: Inventory, spec: SimVmSpec): VimObject {
  const controllers = spec.controllers ?? [{ adapterType: 'paraVirtual' as const }];
  const changes = controllers.map((controller, index) =>
    addition(
      vim(scsiControllerType(controller.adapterType), {
        key: -100 - index,
        busNumber: controller.busNumber ?? index,
        sharedBus: 'noSharing',
      }),
    ),
  );
  for (const [index, disk] of (spec.disks ?? []).entries()) {
    const backing = vim('VirtualDiskFlatVer2BackingInfo', {
      fileName: `[${disk.datastoreName ?? spec.datastoreName}]`,
      diskMode: disk.diskMode ?? 'persistent',
      thinProvisioned: disk.thin ?? true,
    });
    const device = vim('VirtualDisk', {
      key: -200 - index,
      backing,
      controllerKey: -100 - (disk.controllerIndex ?? 0),
      unitNumber: disk.unitNumber,
      capacityInKB: Math.floor(disk.capacityBytes / 1024),
      capacityInBytes: disk.capacityBytes,
    });
    changes.push(addition(device, 'create'));
  }
  changes.push(...(spec.nics ?? []).map((nic, index) => addition(nicDevice(inventory, nic, -300 - index))));
  changes.push(
    addition(
      vim('VirtualCdrom', {
        key: -400,
        backing: vim('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', exclusive: false }),
        connectable: vim('VirtualDeviceConnectInfo', { startConnected: false, allowGuestControl: true, connected: false }),
        controllerKey: 201,
        unitNumber: 0,
      }),
    ),
  );
  return vim('VirtualMachineConfigSpec', {
    name: spec.name,
    version: spec.hardwareVersion,
    instanceUuid: spec.instanceUuid,
    guestId: spec.guestId ?? 'debian12_64Guest',
    annotation: spec.annotation,
    files: vim('VirtualMachineFileInfo', { vmPathName: `[${spec.datastoreName}]` }),
    numCPUs: spec.cpuCount,
    numCoresPerSocket: spec.coresPerSocket,
    memoryMB: spec.memoryMib,
    deviceChange: changes,
    extraConfig: options(spec.extraConfig ?? {}),
    firmware: spec.firmware,
  });
}

export function nicDevice(inventory: Inventory, nic: SimNicSpec, key: number): VimObject {
  return vim(nicType(nic.adapterType ?? 'vmxnet3'), {
    key,
    backing: nicBacking(inventory, nic.networkMoRef),
    connectable: vim('VirtualDeviceConnectInfo', { startConnected: nic.connected ?? true, allowGuestControl: true, connected: false }),
    addressType: nic.macAddress === undefined ? 'assigned' : 'manual',
    macAddress: nic.macAddress,
  });
}

export function editedNic(inventory: Inventory, device: VimObject, nic: SimNicSpec): VimObject {
  const connectable = objectAt(device, 'connectable') as VimObject;
  return {
    ...device,
    backing: nicBacking(inventory, nic.networkMoRef),
    connectable: { ...connectable, startConnected: nic.connected ?? connectable.startConnected },
    ...(nic.macAddress === undefined || nic.macAddress.toLowerCase() === device.macAddress
      ? {}
      : { addressType: 'manual', macAddress: nic.macAddress.toLowerCase() }),
  };
}

function nicBacking(inventory: Inventory, networkMoRef: string): VimObject {
  const network = inventory.state.networks.find((candidate) => candidate.moRef === networkMoRef);
  if (!network) throw managedObjectNotFound('Network', networkMoRef);
  if (network.kind === 'Network') return vim('VirtualEthernetCardNetworkBackingInfo', { deviceName: network.name });
  const port = vim('DistributedVirtualSwitchPortConnection', {
    switchUuid: inventory.state.dvSwitch.uuid,
    portgroupKey: network.moRef,
  });
  return vim('VirtualEthernetCardDistributedVirtualPortBackingInfo', { port });
}

export function cloneOfDevice(device: VimObject, datastoreName: string): VimObject {
  const copy = structuredClone(device);
  delete copy.deviceInfo;
  if (isNic(copy)) {
    copy.addressType = 'assigned';
    delete copy.macAddress;
    return addition(copy);
  }
  if (copy.$type !== 'VirtualDisk') return addition(copy);
  const backing = objectAt(copy, 'backing') as VimObject;
  copy.backing = vim('VirtualDiskFlatVer2BackingInfo', {
    fileName: `[${datastoreName}]`,
    diskMode: backing.diskMode,
    thinProvisioned: backing.thinProvisioned,
  });
  return addition(copy, 'create');
}

export function options(entries: Readonly<Record<string, string>>): VimObject[] {
  return Object.entries(entries).map(([key, value]) => vim('OptionValue', { key, value }));
}
