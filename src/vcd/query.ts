import { joinSignals, type XmlElement } from '../common/index.js';
import { badAnswer, VcdError } from './error.js';
import type { VcdAnswer, VcdHttp } from './http.js';
import { linkHref } from './links.js';
import { compareVersions } from './versions.js';

/** The most VCD gives in one page; a server may be set to less, and says so in its answer. */
const PAGE_SIZE = 128;
/** Pages of one listing under way beside the one that is read. */
const PAGES_AHEAD = 3;
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

/** All of the given expressions must hold. */
export function allOf(...filters: (string | undefined)[]): string | undefined {
  const given = filters.filter((filter) => filter !== undefined && filter !== '');
  return given.length > 1 ? given.map((filter) => `(${filter})`).join(';') : given[0];
}

export interface RecordQuery {
  /** Case-sensitive: adminVApp, adminVM, organization … */
  type: string;
  /** FIQL, its values made by filterValue. */
  filter?: string | undefined;
  /** Attribute to sort by; `name` where nothing is said, because an unsorted listing may shift between two pages. */
  sortBy?: string;
  descending?: boolean;
  operation: string;
  signal?: AbortSignal;
}

/** One page as VCD gave it. */
export interface RecordPage {
  records: XmlElement[];
  total: number;
  pageSize: number;
  hasNext: boolean;
  answer: VcdAnswer;
}

/**
 * All records of a query, in order. Once the first page tells how many there are, the next ones are
 * fetched ahead, a few at a time: memory holds those pages and no more.
 */
export async function* queryRecords(http: VcdHttp, query: RecordQuery): AsyncGenerator<XmlElement> {
  const stop = new AbortController();
  const { signal, letGo } = joinSignals(query.signal, stop.signal);
  const fetch = (page: number) => {
    const fetched = queryPage(http, { ...query, signal }, page);
    // It is awaited in its turn; until then a failure must not count as unhandled.
    fetched.catch(() => undefined);
    return fetched;
  };
  let seen = new Set<string>();
  const ahead: Promise<RecordPage>[] = [fetch(1)];
  try {
    for (let page = 1, asked = 1, lastPage = 1; ahead.length > 0; page += 1) {
      const found = await (ahead.shift() as Promise<RecordPage>).catch((error: unknown) => pastTheEnd(error, page));
      if (found === undefined) return;
      const { records, total, pageSize, hasNext } = found;
      const onThisPage = new Set<string>();
      const fresh = records.filter((record) => {
        const href = record.attribute('href') ?? '';
        onThisPage.add(href);
        // Something added while we page shifts the rest: the last of one page shows again on the next.
        return href === '' || !seen.has(href);
      });
      seen = onThisPage;
      if (records.length === 0) return;
      lastPage = Number.isSafeInteger(total) && pageSize > 0 ? Math.ceil(total / pageSize) : lastPage;
      if (hasNext) lastPage = Math.max(lastPage, page + 1);
      for (; asked < lastPage && asked <= page + PAGES_AHEAD; asked += 1) ahead.push(fetch(asked + 1));
      yield* fresh;
    }
  } finally {
    stop.abort();
    letGo();
  }
}

/** What was deleted while we paged may leave a page beyond the end, which VCD refuses: the listing is over. */
function pastTheEnd(error: unknown, page: number): undefined {
  if (page > 1 && error instanceof VcdError && error.httpStatus === 400) return undefined;
  throw error;
}

/** How many records there are, by one request of one record. */
export async function countRecords(http: VcdHttp, query: RecordQuery): Promise<number> {
  const { total } = await queryPage(http, query, 1, 1);
  if (!Number.isSafeInteger(total) || total < 0) throw badAnswer(query.operation, 'the answer does not say how many records there are');
  return total;
}

export async function queryPage(http: VcdHttp, query: RecordQuery, page: number, pageSize = PAGE_SIZE): Promise<RecordPage> {
  const answer = await http.get(queryPath(query, page, pageSize, http.session.apiVersion), query.operation, query.signal);
  const root = answer.root();
  if (root.local !== 'QueryResultRecords') throw badAnswer(query.operation, `the answer is a ${root.local}, not query records`);
  const given = Number(root.attribute('pageSize') ?? Number.NaN);
  return {
    records: root.elements().filter((element) => element.local.endsWith('Record')),
    total: Number(root.attribute('total') ?? Number.NaN),
    pageSize: Number.isSafeInteger(given) && given > 0 ? given : pageSize,
    hasNext: linkHref(root, 'nextPage') !== undefined,
    answer,
  };
}

function queryPath(query: RecordQuery, page: number, pageSize: number, apiVersion: string): string {
  const sort = `${query.descending ? 'sortDesc' : 'sortAsc'}=${query.sortBy ?? 'name'}`;
  const parts = [`type=${query.type}`, 'format=records', `page=${page}`, `pageSize=${pageSize}`, 'links=true', sort];
  if (query.filter !== undefined && query.filter !== '') {
    if (compareVersions(apiVersion, PLAIN_FILTERS_FROM) < 0) parts.push('filterEncoded=true');
    parts.push(`filter=${encodeURIComponent(query.filter)}`);
  }
  return `/api/query?${parts.join('&')}`;
}
