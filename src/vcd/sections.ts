import type { XmlElement } from '../common/index.js';
import { referenceOf } from './links.js';
import { OVF, writeFragment, XSI } from './namespaces.js';
import type {
  AccessControl,
  AccessGrant,
  MetadataEntry,
  MetadataType,
  NicConnection,
  StartupItem,
  VappNetwork,
  VcdReference,
} from './types.js';

/** Elements of answers, read into the shapes of types.ts. Local names decide: prefixes change from release to release. */

/** 0 is "never expires", for both. */
export function leaseOf(section: XmlElement | undefined): { deploymentSeconds: number; storageSeconds: number } {
  return {
    deploymentSeconds: whole(section?.textAt('DeploymentLeaseInSeconds')) ?? 0,
    storageSeconds: whole(section?.textAt('StorageLeaseInSeconds')) ?? 0,
  };
}

export function startupOf(section: XmlElement | undefined): StartupItem[] {
  return (section?.childrenNamed('Item') ?? []).map((item) => {
    const parsed: StartupItem = {
      vmName: item.attribute('id', OVF) ?? item.attribute('id') ?? '',
      order: whole(item.attribute('order')) ?? 0,
      startAction: item.attribute('startAction') ?? 'powerOn',
      startDelaySeconds: whole(item.attribute('startDelay')) ?? 0,
      stopAction: item.attribute('stopAction') ?? 'powerOff',
      stopDelaySeconds: whole(item.attribute('stopDelay')) ?? 0,
    };
    const waiting = item.attribute('waitingForGuest');
    return waiting === undefined ? parsed : { ...parsed, waitingForGuest: waiting === 'true' };
  });
}

/** "none" stands in VCD's section for NICs without a network; it is no network to bring back. */
export function networksOf(section: XmlElement | undefined): VappNetwork[] {
  return (section?.childrenNamed('NetworkConfig') ?? [])
    .filter((config) => config.attribute('networkName') !== 'none')
    .map((config) => {
      const description = config.textAt('Description');
      const parent = referenceOf(config.find('Configuration', 'ParentNetwork'));
      return {
        name: config.attribute('networkName') ?? '',
        ...(description ? { description } : {}),
        fenceMode: fenceModeOf(config),
        ...(parent ? { parent } : {}),
        xml: writeFragment(config),
      };
    });
}

function fenceModeOf(config: XmlElement): VappNetwork['fenceMode'] {
  const mode = config.textAt('Configuration', 'FenceMode');
  return mode === 'bridged' || mode === 'natRouted' ? mode : 'isolated';
}

export function accessOf(params: XmlElement): AccessControl {
  const everyone = params.textAt('EveryoneAccessLevel');
  const grants = (params.child('AccessSettings')?.childrenNamed('AccessSetting') ?? []).flatMap((setting): AccessGrant[] => {
    const subject = referenceOf(setting.child('Subject'));
    return subject === undefined ? [] : [{ subject, accessLevel: setting.textAt('AccessLevel') ?? 'ReadOnly' }];
  });
  return {
    sharedToEveryone: params.textAt('IsSharedToEveryone') === 'true',
    ...(everyone ? { everyoneAccessLevel: everyone } : {}),
    grants,
  };
}

const METADATA_TYPES: readonly MetadataType[] = [
  'MetadataStringValue',
  'MetadataNumberValue',
  'MetadataBooleanValue',
  'MetadataDateTimeValue',
];

export function metadataOf(metadata: XmlElement): MetadataEntry[] {
  return metadata.childrenNamed('MetadataEntry').map((entry) => {
    const domain = entry.child('Domain');
    const typed = entry.child('TypedValue');
    // xsi:type is a QName: vcloud:MetadataNumberValue, ns2:MetadataNumberValue, or without prefix.
    const type = (typed?.attribute('type', XSI) ?? '').split(':').at(-1);
    const visibility = domain?.attribute('visibility');
    return {
      key: entry.textAt('Key') ?? '',
      type: METADATA_TYPES.find((known) => known === type) ?? 'MetadataStringValue',
      value: rawText(typed?.child('Value') ?? entry.child('Value')),
      domain: domain?.text() === 'SYSTEM' ? 'SYSTEM' : 'GENERAL',
      visibility: visibility === 'READONLY' || visibility === 'PRIVATE' ? visibility : 'READWRITE',
    };
  });
}

/** A value a user typed: spaces at its ends are part of it. */
function rawText(element: XmlElement | undefined): string {
  return (element?.children ?? []).filter((node): node is string => typeof node === 'string').join('');
}

export function nicsOf(section: XmlElement | undefined): NicConnection[] {
  const primaryIndex = whole(section?.textAt('PrimaryNetworkConnectionIndex'));
  return (section?.childrenNamed('NetworkConnection') ?? [])
    .map((connection) => {
      const index = whole(connection.textAt('NetworkConnectionIndex')) ?? 0;
      const macAddress = connection.textAt('MACAddress');
      const ipAddress = connection.textAt('IpAddress');
      const adapterType = connection.textAt('NetworkAdapterType');
      return {
        index,
        network: connection.attribute('network') ?? 'none',
        connected: connection.textAt('IsConnected') === 'true',
        ...(macAddress ? { macAddress } : {}),
        allocationMode: connection.textAt('IpAddressAllocationMode') ?? 'NONE',
        ...(ipAddress ? { ipAddress } : {}),
        ...(adapterType ? { adapterType } : {}),
        primary: index === primaryIndex,
      };
    })
    .sort((one, other) => one.index - other.index);
}

export function optionalReference<K extends string>(key: K, element: XmlElement | undefined): { [P in K]?: VcdReference } {
  const reference = referenceOf(element);
  return (reference === undefined ? {} : { [key]: reference }) as { [P in K]?: VcdReference };
}

export function whole(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d+$/.test(text.trim())) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
