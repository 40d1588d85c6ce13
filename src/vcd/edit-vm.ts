import { element, parseXml, type XmlElement } from '../common/index.js';
import { sameContent } from './compare.js';
import { readVm, sendChange, type VcdContext } from './context.js';
import { withoutChildren, writeProductSections } from './edit-vapp.js';
import { linkHref, referenceOf, sameEntity, under } from './links.js';
import { MEDIA, OVF, VCLOUD } from './namespaces.js';
import { networkConnections } from './network-connections.js';
import type { VcdReference, VmCapture } from './types.js';

/**
 * Puts a VM's captured settings back by one reconfigureVm: VCD takes name, description and any sections in
 * it and leaves alone what is not in the body, so several edits are one task. Hardware is not sent: the VM
 * came from vSphere with it, and its NIC items would contradict the connections.
 */
export async function writeVm(
  context: VcdContext,
  vmHref: string,
  captured: VmCapture,
  options: { keepMacAddresses: boolean },
  signal?: AbortSignal,
): Promise<void> {
  const { root } = await readVm(context, vmHref, signal);
  await sendChange(context, {
    method: 'POST',
    href: linkHref(root, 'reconfigureVm') ?? under(vmHref, 'action', 'reconfigureVm'),
    doing: 'Writing the settings of',
    entityHref: vmHref,
    body: reconfigureBody(root, captured, options),
    contentType: MEDIA.vm,
    // The whole settings are sent: twice gives the same VM as once.
    idempotent: true,
    signal,
  });
  context.names.remember(vmHref, captured.name);
  await writeProductSections(context, vmHref, captured.sections, signal);
}

/** Elements in the order of VmType: Description, sections, VmCapabilities, StorageProfile, ComputePolicy, BootOptions. */
export function reconfigureBody(current: XmlElement, captured: VmCapture, options: { keepMacAddresses: boolean }): XmlElement {
  const captures = (local: string): XmlElement | undefined => {
    const text = captured.sections[local];
    return text === undefined ? undefined : withoutChildren(parseXml(text), 'Link');
  };
  return element(
    'Vm',
    VCLOUD,
    { name: captured.name },
    element('Description', VCLOUD, {}, captured.description ?? ''),
    changedOperatingSystem(current, captures('OperatingSystemSection')),
    networkConnections(current.child('NetworkConnectionSection'), captured.nics, options),
    guestCustomization(current, captures('GuestCustomizationSection'), captured.computerName),
    withUnknownOf(current.child('VmCapabilities'), captures('VmCapabilities'), CAPABILITIES),
    changedReference('StorageProfile', current.child('StorageProfile'), captured.storageProfile),
    changedPolicies(current, captured),
    withUnknownOf(current.child('BootOptions'), captures('BootOptions'), BOOT_OPTIONS),
  );
}

/** VmCapabilitiesType and BootOptionsType of API 37.1. */
const CAPABILITIES = ['MemoryHotAddEnabled', 'CpuHotAddEnabled'];
const BOOT_OPTIONS = ['BootDelay', 'EnterBIOSSetup', 'BootRetryEnabled', 'BootRetryDelay', 'EfiSecureBootEnabled', 'NetworkBootProtocol'];

/** The captured element with what a later version has added to today's: what the capture knows decides, what it cannot know stays. */
function withUnknownOf(
  present: XmlElement | undefined,
  captured: XmlElement | undefined,
  known: readonly string[],
): XmlElement | undefined {
  if (captured === undefined) return undefined;
  // They address the VM of the capture.
  captured.removeAttribute('href').removeAttribute('type');
  const unknown = (present?.elements() ?? []).filter(
    ({ local }) => local !== 'Link' && local !== 'VCloudExtension' && !known.includes(local) && captured.child(local) === undefined,
  );
  return captured.append(...unknown);
}

