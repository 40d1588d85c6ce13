import type { XmlElement } from '../common/index.js';
import type { VcdContext } from './context.js';
import { VcdError } from './error.js';
import { urnOf, uuidOf } from './links.js';
import { countRecords, queryPage, queryRecords } from './query.js';
import type { VcdClientApi } from './client-api.js';

type Changes = NonNullable<Awaited<ReturnType<VcdClientApi['changedSince']>>>;

/** Above this, reading everything is hardly more work than reading the events. */
const MAX_EVENTS = 10_000;

/** Events may be written a while after the change, and the clocks of VCD's cells differ. */
const OVERLAP_MS = 2 * 60_000;
/** A Date header, which `since` mostly is, has no fractions of a second. */
const CLOCK_STEP_MS = 1_000;

/** Events of sessions, tasks and users change nothing that an inventory shows; the object a task worked on has an event of its own. */
const IRRELEVANT = new Set(['task', 'session', 'user', 'group', 'role', 'right', 'token', 'event', 'blockingtask']);

/**
 * What VCD's events name since then (and a little before), by VCD's clock. Undefined where it cannot
 * tell: it keeps no events (any more) from that time, does not show them to this login, or there are
 * too many. A login is an event as well, so an inventory has at least one before it.
 */
export async function changedSince(context: VcdContext, since: Date, signal?: AbortSignal): Promise<Changes | undefined> {
  const type = context.http.session.isProvider ? 'adminEvent' : 'event';
  const query = { type, sortBy: 'timeStamp', operation: 'Reading the events', signal };
  const recent = { ...query, filter: `timeStamp=ge=${new Date(since.getTime() - OVERLAP_MS).toISOString()}` };
  try {
    const [oldest] = (await queryPage(context.http, query, 1, 1)).records;
    const oldestAtMs = Date.parse(oldest?.attribute('timeStamp') ?? '');
    if (!(oldestAtMs < since.getTime() + CLOCK_STEP_MS)) return undefined;
    if ((await countRecords(context.http, recent)) > MAX_EVENTS) return undefined;
    return await collect(queryRecords(context.http, recent));
  } catch (error) {
    // The type or the filter is not known to this release, or not for this login.
    if (error instanceof VcdError && (error.httpStatus === 400 || error.httpStatus === 403 || error.httpStatus === 404)) return undefined;
    throw error;
  }
}

async function collect(events: AsyncIterable<XmlElement>): Promise<Changes> {
  const ids = { vapp: new Set<string>(), vm: new Set<string>(), vapptemplate: new Set<string>(), media: new Set<string>() };
  let other = false;
  for await (const event of events) {
    const entity = event.attribute('entity') ?? '';
    const kind = entityKind(entity, event.attribute('entityType') ?? '');
    if (kind in ids && uuidOf(entity) !== undefined) ids[kind as keyof typeof ids].add(urnOf(kind as keyof typeof ids, entity));
    else if (!IRRELEVANT.has(kind)) other = true;
  }
  return { vappIds: [...ids.vapp], vmIds: [...ids.vm], templateIds: [...ids.vapptemplate], mediaIds: [...ids.media], other };
}

/** The entity is given as URN or address, its type as "vm" or "com.vmware.vcloud.entity.vm": the entity itself is the surer one. */
function entityKind(entity: string, entityType: string): string {
  const urn = /^urn:vcloud:(\w+):/i.exec(entity)?.[1];
  const path = /\/(vm|vapp|vappTemplate)-[0-9a-f-]+\/?$/i.exec(entity)?.[1] ?? /\/(\w+)\/[0-9a-f-]{36}\/?$/i.exec(entity)?.[1];
  return (urn ?? path ?? entityType.split(/[./]/).at(-1) ?? '').toLowerCase();
}
