import { latestCredible } from '../../common/index.js';
import type { PolicySchedule } from '../policy-types.js';
import { fireTimes, nextFire } from './fire-times.js';

const HOUR_MS = 60 * 60_000;

/**
 * Since when an object has no restore point that is young enough: none within `rpoHours`; of a cron schedule, the second
 * due time after the last one, so that a whole period has passed without. Once missed, it is until there is a newer one, or what there
 * is satisfies the schedule: another schedule alone gives no time to catch up.
 * @param facts.sinceAt since when the schedule holds for the object.
 * @param facts.lastPointAt of the newest complete restore point.
 * @param facts.missedSince what this said last, maybe of another schedule.
 * @returns undefined while all is well.
 */
export function missedRpoSince(
  facts: { schedule: PolicySchedule; sinceAt: Date; lastPointAt?: Date | undefined; missedSince?: Date | undefined },
  now: Date,
): Date | undefined {
  const { schedule, sinceAt, lastPointAt, missedSince } = facts;
  if (lastPointAt !== undefined && lastPointAt > sinceAt) return missedFrom(lastPointAt, schedule, now);
  // In the future: the clock was wrong then.
  if (missedSince !== undefined && missedSince <= now) {
    return lastPointAt === undefined || missedFrom(lastPointAt, schedule, now) !== undefined ? missedSince : undefined;
  }
  // What it has when it comes under the policy may be too old already: it gets that long to catch up.
  return missedFrom(sinceAt, schedule, now);
}

function missedFrom(from: Date, { rpoHours, cron = '', timeZone }: PolicySchedule, now: Date): Date | undefined {
  if (rpoHours !== undefined) {
    const until = new Date(from.getTime() + rpoHours * HOUR_MS);
    return until < now ? until : undefined;
  }
  // The same for all objects of a schedule; what is asked of each alone is costly.
  const { beforeLatest } = fireTimes(cron, timeZone, now);
  // By vCenter's clock: of a run that began on time it may be dated a little before that time, which is the run's all the same.
  const madeAt = latestCredible(from);
  if (beforeLatest === undefined || beforeLatest <= madeAt) return undefined;
  const first = nextFire(cron, timeZone, madeAt);
  return first && nextFire(cron, timeZone, first);
}
