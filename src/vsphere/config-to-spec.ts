import type { XmlElement } from '../common/index.js';
import { deviceChanges, type NetworkChoice } from './device-spec.js';
import { inventoryName, renamed, vim, writeVimXml } from './vim-xml.js';

export interface SpecOptions {
  name: string;
  datastoreName: string;
  /** Keeps uuid, instanceUuid and MAC addresses. Only one VM at a time may have them. */
  keepIdentity: boolean;
  /** Device keys of captured disks that are left out on purpose: they are attached later, by whom they belong to. */
  withoutDisks?: readonly number[];
  /** Networks the new VM's host offers. */
  networks: readonly NetworkChoice[];
}

export interface VmSpec {
  /** Children of a VirtualMachineConfigSpec, in schema order. */
  children: XmlElement[];
  /** What of the captured VM cannot be made again, for people: `TPM "Virtual TPM": needs a key provider`. */
  omitted: string[];
}

/**
 * Turns a captured VirtualMachineConfigInfo into the VirtualMachineConfigSpec that makes such a VM
 * again, as the VDDK guide, "Using the VirtualMachineConfigInfo", tells. Left to others: vApp
 * properties, managedBy and storage policies, which VCD sets at import; change tracking, which each
 * backup turns on; encryption, which needs a key provider.
 */
export function configToSpec(config: XmlElement, options: SpecOptions): VmSpec {
  const { changes, omitted } = deviceChanges(config, options);
  const hardware = config.child('hardware');
  const children: (XmlElement | undefined)[] = [
    vim('name', inventoryName(options.name)),
    copy(config, 'version'),
    options.keepIdentity ? copy(config, 'uuid') : undefined,
    options.keepIdentity ? copy(config, 'instanceUuid') : undefined,
    copy(config, 'guestId'),
    copy(config, 'alternateGuestName'),
    copy(config, 'annotation'),
    vim('files', vim('vmPathName', `[${options.datastoreName}]`)),
    without(copy(config, 'tools'), TOOLS_STATE),
    without(copy(config, 'flags'), FLAGS_NOT_SETTABLE),
    copy(config, 'defaultPowerOps', 'powerOpInfo'),
    copy(hardware, 'numCPU', 'numCPUs'),
    // With automatic topology (8.0 on), the number is what vSphere chose, not what anybody set.
    hardware?.textAt('autoCoresPerSocket') === 'true' ? undefined : copy(hardware, 'numCoresPerSocket'),
    copy(hardware, 'memoryMB'),
    copy(config, 'memoryHotAddEnabled'),
    copy(config, 'cpuHotAddEnabled'),
    copy(config, 'cpuHotRemoveEnabled'),
    copy(hardware, 'virtualICH7MPresent'),
    copy(hardware, 'virtualSMCPresent'),
    ...changes,
    without(copy(config, 'cpuAllocation'), ALLOCATION_STATE),
    without(copy(config, 'memoryAllocation'), ALLOCATION_STATE),
    copy(config, 'latencySensitivity'),
    ...config.childrenNamed('cpuFeatureMask').map((mask) => vim('cpuFeatureMask', vim('operation', 'add'), renamed(mask, 'info'))),
    ...config.childrenNamed('extraConfig').filter((option) => !isHostSpecific(option.textAt('key') ?? '')),
    copy(config, 'swapPlacement'),
    bootOptions(config),
    copy(config, 'firmware'),
    copy(config, 'maxMksConnections'),
    copy(config, 'guestAutoLockEnabled'),
    copy(config, 'memoryReservationLockedToMax'),
    copy(config, 'nestedHVEnabled'),
    copy(config, 'vPMCEnabled'),
  ];
  if (config.child('keyId')) omitted.push('encryption: the new VM is not encrypted');
  return { children: children.filter((child) => child !== undefined), omitted };
}

/** For the soap client's raw insertion: each child carries its own namespaces. */
export function specXml(spec: VmSpec): string {
  return spec.children.map(writeVimXml).join('');
}

/** What the server reports and nobody sets. */
const TOOLS_STATE = ['toolsVersion', 'toolsInstallType', 'customizationKeyId', 'lastInstallInfo', 'pendingCustomization'];
const FLAGS_NOT_SETTABLE = ['recordReplayEnabled', 'faultToleranceType', 'snapshotLocked'];
const ALLOCATION_STATE = ['overheadLimit'];

/**
 * Written by the host, or true only where and when the VM ran. Kept are, among others, PCI slot
 * numbers (the guest names its NICs by them), disk.EnableUUID and guestinfo of the user.
 */
const HOST_SPECIFIC = [
  /^nvram$/,
  /^sched\.swap\./,
  /^(vmware\.)?log\./,
  /^vmware\.(log|tools)/,
  /^uuid\./,
  /^vc\.uuid$/,
  /^migrate\./,
  /^vmotion\./,
  /^viv\.moid$/,
  /\.?ctkEnabled$/i,
  /^(host|guest|user)CPUID\./,
  /^evcCompatibilityMode$/,
  /^monitor\.phys_bits_used$/,
  /^softPowerOff$/,
  /^cleanShutdown$/,
  /^extendedConfigFile$/,
  /^vmxstats\.filename$/,
  /^numa\.autosize\./,
  /^checkpoint\./,
  /^replay\./,
  /^snapshot\./,
  /^toolsInstallManager\./,
  /^guestOS\.detailed\.data$/,
  /^guestinfo\.(vmtools|appInfo|driver)\b/,
  /^encryption\./,
  /\.redo$/,
];

function isHostSpecific(key: string): boolean {
  return HOST_SPECIFIC.some((pattern) => pattern.test(key));
}

/** bootOrder names devices by key, and a key of the new VM is known only when it exists. */
function bootOptions(config: XmlElement): XmlElement | undefined {
  return without(copy(config, 'bootOptions'), ['bootOrder']);
}

function copy(from: XmlElement | undefined, local: string, as = local): XmlElement | undefined {
  const found = from?.child(local);
  return found === undefined ? undefined : renamed(found, as);
}

function without(element: XmlElement | undefined, locals: readonly string[]): XmlElement | undefined {
  if (element === undefined) return undefined;
  element.children = element.children.filter((node) => typeof node === 'string' || !locals.includes(node.local));
  return element;
}
