import { element, XmlElement, type XmlNode, writeXml } from '../../common/index.js';

/** DSP8023, OVF envelope 1.1; CIM settings 2.22; VMware's additions to OVF. */
export const OVF = 'http://schemas.dmtf.org/ovf/envelope/1';
export const RASD = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData';
export const VSSD = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData';
export const VMW = 'http://www.vmware.com/schema/ovf';

type Attributes = Record<string, string | number | boolean | undefined>;

/** In OVF attributes have a namespace, too. */
export function ovf(local: string, attributes: Attributes = {}, ...children: (XmlNode | undefined)[]): XmlElement {
  return qualified(element(local, OVF, {}, ...children), OVF, attributes);
}

export function qualified(node: XmlElement, namespace: string, attributes: Attributes): XmlElement {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, String(value), namespace);
  return node;
}

/** A section says in one sentence what it is, for products that do not know it. */
export function section(local: string, info: string, attributes: Attributes = {}, ...children: (XmlNode | undefined)[]): XmlElement {
  return ovf(local, attributes, ovf('Info', {}, info), ...children);
}

export function vmwConfig(key: string, value: string | boolean): XmlElement {
  const config = qualified(new XmlElement('Config', VMW), OVF, { required: false });
  return qualified(config, VMW, { key, value });
}

/** One item of hardware. The schema wants the elements in alphabetical order. */
export function item(settings: Record<string, string | number | boolean | undefined>, ...more: XmlElement[]): XmlElement {
  const children = Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => element(name, RASD, {}, String(value)));
  return ovf('Item', {}, ...children, ...more);
}

export function writeOvf(envelope: XmlElement): string {
  return writeXml(envelope, { prefixes: { [OVF]: 'ovf', [RASD]: 'rasd', [VSSD]: 'vssd', [VMW]: 'vmw' } });
}
