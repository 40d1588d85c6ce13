import type { PolicySchedule } from '../policy-types.js';
import { fireTimes } from './fire-times.js';

const HOUR_MS = 60 * 60_000;

/**
 * Since when an object has no restore point that is young enough: none within `rpoHours`; of a cron schedule, none since
 * the last due time but one, so that a whole period has passed without.
 * @param facts.sinceAt since when the schedule holds for the object.
 * @param facts.lastPointAt of the newest complete restore point.
 * @returns undefined while all is well.
 */
export function missedRpoSince(
  facts: { schedule: PolicySchedule; sinceAt: Date; lastPointAt?: Date | undefined },
  now: Date,
): Date | undefined {
  const { schedule, sinceAt, lastPointAt } = facts;
  if (schedule.rpoHours !== undefined) {
    // What it has when it comes under the policy may be older than the objective: it gets that long to catch up.
    const from = lastPointAt !== undefined && lastPointAt > sinceAt ? lastPointAt : sinceAt;
    const until = new Date(from.getTime() + schedule.rpoHours * HOUR_MS);
    return until < now ? until : undefined;
  }
  const { latest, beforeLatest } = fireTimes(schedule.cron ?? '', schedule.timeZone, now);
  if (latest === undefined || beforeLatest === undefined || beforeLatest <= sinceAt) return undefined;
  return lastPointAt === undefined || lastPointAt < beforeLatest ? latest : undefined;
}
