import type { XmlElement } from '../../../../src/common/index.js';
import { badRequest, operationDenied } from '../faults.js';
import { compareValues, encodedValue, type FieldValue, matchesFilter, metadataValue, parseFilter, testsOf } from '../fiql.js';
import { type Answer, type Exchange, ok } from '../exchange.js';
import type { VcdCloud } from '../cloud.js';
import type { QueryRow, QueryType } from '../query-type.js';
import { externalNetworkResource } from '../infrastructure-records.js';
import { QUERY_TYPES } from '../records.js';
import type { MetadataType } from '../state.js';
import { type Route, route } from '../router.js';
import { build, links, MEDIA } from '../xml-names.js';
import { metadataView } from '../views/metadata-view.js';

export const queryRoutes: readonly Route[] = [
  route('GET', 'query', query),
  route('GET', 'admin/extension/externalnet/:id', externalNetworkResource),
];

const FORMATS = {
  records: { element: 'QueryResultRecords', media: MEDIA.queryRecords },
  idrecords: { element: 'QueryResultRecords', media: MEDIA.queryIdRecords },
  references: { element: 'References', media: MEDIA.queryReferences },
} as const;
type Format = keyof typeof FORMATS;
const MAX_PAGE = 128;

function query(exchange: Exchange): Answer {
  const typeName = exchange.query.get('type');
  if (typeName === null) return ok(queryList(exchange), MEDIA.queryList);
  const type = Object.hasOwn(QUERY_TYPES, typeName) ? QUERY_TYPES[typeName] : undefined;
  if (!type) throw badRequest(`Bad request: unknown query type "${typeName}".`);
  if (type.providerOnly && !exchange.session.isProvider) throw operationDenied('System: Administrator');
  const format = (exchange.query.get('format') ?? 'records') as Format;
  if (!Object.hasOwn(FORMATS, format)) throw badRequest(`Bad request: unknown format "${format}".`);
  const pageSize = Math.min(MAX_PAGE, positive(exchange, 'pageSize', 25));
  const page = positive(exchange, 'page', 1);
  const found = selected(exchange, typeName, type);
  const pages = Math.max(1, Math.ceil(found.length / pageSize));
  if (page > pages) throw badRequest(`Bad request: page ${page} is beyond the last page ${pages}.`);
  const shown = found.slice((page - 1) * pageSize, page * pageSize);
  const xml = build(
    FORMATS[format].element,
    {
      total: found.length,
      pageSize,
      page,
      name: typeName,
      href: pageHref(exchange, page),
      type: `${FORMATS[format].media}+xml`,
    },
    pageLinks(exchange, format, page, pages),
    shown.map((record) => recordView(exchange, type, format, record)),
  );
  return ok(xml, FORMATS[format].media);
}

function queryList(exchange: Exchange): XmlElement {
  const names = Object.entries(QUERY_TYPES).filter(([, type]) => exchange.session.isProvider || !type.providerOnly);
  return build(
    'QueryList',
    { href: exchange.hrefs.api('query'), type: `${MEDIA.queryList}+xml` },
    names.flatMap(([name]) =>
      Object.entries(FORMATS).flatMap(([format, { media }]) =>
        links('down', exchange.hrefs.api(`query?type=${name}&format=${format}`), media, name),
      ),
    ),
  );
}

/** Rows in their order, kept while nothing changes: page after page of one query sorts once. */
interface Selection {
  revision: number;
  rows: readonly QueryRow[];
}
const KEPT_SELECTIONS = 8;
const selections = new WeakMap<VcdCloud, Map<string, Selection>>();

function selected(exchange: Exchange, typeName: string, type: QueryType): readonly QueryRow[] {
  const { cloud, session, query: parameters, apiVersion } = exchange;
  const kept = selections.get(cloud) ?? new Map<string, Selection>();
  selections.set(cloud, kept);
  const named = ['filter', 'filterEncoded', 'sortAsc', 'sortDesc'].map((name) => parameters.get(name));
  const key = JSON.stringify([session.id, apiVersion, typeName, ...named]);
  const known = kept.get(key);
  const { revision } = cloud;
  if (known?.revision === revision) return known.rows;
  const rows = sorted(exchange, type, filtered(exchange, type, type.rows(exchange)));
  kept.delete(key);
  kept.set(key, { revision, rows });
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_SELECTIONS) break;
    kept.delete(oldest);
  }
  return rows;
}

function filtered(exchange: Exchange, type: QueryType, rows: QueryRow[]): QueryRow[] {
  const text = exchange.query.get('filter');
  if (text === null || text === '') return rows;
  // From 35.0 the parameter has no effect (pyvcloud and VMware's guide agree).
  const encoded = exchange.apiVersion < 35 && exchange.query.get('filterEncoded') === 'true';
  const filter = parseFilter(text, encoded ? encodedValue : undefined);
  const known = new Set([...type.fields, 'href', 'id']);
  for (const { field, value } of testsOf(filter)) {
    if (isMetadataField(field)) metadataValue(value);
    else if (!known.has(field)) throw badRequest(`Bad request: Unknown property name "${field}" in the filter.`);
  }
  return rows.filter((row) => matchesFilter(filter, readOnce(row)));
}

