import { latestCredible } from '../../common/index.js';
import type { AfterDeletion, DeletedObjects, RetentionRule } from '../policy-types.js';
import { wallTime } from './zoned-time.js';

/** A restore point, as far as it matters to whether it stays. */
export interface RetentionPoint {
  id: string;
  createdAt: Date;
  /** It has all that was to be backed up. */
  complete: boolean;
  lockedUntil?: Date | undefined;
  /** Why people hold it. */
  holds?: readonly string[];
  /** What reads it just now. */
  readBy?: string | undefined;
  vmIds?: readonly string[];
}

export interface RetentionFacts {
  now: Date;
  /** Undefined: no policy says how long; then all stay. */
  rule: RetentionRule | undefined;
  deletedObjects: DeletedObjects;
  /** The policy that holds all restore points of the object. */
  heldBy?: string | undefined;
  /** Since when the object is not in the cloud any more. */
  vappDeletedAt?: Date | undefined;
  /** So many of its organization vanished lately that it may be a mistake, or mean harm. */
  amongMany?: boolean;
  deletedVms?: readonly { id: string; name: string; deletedAt: Date }[];
}

export interface RetentionVerdict {
  id: string;
  createdAt: Date;
  kept: boolean;
  /** Why it is kept, or why nothing keeps it. */
  reasons: string[];
}

const DAY_MS = 24 * 60 * 60_000;

/**
 * Which restore points of one object stay, and why. A partial one takes no place of a complete one, neither among the last nor of a week,
 * month or year; and the newest complete one stays whatever the rule says. Partial ones that are newer are judged by the rule among
 * themselves, and the last that has a VM stays. One from the future, which a clock that was ahead left, stays until
 * its time has come and takes no place either: those that are made now would have to go instead, for as long as the clock was ahead.
 * @returns newest first.
 */
export function judgeRetention(points: readonly RetentionPoint[], facts: RetentionFacts): RetentionVerdict[] {
  const sorted = points.toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime() || (one.id < other.id ? 1 : -1));
  const deletion = afterDeletion(facts);
  const reasons = new Map<string, string[]>(sorted.map((point) => [point.id, protection(point, facts)]));
  const keep = (point: RetentionPoint, reason: string) => reasons.get(point.id)?.push(reason);
  if (deletion?.keep === true) for (const point of sorted) keep(point, deletion.reason);
  if (deletion === undefined) {
    const latest = latestCredible(facts.now);
    const dated = sorted.filter(({ createdAt }) => createdAt <= latest);
    for (const point of sorted.slice(0, sorted.length - dated.length))
      keep(point, 'made by a clock that was ahead: its age is not known yet');
    if (facts.rule === undefined) for (const point of dated) keep(point, 'no policy says how long it is kept');
    else for (const [point, reason] of keptByRule(dated, facts.rule, facts.now)) keep(point, reason);
    for (const [point, reason] of lastOnes(dated, facts)) keep(point, reason);
  }
  const partials = new Set(newerThanComplete(sorted));
  return sorted.map((point) => {
    const { id, createdAt } = point;
    const kept = reasons.get(id) ?? [];
    return kept.length > 0
      ? { id, createdAt, kept: true, reasons: kept }
      : { id, createdAt, kept: false, reasons: [deletion?.reason ?? unkept(facts.rule, partials.has(point) ? 'partial' : 'complete')] };
  });
}

/** 2026-W47: the week of ISO 8601, which belongs to the year of its Thursday. */
export function isoWeek(at: Date, timeZone: string): string {
  const { year, month, day, weekday } = wallTime(at, timeZone);
  const thursday = new Date(Date.UTC(year, month - 1, day - weekday + 3));
  const firstDay = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - firstDay) / DAY_MS / 7) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}

function protection({ holds = [], lockedUntil, readBy }: RetentionPoint, { now, heldBy }: RetentionFacts): string[] {
  return [
    ...holds.map((reason) => `legal hold: ${reason}`),
    ...(heldBy === undefined ? [] : [`legal hold by policy "${heldBy}"`]),
    ...(lockedUntil !== undefined && lockedUntil > now ? [`locked until ${lockedUntil.toISOString()}`] : []),
    ...(readBy === undefined ? [] : [`being read by ${readBy}`]),
  ];
}

/** What becomes of the restore points of an object that is gone; undefined where the rule goes on. */
function afterDeletion(facts: RetentionFacts): { keep: boolean; reason: string } | undefined {
  const { vappDeletedAt, amongMany, deletedObjects, now } = facts;
  const { vapps } = deletedObjects;
  if (vappDeletedAt === undefined || vapps.keep === 'retention') return undefined;
  const deleted = `it was deleted from the cloud on ${dateOf(vappDeletedAt)}`;
  if (vapps.keep === 'forever') return { keep: true, reason: `${deleted}, and is kept for ever` };
  const until = keptUntil(vapps, vappDeletedAt);
  if (until > now) return { keep: true, reason: `${deleted}, and is kept until ${dateOf(until)}` };
  return amongMany
    ? { keep: true, reason: `${deleted}, and stays while many of its organization vanished in the last 7 days` }
    : { keep: false, reason: `${deleted}, more than ${vapps.days} days ago` };
}

