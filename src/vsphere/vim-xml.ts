import { writeXml, XmlElement, type XmlNode } from '../common/index.js';

export const VIM_NAMESPACE = 'urn:vim25';
export const XSI_NAMESPACE = 'http://www.w3.org/2001/XMLSchema-instance';
const XSD_NAMESPACE = 'http://www.w3.org/2001/XMLSchema';

/** A ManagedObjectReference: the server's name of an object. `value` is opaque: never taken apart. */
export interface ManagedObject {
  type: string;
  value: string;
}

/** As the soap client writes it: `<obj type="VirtualMachine">vm-16</obj>`. */
export function soapReference(object: ManagedObject): { attributes: { type: string }; $value: string } {
  return { attributes: { type: object.type }, $value: object.value };
}

export function referenceOf(element: XmlElement | undefined): ManagedObject | undefined {
  const value = element?.text();
  if (element === undefined || value === undefined || value === '') return undefined;
  // The type of the object is the attribute without namespace; xsi:type says ManagedObjectReference.
  return { type: element.attribute('type', '') ?? '', value };
}

/** The vim25 type an element says it is of, without prefix: `VirtualDisk`. */
export function typeOf(element: XmlElement | undefined): string | undefined {
  return element?.attribute('type', XSI_NAMESPACE)?.split(':').at(-1);
}

export function isTrue(element: XmlElement | undefined): boolean {
  const text = element?.text();
  return text === 'true' || text === '1';
}

/** @returns the whole number the element holds, or undefined where there is none or it is not exact. */
export function integerOf(element: XmlElement | undefined): number | undefined {
  const text = element?.text();
  if (text === undefined || !/^-?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `<local>` of urn:vim25; undefined nodes are left out. */
export function vim(local: string, ...children: (XmlNode | undefined)[]): XmlElement {
  return new XmlElement(
    local,
    VIM_NAMESPACE,
    [],
    children.filter((node): node is XmlNode => node !== undefined),
  );
}

export function typed(element: XmlElement, type: string): XmlElement {
  return element.setAttribute('type', type, XSI_NAMESPACE);
}

/** A deep copy under another element name. */
export function renamed(element: XmlElement, local: string): XmlElement {
  const copy = element.clone();
  copy.local = local;
  return copy;
}

/** A deep copy of a child, also under another name; undefined where there is none. */
export function copy(from: XmlElement | undefined, local: string, as = local): XmlElement | undefined {
  const found = from?.child(local);
  return found === undefined ? undefined : renamed(found, as);
}

/**
 * Writes vim25 data so that it can be read anywhere: xsi:type values are qualified names, and the
 * prefixes of the answer they came from are not declared here. Types of vim25 begin with a capital
 * letter and take the default namespace; those of XML Schema (OptionValue.value) take `xsd`.
 */
export function writeVimXml(element: XmlElement): string {
  const copy = element.clone();
  normalizeTypes(copy);
  const text = writeXml(copy, { prefixes: { [VIM_NAMESPACE]: '', [XSI_NAMESPACE]: 'xsi' }, declaration: false });
  // Prefixes inside attribute values are invisible to the writer: declared by hand.
  return text.replace(/^<[^\s/>]+/, (tag) => `${tag} xmlns:xsd="${XSD_NAMESPACE}"`);
}

function normalizeTypes(element: XmlElement): void {
  const type = typeOf(element);
  if (type !== undefined) element.setAttribute('type', /^[a-z]/.test(type) ? `xsd:${type}` : type, XSI_NAMESPACE);
  for (const child of element.elements()) normalizeTypes(child);
}

/**
 * Inventory names come with `/`, `\` and `%` as %2f, %5c and %25 (VirtualMachineConfigInfo.name);
 * people, and VCD, know them unescaped.
 */
export function readableName(name: string): string {
  return name.replace(/%(2f|5c|25)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

export function inventoryName(name: string): string {
  return name.replace(/[%/\\]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}
