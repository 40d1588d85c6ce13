import type { XmlElement } from '../common/index.js';
import type { SpecOptions } from './config-to-spec.js';
import { type CopiedDevice, fateOf, isDefaultDevice, type MadeDevice } from './device-fates.js';
import { cryptoSpec, profileSpec, readKeyId } from './encryption-spec.js';
import { VsphereError } from './errors.js';
import { capacityOf, devicesOf, isThin } from './vm-configuration.js';
import { copy, integerOf, isTrue, type ManagedObject, renamed, typed, typeOf, vim } from './vim-xml.js';

/** A network a new NIC can be put on. */
export interface NetworkChoice {
  network: ManagedObject;
  name: string;
  /** For a distributed port group; the switch only where the server tells it. */
  portgroupKey?: string;
  switchUuid?: string;
  /** For an opaque (NSX) network. */
  opaqueId?: string;
  opaqueType?: string;
}

/** @returns one `deviceChange` for each device the new VM needs. */
export function deviceChanges(config: XmlElement, options: SpecOptions): { changes: XmlElement[]; omitted: string[] } {
  const omitted: string[] = [];
  const changes: XmlElement[] = [];
  const keys = new Map(devicesOf(config).map((device) => [device.textAt('key') ?? '', newKey(device)]));
  for (const device of devicesOf(config)) {
    const fate = fateOf(device, options.encryption?.keys);
    if (fate.kind === 'default' || isLeftOut(device, options)) continue;
    if (fate.kind === 'omitted') omitted.push(`${labelOf(device)} (${typeOf(device)}): ${fate.why}`);
    else changes.push(make(fate, device, commonFields(device, keys), options));
    if (fate.kind === 'disk') omitted.push(...omittedOfDisk(device));
  }
  return { changes, omitted };
}

function make(fate: MadeDevice, device: XmlElement, common: CommonFields, options: SpecOptions): XmlElement {
  const type = typeOf(device) ?? '';
  switch (fate.kind) {
    case 'controller':
      return add(controller(device, type, common));
    case 'nic':
      return add(nic(device, type, common, options));
    case 'disk':
      return addDisk(device, common, options);
    case 'emptied':
      return add(clientDevice(type, common, fate.backing, ...(fate.exclusive ? [vim('exclusive', 'false')] : [])));
    case 'copied':
      return add(copied(device, type, common, fate));
  }
}

/** As it was, but for its keys and for what the server tells of it. */
function copied(
  device: XmlElement,
  type: string,
  { key, slotInfo, controllerKey, unitNumber }: CommonFields,
  fate: CopiedDevice,
): XmlElement {
  const backing = device.child('backing')?.clone();
  if (backing !== undefined)
    backing.children = backing.children.filter((node) => typeof node === 'string' || !fate.withoutBacking.includes(node.local));
  const connection = device.child('connectable') && connectable(isTrue(device.find('connectable', 'startConnected')));
  const own = fate.fields.flatMap((local) => device.childrenNamed(local).map((field) => renamed(field, local)));
  return typed(vim('device', key, backing, connection, slotInfo, controllerKey, unitNumber, ...own), type);
}

function isLeftOut(device: XmlElement, { withoutDisks = [] }: SpecOptions): boolean {
  return typeOf(device) === 'VirtualDisk' && withoutDisks.some((key) => String(key) === device.textAt('key'));
}

interface CommonFields {
  key: XmlElement;
  slotInfo: XmlElement | undefined;
  controllerKey: XmlElement | undefined;
  unitNumber: XmlElement | undefined;
}

/**
 * A new device is named by a negative key, its own with the sign turned: unique, and the same for
 * everything that refers to it. Default devices keep theirs (IDE 200 and 201, PCI 100, SIO 400).
 */
function newKey(device: XmlElement): string {
  const key = device.textAt('key') ?? '';
  return isDefaultDevice(device) ? key : `-${key}`;
}

