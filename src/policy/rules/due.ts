import { createHash } from 'node:crypto';
import { latestCredible } from '../../common/index.js';
import type { PolicySchedule } from '../policy-types.js';
import { fireTimes } from './fire-times.js';
import { openingAfter } from './windows.js';

/** What decides when an object is backed up next. */
export interface DueFacts {
  schedule: PolicySchedule;
  /** Of the object: decides its place in the spread, and always the same one. */
  vappId: string;
  /** Since when the schedule holds for the object: nothing before is owed. */
  sinceAt: Date;
  /** The newest due time for which a run was made. */
  lastDueAt?: Date | undefined;
  /** When the last run was made, be it one that was begun again. */
  lastBegunAt?: Date | undefined;
  /** Of the newest complete restore point. */
  lastPointAt?: Date | undefined;
  lastDurationMs?: number | undefined;
  /** Since when the service looks again, after it had not for a while. */
  resumedAt?: Date | undefined;
}

export interface Due {
  /** Names the occurrence. */
  dueAt: Date;
  /** When its run may begin: later by its place in the spread, and by windows. */
  startAt: Date;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** By then a look has come, also a late one: they come every 20 seconds where no setting says otherwise. */
const LOOKS_MS = 2 * MINUTE_MS;

/**
 * The occurrence to be run next: of those that are past and were not run the newest one alone, otherwise the first
 * that comes. A run is due when its `startAt` has come.
 * @returns undefined where there is none: a date that does not come, windows that are never open.
 */
export function nextDue(facts: DueFacts, now: Date): Due | undefined {
  const known = credible(facts, now);
  const occurrence = known.schedule.rpoHours === undefined ? nextFire(known, now) : nextByObjective(known, known.schedule.rpoHours);
  if (occurrence === undefined) return undefined;
  const { dueAt, spreadMs, catchUpSpreadMs } = occurrence;
  const { resumedAt, schedule, vappId } = known;
  let startAt = startWithin(schedule, vappId, dueAt, spreadMs);
  // Caught up after a pause: spread anew from its end, or all that was missed would begin at once.
  if (startAt !== undefined && resumedAt !== undefined && startAt < resumedAt)
    startAt = startWithin(schedule, vappId, resumedAt, catchUpSpreadMs);
  return startAt && { dueAt, startAt };
}

/** When an occurrence that was stopped, or failed in a way that may pass, begins again. */
export function startAgain(schedule: PolicySchedule, vappId: string, notBefore: Date): Date | undefined {
  return startWithin(schedule, vappId, notBefore, 0);
}

/** The next occurrences, as a preview shows them. */
export function upcoming(facts: DueFacts, now: Date, count: number): Due[] {
  const found: Due[] = [];
  let known = facts;
  let at = now;
  while (found.length < count) {
    const due = nextDue(known, at);
    if (due === undefined) break;
    found.push(due);
    // As if it ran and took no time.
    const begun = new Date(Math.max(due.startAt.getTime(), at.getTime()));
    known = { ...known, lastDueAt: due.dueAt, lastBegunAt: begun, lastPointAt: begun };
    at = begun;
  }
  return found;
}

/** Where in the spread an object stands, from 0 to below 1. */
export function placeInSpread(vappId: string): number {
  return createHash('sha256').update(vappId).digest().readUIntBE(0, 6) / 2 ** 48;
}

function credible(facts: DueFacts, now: Date): DueFacts {
  const latest = latestCredible(now);
  const past = (at: Date | undefined) => (at !== undefined && at > latest ? undefined : at);
  return {
    ...facts,
    sinceAt: past(facts.sinceAt) ?? now,
    lastDueAt: past(facts.lastDueAt),
    lastBegunAt: past(facts.lastBegunAt),
    lastPointAt: past(facts.lastPointAt),
    resumedAt: past(facts.resumedAt),
  };
}

interface Occurrence {
  dueAt: Date;
  spreadMs: number;
  catchUpSpreadMs: number;
}

function nextFire({ schedule, vappId, sinceAt, lastDueAt }: DueFacts, now: Date): Occurrence | undefined {
  const { cron = '', timeZone } = schedule;
  const { latest, next, afterNext } = fireTimes(cron, timeZone, now);
  const owed = latest !== undefined && latest > sinceAt && (lastDueAt === undefined || latest > lastDueAt);
  const dueAt = owed ? latest : next;
  if (dueAt === undefined) return undefined;
  const following = owed ? next : afterNext;
  const period = following ? following.getTime() - dueAt.getTime() : Number.POSITIVE_INFINITY;
  const spreadMs = spreadOver(schedule, vappId, period);
  return { dueAt, spreadMs, catchUpSpreadMs: spreadMs };
}

/**
 * So early that the next restore point stands before the last one is too old: by twice what the last run took, at least a
 * tenth and at most half of the objective. After a run without a complete restore point, a quarter of the objective later again:
 * later than it was begun, for what is overdue by days would be due at once each time.
 */
function nextByObjective(
  { schedule, vappId, sinceAt, lastBegunAt, lastPointAt, lastDurationMs = 0 }: DueFacts,
  rpoHours: number,
): Occurrence {
  const objectiveMs = rpoHours * HOUR_MS;
  const leadMs = Math.min(Math.max(2 * lastDurationMs, objectiveMs / 10), objectiveMs / 2);
  const first = lastPointAt === undefined ? sinceAt.getTime() : lastPointAt.getTime() + objectiveMs - leadMs;
  const again = lastBegunAt === undefined ? Number.NEGATIVE_INFINITY : lastBegunAt.getTime() + objectiveMs / 4;
  const dueAt = new Date(Math.floor(Math.max(first, again, sinceAt.getTime()) / 1000) * 1000);
  // What has been begun, or has restore points, is spread by those times already.
  const isSpread = [lastPointAt, lastBegunAt].some((at) => at !== undefined && at > sinceAt);
  const catchUpSpreadMs = spreadOver(schedule, vappId, objectiveMs / 4);
  return { dueAt, spreadMs: isSpread ? 0 : catchUpSpreadMs, catchUpSpreadMs };
}

/**
 * How far into a stretch an object begins. The end of the stretch is left free: what no look finds before the next due time, or the end of
 * the window, would be put off by it, and each time again.
 */
function spreadOver({ spreadMinutes }: PolicySchedule, vappId: string, stretchMs: number): number {
  const usedMs = Math.min(0.9 * stretchMs, Math.max(stretchMs - LOOKS_MS, stretchMs / 2));
  return Math.floor(placeInSpread(vappId) * Math.min(spreadMinutes * MINUTE_MS, usedMs));
}

/** In the opening that `base` is in, or the next one; always before it closes. */
function startWithin(schedule: PolicySchedule, vappId: string, base: Date, spreadMs: number): Date | undefined {
  const opening = openingAfter(schedule, base);
  if (opening === undefined) return undefined;
  const { opensAt, closesAt } = opening;
  const openMs = closesAt === undefined ? Number.POSITIVE_INFINITY : closesAt.getTime() - opensAt.getTime();
  // All that waited for the window would begin with it.
  const wishedMs = opensAt > base ? Number.POSITIVE_INFINITY : spreadMs;
  return new Date(opensAt.getTime() + Math.min(wishedMs, spreadOver(schedule, vappId, openMs)));
}
