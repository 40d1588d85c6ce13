import type { XmlElement } from '../../../../src/common/index.js';
import type { MetadataEntry } from '../state.js';
import { build, links, MEDIA } from '../xml-names.js';

export function metadataView(href: string, entries: readonly MetadataEntry[]): XmlElement {
  return build(
    'Metadata',
    { href, type: `${MEDIA.metadata}+xml` },
    links('add', href, MEDIA.metadata),
    entries.map((entry) => metadataEntry(href, entry)),
  );
}

function metadataEntry(metadataHref: string, entry: MetadataEntry): XmlElement {
  const href = metadataEntryHref(metadataHref, entry);
  return build(
    'MetadataEntry',
    { href, type: `${MEDIA.metadataValue}+xml` },
    links('up', metadataHref, MEDIA.metadata),
    links('edit', href, MEDIA.metadataValue),
    links('remove', href),
    domain(entry),
    build('Key', {}, entry.key),
    typedValue(entry),
  );
}

export function metadataValueView(metadataHref: string, entry: MetadataEntry): XmlElement {
  const href = metadataEntryHref(metadataHref, entry);
  return build(
    'MetadataValue',
    { href, type: `${MEDIA.metadataValue}+xml` },
    links('up', metadataHref, MEDIA.metadata),
    links('edit', href, MEDIA.metadataValue),
    links('remove', href),
    domain(entry),
    typedValue(entry),
  );
}

function metadataEntryHref(metadataHref: string, entry: MetadataEntry): string {
  return `${metadataHref}/${entry.domain === 'SYSTEM' ? 'SYSTEM/' : ''}${encodeURIComponent(entry.key)}`;
}

function domain(entry: MetadataEntry): XmlElement {
  return build('Domain', { visibility: entry.visibility }, entry.domain);
}

function typedValue(entry: MetadataEntry): XmlElement {
  return build('TypedValue', { 'xsi:type': entry.type }, build('Value', {}, entry.value));
}
