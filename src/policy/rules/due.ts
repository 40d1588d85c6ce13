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

/** A due time that had a run, which is to be begun again. */
export interface WaitingRun {
  dueAt: Date;
  notBefore: Date | undefined;
  /** Whether its run only waited, until its window closed. */
  leftOut: boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** By then a look has come, also a late one: they come every 20 seconds where no setting says otherwise. */
const LOOKS_MS = 2 * MINUTE_MS;
/** More than an opening and the due times around its beginning take. */
const MAX_STEPS = 50;

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

/** The next runs, as rounds make them where each takes no time. */
export function upcoming(facts: DueFacts, now: Date, count: number, waiting?: WaitingRun): Due[] {
  const found: Due[] = [];
  let known = facts;
  let at = now;
  while (found.length < count) {
    const begun = firstBegun(known, at, found.length === 0 ? waiting : undefined);
    if (begun === undefined) break;
    found.push(begun);
    at = begun.startAt;
    known = { ...known, lastDueAt: begun.dueAt, lastBegunAt: at, lastPointAt: at };
  }
  return found;
}

/** The first run that a round makes from then on. */
function firstBegun(facts: DueFacts, from: Date, waiting: WaitingRun | undefined): Due | undefined {
  const { cron, rpoHours, timeZone } = facts.schedule;
  let at = from;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const opening = openingAfter(facts.schedule, at);
    if (opening === undefined) return undefined;
    at = opening.opensAt;
    // An objective has no times of its own: what waits is its next attempt.
    const due = waiting !== undefined && rpoHours !== undefined ? undefined : nextDue(facts, at);
    const dueFrom = waiting?.leftOut ? due?.dueAt : due?.startAt;
    if (due !== undefined && dueFrom !== undefined && dueFrom <= at) return { dueAt: due.dueAt, startAt: at };
    if (waiting?.leftOut) return { dueAt: waiting.dueAt, startAt: at };
    const againFrom = waiting && startAgain(facts.schedule, facts.vappId, waiting.notBefore ?? at);
    if (waiting !== undefined && againFrom !== undefined && againFrom <= at) return { dueAt: waiting.dueAt, startAt: at };
    // A time that comes before is due in the place of this one, and may begin earlier.
    const overtakenAt = cron === undefined ? undefined : fireTimes(cron, timeZone, at).next;
    const times = [dueFrom, againFrom, overtakenAt].filter((time) => time !== undefined).map((time) => time.getTime());
    if (times.length === 0) return undefined;
    at = new Date(Math.min(...times));
  }
  return undefined;
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
