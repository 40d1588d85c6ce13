import { parseXml, type XmlElement } from '../common/index.js';

/** A value of the normal form that captures are compared in: what a person would name. */
export type Normal = string | number | boolean | undefined | Normal[] | { [key: string]: Normal };

/**
 * What a restore cannot or must not keep: addresses of resources, ids VCD gives, states, dates, passwords
 * (VCD makes them anew or does not show them), and captions for people.
 */
const IGNORED_ELEMENTS = new Set([
  'Link',
  'Info',
  'Id',
  'IsDeployed',
  'RouterInfo',
  'AllocatedIpAddresses',
  'VirtualMachineId',
  'AdminPassword',
  'DomainUserPassword',
  'VCloudExtension',
  'Description',
]);
const IGNORED_ATTRIBUTES = new Set(['href', 'id', 'type', 'required', 'schemaLocation', 'networkName']);
/** Elements whose absence VCD reads as false, and which it writes out in some releases only. */
const FALSE_BY_DEFAULT = new Set([
  'BackwardCompatibilityMode',
  'RetainNetInfoAcrossDeployments',
  'SubInterface',
  'DistributedInterface',
  'ServiceInterface',
  'GuestVlanAllowed',
  'DualStackNetwork',
  'ChangeSid',
  'JoinDomainEnabled',
  'UseOrgSettings',
  'AdminAutoLogonEnabled',
  'ResetPasswordRequired',
  'EnterBIOSSetup',
  'EnterBiosSetup',
  'BootRetryEnabled',
]);

export function sectionContent(xml: string | undefined): Normal {
  return xml === undefined ? undefined : content(parseXml(xml));
}

/** An element as values: text, or attributes and children by name, lists in their order. Empty is absent. */
export function content(element: XmlElement): Normal {
  const parts = new Map<string, Normal[]>();
  const add = (key: string, value: Normal) => {
    if (value !== undefined) parts.set(key, [...(parts.get(key) ?? []), value]);
  };
  for (const attribute of element.attributes) {
    // OperatingSystemSection's ovf:id is the kind of guest, not an id of the object.
    const meaningful = !IGNORED_ATTRIBUTES.has(attribute.local) || (element.local === 'OperatingSystemSection' && isGuestKind(attribute));
    if (meaningful) add(`@${attribute.local}`, attribute.value);
  }
  for (const child of element.elements()) {
    if (IGNORED_ELEMENTS.has(child.local) && !keepsDescription(element, child)) continue;
    if (FALSE_BY_DEFAULT.has(child.local) && child.text() === 'false') continue;
    if (child.local === 'ExternalIpAddress' && element.textAt('MappingMode') === 'automatic') continue;
    if (child.local === 'ParentNetwork') add('ParentNetwork', child.attribute('name') ?? child.attribute('href'));
    else add(child.local, content(child));
  }
  if (parts.size === 0) return element.text() || undefined;
  if (element.elements().length === 0 && element.text() !== '') add('text', element.text());
  return Object.fromEntries([...parts].map(([key, values]) => [key, values.length === 1 ? values[0] : values]));
}

function isGuestKind(attribute: { local: string; namespace: string }): boolean {
  return attribute.local === 'id' && attribute.namespace !== '';
}

/** The description of a rule is a person's; that of a section or network is a caption or compared on its own. */
function keepsDescription(parent: XmlElement, child: XmlElement): boolean {
  return child.local === 'Description' && parent.local.endsWith('Rule');
}
