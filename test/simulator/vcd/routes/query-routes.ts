import type { XmlElement } from '../../../../src/common/index.js';
import { badRequest, operationDenied } from '../faults.js';
import { compareValues, encodedValue, fieldsOf, matchesFilter, parseFilter } from '../fiql.js';
import { type Answer, type Exchange, ok } from '../exchange.js';
import { type QueryType, QUERY_TYPES } from '../records.js';
import type { QueryRecord } from '../vapp-records.js';
import { type Route, route } from '../router.js';
import { build, links, MEDIA } from '../xml-names.js';
import { metadataView } from '../views/metadata-view.js';

export const queryRoutes: readonly Route[] = [route('GET', 'query', query)];

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
  const found = sorted(exchange, type, filtered(exchange, type, type.list(exchange)));
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

function filtered(exchange: Exchange, type: QueryType, records: QueryRecord[]): QueryRecord[] {
  const text = exchange.query.get('filter');
  if (text === null || text === '') return records;
  // From 35.0 the parameter has no effect (pyvcloud and VMware's guide agree).
  const encoded = exchange.apiVersion < 35 && exchange.query.get('filterEncoded') === 'true';
  const filter = parseFilter(text, encoded ? encodedValue : undefined);
  const known = new Set([...type.fields, 'href', 'id']);
  for (const field of fieldsOf(filter)) {
    if (!known.has(field) && !isMetadataField(field)) throw badRequest(`Bad request: Unknown property name "${field}" in the filter.`);
  }
  return records.filter((record) => matchesFilter(filter, (field) => readField(record, field)));
}

function isMetadataField(field: string): boolean {
  return /^metadata(@SYSTEM|@GENERAL)?:./.test(field);
}

function readField(record: QueryRecord, field: string): string | undefined {
  const metadata = /^metadata(?:@(SYSTEM|GENERAL))?:(.+)$/.exec(field);
  if (metadata) {
    const domain = metadata[1] ?? 'GENERAL';
    return record.metadata?.find((entry) => entry.domain === domain && entry.key === metadata[2])?.value;
  }
  if (field === 'href') return record.href;
  if (field === 'id') return record.id;
  const value = record.fields[field];
  return value === undefined ? undefined : String(value);
}

function sorted(exchange: Exchange, type: QueryType, records: QueryRecord[]): QueryRecord[] {
  const ascending = exchange.query.get('sortAsc');
  const descending = exchange.query.get('sortDesc');
  const field = ascending ?? descending ?? type.fields[0] ?? 'name';
  if (!type.fields.includes(field)) throw badRequest(`Bad request: cannot sort by "${field}".`);
  const sign = ascending === null && descending !== null ? -1 : 1;
  return [...records].sort((a, b) => sign * compareValues(readField(a, field) ?? '', readField(b, field) ?? ''));
}

function recordView(exchange: Exchange, type: QueryType, format: Format, record: QueryRecord): XmlElement {
  if (format === 'references') {
    return build(type.reference, { href: record.href, id: record.id, name: record.fields.name, type: `${type.media}+xml` });
  }
  const asked = exchange.query.get('fields')?.split(',').filter(Boolean);
  const named = Object.entries(record.fields).filter(([field]) => asked === undefined || asked.includes(field));
  const keys = asked?.flatMap((field) => /^metadata(?:@SYSTEM)?:(.+)$/.exec(field)?.[1] ?? []) ?? [];
  const metadata = record.metadata?.filter((entry) => keys.includes(entry.key)) ?? [];
  // idrecords carry the URN, records the address: one of them identifies the record.
  const identity = format === 'idrecords' ? { id: record.id } : { href: record.href };
  return build(
    type.record,
    { ...Object.fromEntries(named), ...identity },
    metadata.length > 0 ? metadataView(`${record.href}/metadata`, metadata) : undefined,
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