/** Sent only where it differs: for VCD it is a change of the guest's type, which not every state allows. */
function changedOperatingSystem(current: XmlElement, captured: XmlElement | undefined): XmlElement | undefined {
  const present = current.child('OperatingSystemSection');
  if (captured === undefined || (present !== undefined && sameContent(present, captured))) return undefined;
  // Its href and type name the VM of the capture.
  captured.attributes = captured.attributes.filter((attribute) => attribute.namespace !== VCLOUD);
  return captured;
}

function changedReference(local: string, present: XmlElement | undefined, wanted: VcdReference | undefined): XmlElement | undefined {
  const today = referenceOf(present);
  if (wanted === undefined || (today !== undefined && sameEntity(today.href, wanted.href))) return undefined;
  return element(local, VCLOUD, { href: wanted.href, name: wanted.name });
}

/**
 * Both policies go out together, as one left out of ComputePolicy is taken away. VCD wants at least one:
 * where the capture has none, today's stay.
 */
function changedPolicies(current: XmlElement, captured: VmCapture): XmlElement | undefined {
  const { placementPolicy, sizingPolicy } = captured;
  if (placementPolicy === undefined && sizingPolicy === undefined) return undefined;
  const policy = current.child('ComputePolicy');
  const same = (local: string, wanted: VcdReference | undefined) => {
    const today = referenceOf(policy?.child(local));
    return today === undefined || wanted === undefined ? today === wanted : sameEntity(today.href, wanted.href);
  };
  if (same('VmPlacementPolicy', placementPolicy) && same('VmSizingPolicy', sizingPolicy)) return undefined;
  const reference = (local: string, wanted: VcdReference | undefined) =>
    wanted && element(local, VCLOUD, { href: wanted.href, name: wanted.name });
  return element('ComputePolicy', VCLOUD, {}, reference('VmPlacementPolicy', placementPolicy), reference('VmSizingPolicy', sizingPolicy));
}

/** GuestCustomizationSectionType's sequence; what the schema does not know goes behind it. */
const CUSTOMIZATION_ORDER = [
  'Info',
  'Enabled',
  'ChangeSid',
  'VirtualMachineId',
  'JoinDomainEnabled',
  'UseOrgSettings',
  'DomainName',
  'DomainUserName',
  'DomainUserPassword',
  'MachineObjectOU',
  'AdminPasswordEnabled',
  'AdminPasswordAuto',
  'AdminPassword',
  'AdminAutoLogonEnabled',
  'AdminAutoLogonCount',
  'ResetPasswordRequired',
  'CustomizationScript',
  'ComputerName',
];

function guestCustomization(
  current: XmlElement,
  captured: XmlElement | undefined,
  computerName: string | undefined,
): XmlElement | undefined {
  if (captured === undefined) return undefined;
  const present = current.child('GuestCustomizationSection');
  // VCD refuses a given password beside one it is to make, or where none is set.
  const ownPassword = captured.textAt('AdminPasswordEnabled') === 'true' && captured.textAt('AdminPasswordAuto') !== 'true';
  const section = withoutChildren(captured, 'Link', 'VirtualMachineId', 'ComputerName', ...(ownPassword ? [] : ['AdminPassword']));
  section.attributes = [];
  section.setAttribute('required', 'false', OVF);
  const machineId = present?.textAt('VirtualMachineId');
  if (machineId) section.append(element('VirtualMachineId', VCLOUD, {}, machineId));
  if (computerName) section.append(element('ComputerName', VCLOUD, {}, computerName));
  if (section.child('Info') === undefined) section.append(element('Info', OVF, {}, 'Specifies Guest OS Customization Settings'));
  const rank = (node: XmlElement) => {
    const index = CUSTOMIZATION_ORDER.indexOf(node.local);
    return index < 0 ? CUSTOMIZATION_ORDER.length : index;
  };
  section.children = section.elements().sort((one, other) => rank(one) - rank(other));
  return section;
}
