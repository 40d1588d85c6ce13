import { element, type XmlElement } from '../common/index.js';
import { sendChange, type VcdContext } from './context.js';
import { under } from './links.js';
import { MEDIA, VCLOUD, XSI } from './namespaces.js';
import { filterValue } from './query.js';
import { metadataOf } from './sections.js';
import type { MetadataEntry } from './types.js';

/**
 * Makes an entity's metadata equal to `entries` with as few tasks as can be: one DELETE per key that is
 * too many, then one POST, which merges, for all that is missing or differs.
 */
export async function writeMetadata(
  context: VcdContext,
  entityHref: string,
  entries: readonly MetadataEntry[],
  signal?: AbortSignal,
): Promise<void> {
  const href = under(entityHref, 'metadata');
  const plan = planMetadata(await readMetadata(context, entityHref, signal), entries);
  for (const entry of plan.remove) {
    const doing = `Removing the metadata "${entry.key}" of`;
    await sendChange(context, { method: 'DELETE', href: metadataEntryHref(href, entry), doing, entityHref, signal });
  }
  if (plan.write.length === 0) return;
  await sendChange(context, {
    method: 'POST',
    href,
    doing: 'Writing the metadata of',
    entityHref,
    body: element('Metadata', VCLOUD, {}, ...plan.write.map(entryElement)),
    contentType: MEDIA.metadata,
    idempotent: true,
    signal,
  });
}

export async function readMetadata(context: VcdContext, entityHref: string, signal?: AbortSignal): Promise<MetadataEntry[]> {
  const subject = context.names.label(entityHref);
  return metadataOf((await context.http.get(under(entityHref, 'metadata'), `Reading the metadata of ${subject}`, signal, subject)).root());
}

const FILTER_TYPES = {
  MetadataStringValue: 'STRING',
  MetadataNumberValue: 'NUMBER',
  MetadataBooleanValue: 'BOOLEAN',
  MetadataDateTimeValue: 'DATETIME',
} as const;

/** `metadata:key==STRING:value` of the query service; SYSTEM metadata is asked for by its domain. */
export function metadataFilter(entry: Pick<MetadataEntry, 'key' | 'type' | 'value' | 'domain'>, apiVersion: string): string {
  const field = `${entry.domain === 'SYSTEM' ? 'metadata@SYSTEM' : 'metadata'}:${filterValue(entry.key, apiVersion)}`;
  return `${field}==${FILTER_TYPES[entry.type]}:${filterValue(entry.value, apiVersion)}`;
}

export interface MetadataPlan {
  remove: MetadataEntry[];
  write: MetadataEntry[];
}

/** A key lives in its domain: `owner` in GENERAL and `owner` in SYSTEM are two entries. */
export function planMetadata(present: readonly MetadataEntry[], wanted: readonly MetadataEntry[]): MetadataPlan {
  const key = (entry: MetadataEntry) => `${entry.domain} ${entry.key}`;
  const have = new Map(present.map((entry) => [key(entry), entry]));
  const want = new Set(wanted.map(key));
  return {
    remove: present.filter((entry) => !want.has(key(entry))),
    write: wanted.filter((entry) => {
      const found = have.get(key(entry));
      return found === undefined || found.type !== entry.type || found.value !== entry.value || found.visibility !== entry.visibility;
    }),
  };
}

/** GENERAL is addressed by the key alone, SYSTEM with its name before the key. */
export function metadataEntryHref(metadataHref: string, entry: Pick<MetadataEntry, 'key' | 'domain'>): string {
  const key = encodeURIComponent(entry.key);
  return entry.domain === 'SYSTEM' ? under(metadataHref, 'SYSTEM', key) : under(metadataHref, key);
}

function entryElement(entry: MetadataEntry): XmlElement {
  // The type is a QName whose prefix the reader resolves; writeVcloudXml gives this namespace that prefix.
  const typed = element('TypedValue', VCLOUD, {}, element('Value', VCLOUD, {}, entry.value)).setAttribute(
    'type',
    `vcloud:${entry.type}`,
    XSI,
  );
  return element(
    'MetadataEntry',
    VCLOUD,
    {},
    element('Domain', VCLOUD, { visibility: entry.visibility }, entry.domain),
    element('Key', VCLOUD, {}, entry.key),
    typed,
  );
}