function commonFields(device: XmlElement, keys: ReadonlyMap<string, string>): CommonFields {
  const controllerKey = keys.get(device.textAt('controllerKey') ?? '');
  return {
    key: vim('key', newKey(device)),
    slotInfo: copy(device, 'slotInfo'),
    controllerKey: controllerKey === undefined ? undefined : vim('controllerKey', controllerKey),
    unitNumber: copy(device, 'unitNumber'),
  };
}

function add(device: XmlElement, ...more: (XmlElement | undefined)[]): XmlElement {
  return typed(vim('deviceChange', vim('operation', 'add'), device, ...more), 'VirtualDeviceConfigSpec');
}

/** With its storage policy, and encrypted with its own key where keys are kept. */
function addDisk(device: XmlElement, common: CommonFields, options: SpecOptions): XmlElement {
  const { encryption } = options;
  const profile = profileSpec('profile', encryption?.profiles?.disks.get(integerOf(device.child('key')) ?? 0));
  const key = encryption?.keys === 'captured' ? readKeyId(device.find('backing', 'keyId')) : undefined;
  const backing = key === undefined ? undefined : vim('backing', cryptoSpec('crypto', key));
  const made = disk(device, common, options);
  return typed(
    vim('deviceChange', vim('operation', 'add'), vim('fileOperation', 'create'), made, profile, backing),
    'VirtualDeviceConfigSpec',
  );
}

function omittedOfDisk(device: XmlElement): string[] {
  const omitted: string[] = [];
  if (device.child('vFlashCacheConfigInfo') !== undefined)
    omitted.push(`flash read cache of ${labelOf(device)}: vSphere 7.0 and later have none`);
  if (device.child('vDiskId') !== undefined) omitted.push(`${labelOf(device)} as a first class disk: the new one is a disk of the VM`);
  return omitted;
}

/** Without `device`, which the server builds again, and without its own place, which busNumber tells. */
function controller(device: XmlElement, type: string, { key, slotInfo, controllerKey }: CommonFields): XmlElement {
  const own = ['busNumber', 'hotAddRemove', 'sharedBus', 'autoConnectDevices', 'ehciEnabled'].map((local) => copy(device, local));
  return typed(vim('device', key, slotInfo, controllerKey, ...own), type);
}

function disk(device: XmlElement, { key, controllerKey, unitNumber }: CommonFields, options: SpecOptions): XmlElement {
  const captured = device.child('backing');
  const capacityBytes = capacityOf(device);
  if (capacityBytes === undefined) {
    throw new VsphereError(`The captured configuration does not tell the capacity of ${labelOf(device)}.`, { code: 'BAD_CONFIGURATION' });
  }
  const thin = isThin(captured);
  // A file of its own, whatever the disk was (a raw device in virtual mode, a child of a snapshot): no parent, no old path.
  const backing = typed(
    vim(
      'backing',
      vim('fileName', `[${options.datastoreName}]`),
      copy(captured, 'diskMode') ?? vim('diskMode', 'persistent'),
      copy(captured, 'split'),
      copy(captured, 'writeThrough'),
      vim('thinProvisioned', String(thin)),
      thin ? undefined : copy(captured, 'eagerlyScrub'),
      copy(captured, 'uuid'),
      copy(captured, 'sharing'),
    ),
    'VirtualDiskFlatVer2BackingInfo',
  );
  return typed(
    vim(
      'device',
      key,
      backing,
      controllerKey,
      unitNumber,
      vim('capacityInKB', String(Math.floor(capacityBytes / 1024))),
      vim('capacityInBytes', String(capacityBytes)),
      copy(device, 'storageIOAllocation') ?? ioAllocation(device),
    ),
    'VirtualDisk',
  );
}

/** Before 5.5, shares alone and elsewhere. */
function ioAllocation(device: XmlElement): XmlElement | undefined {
  const shares = copy(device, 'shares');
  return shares && vim('storageIOAllocation', shares);
}