function* keptByRule(sorted: readonly RetentionPoint[], rule: RetentionRule, now: Date): Generator<[RetentionPoint, string]> {
  const { keepDays } = rule;
  yield* placed(
    sorted.filter((point) => point.complete),
    rule,
    { among: '', of: '' },
  );
  if (keepDays !== undefined) {
    const oldestMs = now.getTime() - keepDays * DAY_MS;
    for (const point of sorted) if (point.createdAt.getTime() > oldestMs) yield [point, `younger than ${keepDays} days`];
  }
}

/** The places that a rule has, for restore points of one sort. */
function* placed(
  points: readonly RetentionPoint[],
  { keepLast = 0, weekly, monthly, yearly, timeZone }: RetentionRule,
  words: { among: string; of: string },
): Generator<[RetentionPoint, string]> {
  for (const point of points.slice(0, keepLast)) yield [point, `one of the last ${keepLast}${words.among}`];
  yield* lastOfEach(points, weekly, (at) => `weekly ${isoWeek(at, timeZone)}`, words.of);
  yield* lastOfEach(points, monthly, (at) => `monthly ${month(at, timeZone)}`, words.of);
  yield* lastOfEach(points, yearly, (at) => `yearly ${wallTime(at, timeZone).year}`, words.of);
}

/** Periods are counted that have one: a pause of the backups does not use them up. */
function* lastOfEach(
  points: readonly RetentionPoint[],
  count: number | undefined,
  periodOf: (at: Date) => string,
  of: string,
): Generator<[RetentionPoint, string]> {
  const seen = new Set<string>();
  for (const point of points) {
    const period = periodOf(point.createdAt);
    if (seen.has(period)) continue;
    if (seen.size >= (count ?? 0)) return;
    seen.add(period);
    yield [point, `kept as ${period}${of}`];
  }
}

/** What no rule may take away: without it nothing of the object, or of a VM that is gone, could be restored. */
function* lastOnes(sorted: readonly RetentionPoint[], facts: RetentionFacts): Generator<[RetentionPoint, string]> {
  const last = sorted.find((point) => point.complete);
  if (last !== undefined) yield [last, 'the last complete one'];
  const newer = newerThanComplete(sorted);
  yield* lastWithVms(newer, last === undefined ? 'there is no complete one' : 'newer than the last complete one');
  if (facts.rule !== undefined) yield* placed(newer, facts.rule, { among: ' partial ones', of: ' of the partial ones' });
  const { vms } = facts.deletedObjects;
  if (vms.keep === 'retention') return;
  for (const { id, name, deletedAt } of facts.deletedVms ?? []) {
    const until = vms.keep === 'forever' ? undefined : keptUntil(vms, deletedAt);
    if (until !== undefined && until <= facts.now) continue;
    const having = sorted.find((point) => point.vmIds?.includes(id));
    const how = until === undefined ? 'for ever' : `until ${dateOf(until)}`;
    if (having !== undefined)
      yield [having, `the last one with VM "${name}", which was deleted from its vApp on ${dateOf(deletedAt)}, kept ${how}`];
  }
}

function newerThanComplete(sorted: readonly RetentionPoint[]): RetentionPoint[] {
  const last = sorted.find((point) => point.complete);
  return last === undefined ? [...sorted] : sorted.filter(({ createdAt }) => createdAt > last.createdAt);
}

/** Of what came after the last complete one: without them a VM's newest state would be gone, and perhaps its only one. */
function* lastWithVms(newer: readonly RetentionPoint[], why: string): Generator<[RetentionPoint, string]> {
  const later = new Set<string>();
  for (const point of newer) {
    const { vmIds = [] } = point;
    if (point === newer[0]) yield [point, why];
    else if (vmIds.some((id) => !later.has(id))) yield [point, `${why}, and no later one has each of its VMs`];
    for (const id of vmIds) later.add(id);
  }
}

function unkept(rule: RetentionRule | undefined, sort: 'complete' | 'partial'): string {
  const { keepLast, keepDays, weekly, monthly, yearly } = rule ?? {};
  const periods = [weekly && 'week', monthly && 'month', yearly && 'year'].filter((word) => typeof word === 'string');
  const parts = [
    ...(keepLast ? [`not one of the last ${keepLast} ${sort} ones`] : []),
    ...(keepDays ? [`older than ${keepDays} days`] : []),
    ...(periods.length > 0 ? [`not the last ${sort} one of a ${periods.join(' or ')} that counts`] : []),
  ];
  return parts.join(', ');
}

/** Until when what is left of an object stays. */
export function keptUntil(rule: AfterDeletion & { keep: 'days' }, deletedAt: Date): Date {
  return new Date(deletedAt.getTime() + rule.days * DAY_MS);
}

function month(at: Date, timeZone: string): string {
  const { year, month: number } = wallTime(at, timeZone);
  return `${year}-${String(number).padStart(2, '0')}`;
}

function dateOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}