const METADATA_FIELD = /^metadata(?:@(SYSTEM|GENERAL))?:(.+)$/;
const METADATA_TYPES = {
  MetadataStringValue: 'STRING',
  MetadataNumberValue: 'NUMBER',
  MetadataBooleanValue: 'BOOLEAN',
  MetadataDateTimeValue: 'DATETIME',
} as const satisfies Record<MetadataType, FieldValue['metadataType']>;

function isMetadataField(field: string): boolean {
  return METADATA_FIELD.test(field);
}

function readField(row: QueryRow, field: string): FieldValue | undefined {
  const metadata = METADATA_FIELD.exec(field);
  if (metadata) {
    const domain = metadata[1] ?? 'GENERAL';
    const entry = row.metadata.find((candidate) => candidate.domain === domain && candidate.key === metadata[2]);
    return entry && { value: entry.value, metadataType: METADATA_TYPES[entry.type] };
  }
  const value = field === 'href' ? row.href : field === 'id' ? row.id : row.read(field);
  return value === undefined ? undefined : { value: String(value) };
}

/** A filter of dozens of ids asks every row for the same field dozens of times. */
function readOnce(row: QueryRow): (field: string) => FieldValue | undefined {
  const known = new Map<string, FieldValue | undefined>();
  return (field) => {
    if (!known.has(field)) known.set(field, readField(row, field));
    return known.get(field);
  };
}

/** Each row's key is read once; rows with equal keys keep their order, so that pages fit together. */
function sorted(exchange: Exchange, type: QueryType, rows: QueryRow[]): QueryRow[] {
  const ascending = exchange.query.get('sortAsc');
  const descending = exchange.query.get('sortDesc');
  const field = ascending ?? descending ?? type.defaultSort;
  if (!type.fields.includes(field)) throw badRequest(`Bad request: cannot sort by "${field}".`);
  const sign = ascending === null && descending !== null ? -1 : 1;
  return rows
    .map((row) => ({ row, key: readField(row, field)?.value ?? '' }))
    .sort((a, b) => sign * compareValues(a.key, b.key))
    .map(({ row }) => row);
}

function recordView(exchange: Exchange, type: QueryType, format: Format, row: QueryRow): XmlElement {
  if (format === 'references') {
    return build(type.reference, { href: row.href, id: row.id, name: row.read('name'), type: `${type.media}+xml` });
  }
  const asked = exchange.query.get('fields')?.split(',').filter(Boolean);
  const shown = type.fields
    .filter((field) => asked === undefined || asked.includes(field))
    .map((field) => [field, row.read(field)] as const);
  const keys = asked?.map((field) => METADATA_FIELD.exec(field)).filter((match) => match !== null) ?? [];
  const metadata = row.metadata.filter((entry) => keys.some((key) => key[2] === entry.key && (key[1] ?? entry.domain) === entry.domain));
  // idrecords carry the URN, records the address: one of them identifies the record.
  const identity = format === 'idrecords' ? { id: row.id } : { href: row.href || undefined };
  return build(
    type.record,
    { ...Object.fromEntries(shown), ...identity },
    metadata.length > 0 ? metadataView(`${row.href}/metadata`, metadata) : undefined,
  );
}

function pageLinks(exchange: Exchange, format: Format, page: number, pages: number): XmlElement[] {
  if (exchange.query.get('links') === 'false') return [];
  const { media } = FORMATS[format];
  const others = (Object.keys(FORMATS) as Format[]).filter((other) => other !== format);
  return [
    ...(page > 1 ? links('firstPage', pageHref(exchange, 1), media) : []),
    ...(page > 1 ? links('previousPage', pageHref(exchange, page - 1), media) : []),
    ...(page < pages ? links('nextPage', pageHref(exchange, page + 1), media) : []),
    ...(page < pages ? links('lastPage', pageHref(exchange, pages), media) : []),
    ...others.flatMap((other) => links('alternate', pageHref(exchange, page, other), FORMATS[other].media)),
  ];
}

function pageHref(exchange: Exchange, page: number, format?: Format): string {
  const parameters = new URLSearchParams(exchange.query);
  parameters.set('page', String(page));
  if (format) parameters.set('format', format);
  return exchange.hrefs.api(`query?${parameters}`);
}

function positive(exchange: Exchange, name: string, fallback: number): number {
  const text = exchange.query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw badRequest(`Bad request: ${name}="${text}" is not a positive number.`);
  return value;
}
