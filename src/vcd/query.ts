import type { XmlElement } from '../common/index.js';
import { badAnswer } from './error.js';
import type { VcdHttp } from './http.js';
import { linkHref } from './links.js';
import { compareVersions } from './versions.js';

/** The most VCD gives in one page. */
const PAGE_SIZE = 128;
/** From here on filters are percent-encoded once and reserved characters escaped by a backslash. */
const PLAIN_FILTERS_FROM = '35.0';

/**
 * A value made fit for a FIQL expression of that API version: `name==${filterValue(name, version)}`.
 * Before 35.0 a value is percent-encoded inside the expression (filterEncoded=true), and the whole once more;
 * encodeURIComponent leaves parentheses alone, which are the expression's own.
 */
export function filterValue(value: string, apiVersion: string): string {
  if (compareVersions(apiVersion, PLAIN_FILTERS_FROM) >= 0) return value.replace(/[\\(),;]/g, '\\$&');
  return encodeURIComponent(value).replace(/\(/g, '%28').replace(/\)/g, '%29');
}

export interface RecordQuery {
  /** Case-sensitive: adminVApp, adminVM, organization … */
  type: string;
  /** FIQL, its values made by filterValue. */
  filter?: string;
  operation: string;
  signal?: AbortSignal;
}

/** All records of a query, a page at a time; nothing but one page is held. */
export async function* queryRecords(http: VcdHttp, query: RecordQuery): AsyncGenerator<XmlElement> {
  let seen = new Set<string>();
  for (let page = 1; ; page += 1) {
    const root = (await http.get(queryPath(query, page, http.session.apiVersion), query.operation, query.signal)).root();
    if (root.local !== 'QueryResultRecords') throw badAnswer(query.operation, `the answer is a ${root.local}, not query records`);
    const records = root.elements().filter((element) => element.local.endsWith('Record'));
    const onThisPage = new Set<string>();
    for (const record of records) {
      const href = record.attribute('href') ?? '';
      // Something added while we page shifts the rest: the last of one page shows again on the next.
      if (href !== '' && seen.has(href)) continue;
      onThisPage.add(href);
      yield record;
    }
    seen = onThisPage;
    const total = Number(root.attribute('total') ?? Number.NaN);
    const more = linkHref(root, 'nextPage') !== undefined || page * PAGE_SIZE < total;
    if (records.length === 0 || !more) return;
  }
}

function queryPath(query: RecordQuery, page: number, apiVersion: string): string {
  const parts = [`type=${query.type}`, 'format=records', `page=${page}`, `pageSize=${PAGE_SIZE}`, 'links=true'];
  if (query.filter !== undefined && query.filter !== '') {
    if (compareVersions(apiVersion, PLAIN_FILTERS_FROM) < 0) parts.push('filterEncoded=true');
    parts.push(`filter=${encodeURIComponent(query.filter)}`);
  }
  return `/api/query?${parts.join('&')}`;
}