function nic(
  device: XmlElement,
  type: string,
  { key, slotInfo, controllerKey, unitNumber }: CommonFields,
  options: SpecOptions,
): XmlElement {
  const same = options.networks.find((choice) => isSameNetwork(device.child('backing'), choice));
  // VCD's import and the restored network section connect it to its true network afterwards.
  const choice = same ?? options.networks.find((other) => other.network.type === 'Network') ?? options.networks.find(isReachable);
  if (choice === undefined) {
    throw new VsphereError(`The target has no network to put ${labelOf(device)} of VM "${options.name}" on: give its hosts one.`, {
      code: 'NO_NETWORK',
    });
  }
  const startConnected = same !== undefined && isTrue(device.find('connectable', 'startConnected'));
  return typed(
    vim(
      'device',
      key,
      networkBacking(choice, device.textAt('backing', 'port', 'switchUuid')),
      connectable(startConnected),
      slotInfo,
      controllerKey,
      unitNumber,
      ...address(device, options.keepIdentity),
      copy(device, 'wakeOnLanEnabled'),
      copy(device, 'resourceAllocation'),
      copy(device, 'uptCompatibilityEnabled'),
      copy(device, 'uptv2Enabled'),
      copy(device, 'deviceProtocol'),
    ),
    type,
  );
}

function isSameNetwork(backing: XmlElement | undefined, choice: NetworkChoice): boolean {
  const portgroupKey = backing?.textAt('port', 'portgroupKey');
  if (portgroupKey !== undefined) return portgroupKey === choice.portgroupKey;
  const opaqueId = backing?.textAt('opaqueNetworkId');
  if (opaqueId !== undefined) return opaqueId === choice.opaqueId;
  return choice.network.type === 'Network' && backing?.textAt('deviceName') === choice.name;
}

function isReachable(choice: NetworkChoice): boolean {
  return choice.portgroupKey === undefined || choice.switchUuid !== undefined;
}

/** @param capturedSwitchUuid A port group stays on its switch: the captured one is right where the server does not tell. */
function networkBacking(choice: NetworkChoice, capturedSwitchUuid: string | undefined): XmlElement {
  if (choice.portgroupKey !== undefined) {
    const port = vim('port', vim('switchUuid', choice.switchUuid ?? capturedSwitchUuid ?? ''), vim('portgroupKey', choice.portgroupKey));
    return typed(vim('backing', port), 'VirtualEthernetCardDistributedVirtualPortBackingInfo');
  }
  if (choice.opaqueId !== undefined) {
    const fields = [vim('opaqueNetworkId', choice.opaqueId), vim('opaqueNetworkType', choice.opaqueType ?? '')];
    return typed(vim('backing', ...fields), 'VirtualEthernetCardOpaqueNetworkBackingInfo');
  }
  // Names of standard networks are unique only within one host: the reference says which is meant.
  const network = vim('network', choice.network.value).setAttribute('type', choice.network.type);
  return typed(vim('backing', vim('deviceName', choice.name), network), 'VirtualEthernetCardNetworkBackingInfo');
}

/**
 * ESXi accepts a manual address of VMware's own range only up to 00:50:56:3f:ff:ff; above it the
 * addresses are vCenter's, and one of those is kept only as `assigned`.
 */
function address(device: XmlElement, keepIdentity: boolean): XmlElement[] {
  const mac = device.textAt('macAddress');
  if (!keepIdentity || mac === undefined || mac === '') return [vim('addressType', 'generated')];
  const isVcenterRange = /^00:50:56:[4-9a-f]/i.test(mac);
  const type = isVcenterRange ? 'assigned' : 'manual';
  return [vim('addressType', type), vim('macAddress', mac)];
}

/** On the administrator's own machine, that is, empty: the captured ISO or image need not exist here. */
function clientDevice(
  type: string,
  { key, controllerKey, unitNumber }: CommonFields,
  backingType: string,
  ...fields: XmlElement[]
): XmlElement {
  const backing = typed(vim('backing', vim('deviceName', ''), ...fields), backingType);
  return typed(vim('device', key, backing, connectable(false), controllerKey, unitNumber), type);
}

function connectable(startConnected: boolean): XmlElement {
  return vim('connectable', vim('startConnected', String(startConnected)), vim('allowGuestControl', 'true'), vim('connected', 'false'));
}

function labelOf(device: XmlElement): string {
  return device.textAt('deviceInfo', 'label') ?? `device ${device.textAt('key')}`;
}
