import { XmlElement } from '../../../src/common/index.js';
import type { Variants } from './variants.js';
import { NAMESPACES, WRITE_PREFIXES } from './xml-names.js';

/** A name no version of the API has; what comes back under it is taken, because a cell knows what it wrote. */
const UNKNOWN_NAME = 'AddedByALaterVersion';

/** The answer as this cell would write it. The element given stays as it is. */
export function variedBody(element: XmlElement, variants: Variants): XmlElement {
  const isPlain = variants.prefixes === 'default' && variants.mediaTypeCase === 'camel' && variants.links === 'doubled';
  return isPlain && variants.unknownContent === 'none' ? element : varied(element, variants);
}

export function prefixesOf(variants: Variants): Readonly<Record<string, string>> {
  if (variants.prefixes === 'default') return WRITE_PREFIXES;
  return Object.fromEntries(
    Object.entries(NAMESPACES).map(([name, namespace], index) => [namespace, name === 'xsi' ? 'xsi' : `ns${index + 2}`]),
  );
}

function varied(element: XmlElement, variants: Variants): XmlElement {
  const copy = new XmlElement(element.local, element.namespace);
  for (const { local, namespace, value } of element.attributes) {
    const isTypeName = namespace === NAMESPACES.xsi && local === 'type';
    copy.setAttribute(local, isTypeName ? typeName(value, variants) : cased(local, value, variants), namespace);
  }
  let hasElements = false;
  for (const node of element.children) {
    if (!(node instanceof XmlElement)) {
      copy.append(node);
      continue;
    }
    hasElements = true;
    if (variants.links === 'xml' && node.local === 'Link' && /\+json$/.test(node.attribute('type') ?? '')) continue;
    copy.append(varied(node, variants));
  }
  if (variants.unknownContent === 'added' && hasElements) {
    copy.setAttribute(attributeName(), 'true', '');
    const unknown = new XmlElement(UNKNOWN_NAME, NAMESPACES.vcloud);
    unknown.append('to be kept');
    copy.append(unknown);
  }
  return copy;
}

function attributeName(): string {
  return `${UNKNOWN_NAME[0]?.toLowerCase()}${UNKNOWN_NAME.slice(1)}`;
}

/** The value of xsi:type is a qualified name: it goes by the prefix its namespace has in this answer. */
function typeName(value: string, variants: Variants): string {
  const prefix = prefixesOf(variants)[NAMESPACES.vcloud];
  return prefix ? `${prefix}:${value}` : value;
}

function cased(attribute: string, value: string, { mediaTypeCase }: Variants): string {
  if (attribute !== 'type' || mediaTypeCase === 'camel' || !value.startsWith('application/')) return value;
  return mediaTypeCase === 'lower' ? value.toLowerCase() : value.toUpperCase();
}

/** A request without what `unknownContent` added, so that the rest is held to the schema. */
export function withoutUnknown(element: XmlElement): XmlElement {
  const copy = new XmlElement(element.local, element.namespace);
  for (const { local, namespace, value } of element.attributes) if (local !== attributeName()) copy.setAttribute(local, value, namespace);
  for (const node of element.children) {
    if (!(node instanceof XmlElement)) copy.append(node);
    else if (node.local !== UNKNOWN_NAME) copy.append(withoutUnknown(node));
  }
  return copy;
}
