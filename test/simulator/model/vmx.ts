import { basename, dirname } from 'node:path';
import type { NicAdapter, ScsiAdapter, SimNic, SimVm } from './vsphere-types.js';

/** scsi0.virtualDev's words. */
export const CONTROLLER_NAMES: readonly (readonly [ScsiAdapter, string])[] = [
  ['lsiLogic', 'lsilogic'],
  ['busLogic', 'buslogic'],
  ['lsiLogicSas', 'lsisas1068'],
  ['paraVirtual', 'pvscsi'],
];

/** ethernet0.addressType's words: "vpx" is an address that vCenter gave. */
export const ADDRESS_TYPES: readonly (readonly [SimNic['addressType'], string])[] = [
  ['manual', 'static'],
  ['assigned', 'vpx'],
  ['generated', 'generated'],
];

/** What formatVmx writes of the VM itself; every other key is the user's extraConfig. */
export const OWN_KEYS =
  /^(\.encoding|config\.version|virtualHW\.version|displayName|guestOS|numvcpus|cpuid\.coresPerSocket|memSize|firmware|uuid\.bios|vc\.uuid|annotation|nvram|ctkEnabled|scsi\d.*|ethernet\d.*)$/;

/** The .vmx of a VM: what registering it again needs. */
export function formatVmx(vm: SimVm, switchUuid: string, portGroups: ReadonlySet<string>): string {
  const values: [string, string | number][] = [
    ['.encoding', 'UTF-8'],
    ['config.version', 8],
    ['virtualHW.version', vm.hardwareVersion.replace('vmx-', '')],
    ['displayName', vm.name],
    ['guestOS', vm.guestId],
    ['numvcpus', vm.cpuCount],
    ['cpuid.coresPerSocket', vm.coresPerSocket],
    ['memSize', vm.memoryMib],
    ['firmware', vm.firmware],
    ['uuid.bios', vm.biosUuid],
    ['vc.uuid', vm.instanceUuid],
    ['annotation', vm.annotation],
    ['nvram', `${basename(vm.vmPath, '.vmx')}.nvram`],
    ['ctkEnabled', vm.changeTrackingEnabled ? 'TRUE' : 'FALSE'],
  ];
  for (const disk of vm.disks) {
    const slot = `scsi${disk.busNumber}`;
    const word = CONTROLLER_NAMES.find(([adapter]) => adapter === disk.adapterType)?.[1];
    if (word && !values.some(([key]) => key === `${slot}.virtualDev`)) values.push([`${slot}.virtualDev`, word]);
    const isAtHome = dirname(disk.path) === dirname(vm.vmPath);
    values.push(
      [`${slot}:${disk.unitNumber}.fileName`, isAtHome ? basename(disk.path) : disk.path],
      [`${slot}:${disk.unitNumber}.mode`, disk.diskMode],
    );
  }
  for (const [index, nic] of vm.nics.entries()) values.push(...nicValues(`ethernet${index}`, nic, switchUuid, portGroups));
  values.push(...Object.entries(vm.extraConfig));
  return values.map(([key, value]) => `${key} = "${escapeValue(String(value))}"\n`).join('');
}

function nicValues(slot: string, nic: SimNic, switchUuid: string, portGroups: ReadonlySet<string>): [string, string][] {
  const backing: [string, string][] = portGroups.has(nic.networkMoRef)
    ? [
        [`${slot}.dvs.switchId`, switchUuid],
        [`${slot}.dvs.portgroupId`, nic.networkMoRef],
      ]
    : [[`${slot}.networkName`, nic.networkName]];
  return [
    [`${slot}.virtualDev`, nic.adapterType satisfies NicAdapter],
    ...backing,
    [`${slot}.addressType`, ADDRESS_TYPES.find(([type]) => type === nic.addressType)?.[1] ?? 'static'],
    [`${slot}.address`, nic.macAddress],
    [`${slot}.startConnected`, nic.startConnected ? 'TRUE' : 'FALSE'],
  ];
}

export function parseVmx(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^(\S+) = "(.*)"$/gm)].map(([, key = '', value = '']) => [key, unescapeValue(value)]));
}

/** A quotation mark, a line end and the escape character itself stand as |hex. */
function escapeValue(value: string): string {
  return value.replace(/[|"\r\n]/g, (character) => `|${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function unescapeValue(value: string): string {
  return value.replace(/\|([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
