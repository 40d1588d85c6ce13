import { parseXml, type XmlElement } from '../common/index.js';
import { defined, VsphereError } from './errors.js';
import type { DiskBacking, GuestTools, SnapshotNode, VmConfiguration } from './types.js';
import { integerOf, isTrue, readableName, referenceOf, renamed, typed, typeOf, writeVimXml } from './vim-xml.js';

/** The `config` property as a document of its own. */
export function configurationXml(config: XmlElement): string {
  return writeVimXml(typed(renamed(config, 'config'), 'VirtualMachineConfigInfo'));
}

/** @throws VsphereError BAD_CONFIGURATION when the text is not a VirtualMachineConfigInfo. */
export function parseConfiguration(configXml: string): XmlElement {
  try {
    const config = parseXml(configXml);
    if (config.child('hardware') !== undefined) return config;
  } catch {
    // One sentence for both: what matters is that no VM can be built from it.
  }
  throw new VsphereError('The captured configuration is not a VirtualMachineConfigInfo: no VM can be built from it.', {
    code: 'BAD_CONFIGURATION',
  });
}

export function devicesOf(config: XmlElement): XmlElement[] {
  return config.child('hardware')?.childrenNamed('device') ?? [];
}

/** @param config VirtualMachineConfigInfo of a VM or of a snapshot. */
export function disksOf(config: XmlElement): DiskBacking[] {
  return devicesOf(config)
    .filter((device) => typeOf(device) === 'VirtualDisk')
    .map(readDisk);
}

/**
 * The disks of a captured configuration.
 * @param configXml VirtualMachineConfigInfo
 * @throws VsphereError BAD_CONFIGURATION
 */
export function capturedDisks(configXml: string): DiskBacking[] {
  return disksOf(parseConfiguration(configXml));
}

function readDisk(device: XmlElement): DiskBacking {
  const backing = device.child('backing');
  const deviceKey = integerOf(device.child('key'));
  const label = device.textAt('deviceInfo', 'label') ?? `disk ${deviceKey}`;
  const capacityBytes = capacityOf(device);
  if (deviceKey === undefined || capacityBytes === undefined) {
    throw new VsphereError(`vCenter told neither key nor capacity of ${label}: the VM cannot be read.`, {
      code: 'BAD_CONFIGURATION',
      subject: label,
    });
  }
  return {
    deviceKey,
    label,
    path: backing?.textAt('fileName') ?? '',
    capacityBytes,
    uuid: textOrUndefined(backing, 'uuid'),
    changeId: textOrUndefined(backing, 'changeId'),
    diskMode: backing?.textAt('diskMode') ?? 'persistent',
    backingType: typeOf(backing) ?? '',
    compatibilityMode: textOrUndefined(backing, 'compatibilityMode'),
    sharing: textOrUndefined(backing, 'sharing'),
    controllerKey: integerOf(device.child('controllerKey')) ?? 0,
    unitNumber: integerOf(device.child('unitNumber')) ?? 0,
    thin: isThin(backing),
    parentPaths: parentPathsOf(backing),
  };
}

/** Followed to the base: how many there are is never assumed (guide, "Redo Logs and Linked Clone Backup"). */
function parentPathsOf(backing: XmlElement | undefined): string[] {
  const paths: string[] = [];
  for (let parent = backing?.child('parent'); parent !== undefined; parent = parent.child('parent')) {
    paths.push(parent.textAt('fileName') ?? '');
  }
  return paths;
}

/** Whether changed blocks were tracked, by a captured configuration. @throws VsphereError BAD_CONFIGURATION */
export function tracksChanges(configXml: string): boolean {
  return isTrue(parseConfiguration(configXml).child('changeTrackingEnabled'));
}

/** capacityInKB is rounded down, and a disk may end between two KiB. */
export function capacityOf(disk: XmlElement): number | undefined {
  const exact = integerOf(disk.child('capacityInBytes'));
  if (exact !== undefined) return exact;
  const kib = integerOf(disk.child('capacityInKB'));
  return kib === undefined ? undefined : kib * 1024;
}

/** Space-efficient sparse disks have no flag: they are thin by their kind. */
export function isThin(backing: XmlElement | undefined): boolean {
  return isTrue(backing?.child('thinProvisioned')) || typeOf(backing) === 'VirtualDiskSeSparseBackingInfo';
}

/** The tree of `snapshot.rootSnapshotList`, parents before children. */
export function flattenSnapshots(roots: readonly XmlElement[], parentMoRef?: string): SnapshotNode[] {
  return roots.flatMap((node) => {
    const moRef = referenceOf(node.child('snapshot'))?.value ?? '';
    const self: SnapshotNode = {
      moRef,
      name: readableName(node.textAt('name') ?? ''),
      description: node.textAt('description') ?? '',
      createdAt: node.textAt('createTime') ?? '',
      parentMoRef,
      quiesced: isTrue(node.child('quiesced')),
      ...defined({ id: integerOf(node.child('id')), backupManifest: textOrUndefined(node, 'backupManifest') }),
    };
    return [self, ...flattenSnapshots(node.childrenNamed('childSnapshotList'), moRef)];
  });
}

type FromConfiguration = Pick<
  VmConfiguration,
  | 'name'
  | 'instanceUuid'
  | 'biosUuid'
  | 'hardwareVersion'
  | 'guestId'
  | 'vmPath'
  | 'snapshotDirectory'
  | 'changeTrackingEnabled'
  | 'cpuCount'
  | 'memoryMib'
  | 'disks'
  | 'configXml'
>;

/** @param config The `config` property, VirtualMachineConfigInfo. */
export function readConfiguration(config: XmlElement): FromConfiguration {
  return {
    name: readableName(config.textAt('name') ?? ''),
    instanceUuid: config.textAt('instanceUuid') ?? '',
    biosUuid: config.textAt('uuid') ?? '',
    hardwareVersion: config.textAt('version') ?? '',
    guestId: config.textAt('guestId') ?? '',
    vmPath: config.textAt('files', 'vmPathName') ?? '',
    snapshotDirectory: config.textAt('files', 'snapshotDirectory') ?? '',
    changeTrackingEnabled: isTrue(config.child('changeTrackingEnabled')),
    cpuCount: integerOf(config.find('hardware', 'numCPU')) ?? 0,
    memoryMib: integerOf(config.find('hardware', 'memoryMB')) ?? 0,
    disks: disksOf(config),
    configXml: configurationXml(config),
  };
}

/** @param guest The `guest` property, GuestInfo. */
export function readTools(guest: XmlElement | undefined): GuestTools {
  const running = guest?.textAt('toolsRunningStatus');
  const status = guest?.textAt('toolsStatus') ?? 'toolsNotInstalled';
  const version = integerOf(guest?.child('toolsVersion'));
  return {
    status,
    // While they run scripts, they run too.
    running: running === undefined ? status === 'toolsOk' || status === 'toolsOld' : running !== 'guestToolsNotRunning',
    version: version === 0 ? undefined : version,
  };
}

function textOrUndefined(element: XmlElement | undefined, local: string): string | undefined {
  const text = element?.textAt(local);
  return text === '' ? undefined : text;
}
