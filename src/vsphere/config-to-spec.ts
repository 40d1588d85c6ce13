import type { XmlElement } from '../common/index.js';
import { deviceChanges, type NetworkChoice } from './device-spec.js';
import { cryptoSpec, type EncryptionOptions, profileSpec, readKeyId } from './encryption-spec.js';
import { isHostSpecific } from './extra-config.js';
import { laterFields } from './later-fields.js';
import { copy, inventoryName, renamed, vim, writeVimXml } from './vim-xml.js';

export interface SpecOptions {
  name: string;
  datastoreName: string;
  /** Keeps uuid, instanceUuid and MAC addresses. Only one VM at a time may have them. */
  keepIdentity: boolean;
  /** Device keys of captured disks that are left out on purpose: they are attached later, by whom they belong to. */
  withoutDisks?: readonly number[];
  /** "vmx-19" where the target does not take the captured one. */
  hardwareVersion?: string;
  encryption?: EncryptionOptions;
  /** Of the vCenter that makes the VM; what it is too old for is left out. All is kept without it. */
  apiVersion?: string;
  /** Networks the new VM's host offers. */
  networks: readonly NetworkChoice[];
}

export interface VmSpec {
  /** Children of a VirtualMachineConfigSpec, in schema order. */
  children: XmlElement[];
  /** What of the captured VM cannot be made again, for people: `USB 1 (VirtualUSB): plugged into its host`. */
  omitted: string[];
}

/**
 * Turns a captured VirtualMachineConfigInfo into the VirtualMachineConfigSpec that makes such a VM
 * again, as the VDDK guide, "Using the VirtualMachineConfigInfo", tells: what is not left out for a
 * reason is copied intact. Left to others: managedBy, which VCD sets at import, and change tracking,
 * which is off while disks are written.
 */
export function configToSpec(config: XmlElement, options: SpecOptions): VmSpec {
  const { changes, omitted } = deviceChanges(config, options);
  const { encryption, hardwareVersion } = options;
  const hardware = config.child('hardware');
  const later = laterFields(config, options.apiVersion);
  const encrypts = encryption?.keys === 'captured' || encryption?.keys === 'new';
  const children: (XmlElement | undefined)[] = [
    vim('name', inventoryName(options.name)),
    hardwareVersion === undefined ? copy(config, 'version') : vim('version', hardwareVersion),
    options.keepIdentity ? copy(config, 'uuid') : undefined,
    options.keepIdentity ? copy(config, 'instanceUuid') : undefined,
    copy(config, 'guestId'),
    copy(config, 'alternateGuestName'),
    copy(config, 'annotation'),
    vim('files', vim('vmPathName', `[${options.datastoreName}]`)),
    without(copy(config, 'tools'), TOOLS_STATE),
    without(copy(config, 'flags'), FLAGS_NOT_SETTABLE),
    copy(config, 'consolePreferences'),
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
    affinity(config, 'cpuAffinity'),
    affinity(config, 'memoryAffinity'),
    ...config.childrenNamed('cpuFeatureMask').map((mask) => vim('cpuFeatureMask', vim('operation', 'add'), renamed(mask, 'info'))),
    ...extraConfig(config, encryption),
    copy(config, 'swapPlacement'),
    bootOptions(config),
    vappConfig(config.child('vAppConfig')),
    copy(config, 'firmware'),
    copy(config, 'maxMksConnections'),
    copy(config, 'guestAutoLockEnabled'),
    copy(config, 'memoryReservationLockedToMax'),
    copy(config, 'nestedHVEnabled'),
    copy(config, 'vPMCEnabled'),
    without(copy(config, 'scheduledHardwareUpgradeInfo'), UPGRADE_STATE),
    profileSpec('vmProfile', encryption?.profiles?.home),
    copy(config, 'messageBusTunnelEnabled'),
    encryption?.keys === 'captured' ? cryptoSpec('crypto', readKeyId(config.child('keyId'))) : undefined,
    copy(config, 'migrateEncryption'),
    ...later.children,
  ];
  omitted.push(...leftOut(config, encrypts), ...later.omitted);
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
const UPGRADE_STATE = ['scheduledHardwareUpgradeStatus', 'fault'];
/** Set by VCD itself when it imports the VM; a VM that has it already would be taken for one of its own. */
const VCD_EXTENSION = /^com\.vmware\.vcloud\b/;

/** What is bound to the VM that was, or belongs to another service, by its name for people. */
function leftOut(config: XmlElement, encrypts: boolean): string[] {
  const omitted: string[] = [];
  const extension = config.textAt('managedBy', 'extensionKey');
  if (extension !== undefined && !VCD_EXTENSION.test(extension))
    omitted.push(`managedBy ${extension}: that extension manages the VM it made`);
  if (config.child('npivNodeWorldWideName') !== undefined) omitted.push('NPIV world wide names: vCenter gives each VM its own');
  if (config.child('ftInfo') !== undefined) omitted.push('fault tolerance: it is turned on for a VM that runs');
  if (config.child('repConfig') !== undefined) omitted.push('vSphere Replication: it is configured anew for the new VM');
  if (config.child('keyId') !== undefined && !encrypts) omitted.push('encryption: the new VM is not encrypted');
  return omitted;
}

/** The bundle holds the VM's secrets, sealed with its key: without that key it would keep the VM from starting. */
function extraConfig(config: XmlElement, encryption: EncryptionOptions | undefined): XmlElement[] {
  return config.childrenNamed('extraConfig').filter((option) => {
    const key = option.textAt('key') ?? '';
    return key === 'encryption.bundle' ? encryption?.keys === 'captured' : !isHostSpecific(key);
  });
}

/** An empty set is how vSphere tells that there is none. */
function affinity(config: XmlElement, local: string): XmlElement | undefined {
  return config.find(local, 'affinitySet') === undefined ? undefined : copy(config, local);
}

/** VmConfigInfo to VmConfigSpec: lists of things become lists of additions. */
function vappConfig(captured: XmlElement | undefined): XmlElement | undefined {
  if (captured === undefined) return undefined;
  const additions = (local: string) =>
    captured.childrenNamed(local).map((info) => vim(local, vim('operation', 'add'), renamed(info, 'info')));
  const children = [
    ...additions('product'),
    ...additions('property'),
    copy(captured, 'ipAssignment'),
    ...captured.childrenNamed('eula').map((eula) => renamed(eula, 'eula')),
    ...additions('ovfSection'),
    ...captured.childrenNamed('ovfEnvironmentTransport').map((transport) => renamed(transport, 'ovfEnvironmentTransport')),
    copy(captured, 'installBootRequired'),
    copy(captured, 'installBootStopDelay'),
  ];
  return vim('vAppConfig', ...children);
}

/** bootOrder names devices by key, and a key of the new VM is known only when it exists. */
function bootOptions(config: XmlElement): XmlElement | undefined {
  return without(copy(config, 'bootOptions'), ['bootOrder']);
}

function without(element: XmlElement | undefined, locals: readonly string[]): XmlElement | undefined {
  if (element === undefined) return undefined;
  element.children = element.children.filter((node) => typeof node === 'string' || !locals.includes(node.local));
  return element;
}
