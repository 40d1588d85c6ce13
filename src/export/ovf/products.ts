import { parseXml, XmlElement } from '../../common/index.js';
import type { MetadataEntry } from '../../vcd/index.js';
import { OVF, ovf, section } from './elements.js';

/** As captures keep them: one list, whatever the cell answered. */
const PRODUCT_SECTION_LIST = 'ProductSectionList';
const METADATA_CLASS = 'vcloud.metadata';
/** OVF property types of what VCD types. */
const TYPES: Readonly<Record<MetadataEntry['type'], string>> = {
  MetadataStringValue: 'string',
  MetadataNumberValue: 'sint64',
  MetadataBooleanValue: 'boolean',
  MetadataDateTimeValue: 'string',
};

/** Product sections as the tenant has them, without what only the cloud they were in has added to them. */
export function productSections(sections: Readonly<Record<string, string>>): XmlElement[] {
  const list = sections[PRODUCT_SECTION_LIST];
  if (list === undefined) return [];
  return parseXml(list)
    .childrenNamed('ProductSection', OVF)
    .map((product) => onlyOvf(product));
}

function onlyOvf(node: XmlElement): XmlElement {
  const isPassword = node.local === 'Property' && node.attribute('password', OVF) === 'true';
  const attributes = node.attributes.filter(
    ({ namespace, local }) => namespace === OVF && !(local === 'required') && !(isPassword && local === 'value'),
  );
  const children = node.children.filter(
    (child) => typeof child === 'string' || (child.namespace === OVF && !(isPassword && child.local === 'Value')),
  );
  return new XmlElement(
    node.local,
    node.namespace,
    attributes,
    children.map((child) => (typeof child === 'string' ? child : onlyOvf(child))),
  );
}

/**
 * Metadata of vApp or VM as properties of a class of their own, the one thing OVF has for pairs of key and value; no guest
 * sees them. Those that VCD keeps for itself (SYSTEM) and those that their owner made private are left out.
 */
export function metadataProperties(metadata: readonly MetadataEntry[]): XmlElement | undefined {
  const told = metadata.filter(({ domain, visibility }) => domain === 'GENERAL' && visibility !== 'PRIVATE');
  if (told.length === 0) return undefined;
  const taken = new Set<string>();
  const properties = told.map((entry) => {
    const attributes = { key: propertyKey(entry.key, taken), type: TYPES[entry.type], userConfigurable: false, value: entry.value };
    return ovf('Property', attributes, ovf('Label', {}, entry.key));
  });
  return section('ProductSection', 'Metadata in VMware Cloud Director', { class: METADATA_CLASS }, ...properties);
}

/** "." and ":" divide class, key and instance in OVF (DSP0243, 9.5); the label keeps the key as it is. */
function propertyKey(key: string, taken: Set<string>): string {
  const plain = key.replace(/[.:]/g, '_') || '_';
  let unique = plain;
  for (let n = 2; taken.has(unique); n += 1) unique = `${plain}_${n}`;
  taken.add(unique);
  return unique;
}
