import { Cron } from 'croner';
import { dayOf, instantOf, wallTime } from './zoned-time.js';

/** The times of a cron expression around an instant. */
export interface FireTimes {
  /** The newest at or before it. */
  latest: Date | undefined;
  beforeLatest: Date | undefined;
  next: Date | undefined;
  afterNext: Date | undefined;
}

const NEVER: FireTimes = { latest: undefined, beforeLatest: undefined, next: undefined, afterNext: undefined };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** 29 February is the rarest day; eight years pass between two of them around 2100. */
const LOOK_BACK_MS = 9 * 366 * 24 * HOUR_MS;
const MAX_REMEMBERED = 500;
const crons = new Map<string, Cron>();
const around = new Map<string, FireTimes>();
/** By the time they end with. */
const stretches = new Map<string, FireTimes>();

/**
 * A time that the clocks skip comes at the end of the gap, one that is doubled once; an expression with * or a step in its
 * hours or minutes means intervals, and follows the clock as it goes.
 * @throws Error of croner for an expression or a time zone it does not know.
 */
export function cronOf(expression: string, timeZone: string): Cron {
  return remembered(
    crons,
    `${timeZone} ${expression}`,
    () => new Cron(expression, { timezone: timeZone, paused: true, mode: '5-part', fixedTimeRule: 'no-wildcard' }),
  );
}

/** Thousands of objects ask for the same instant, and for others between the same two times. */
export function fireTimes(expression: string, timeZone: string, at: Date): FireTimes {
  const asked = `${timeZone} ${expression}`;
  return remembered(around, `${asked} ${at.getTime()}`, () => {
    const next = nextFire(expression, timeZone, at);
    if (next === undefined) return NEVER;
    return remembered(stretches, `${asked} ${next.getTime()}`, () => {
      const latest = latestFire(expression, timeZone, at);
      return {
        latest,
        beforeLatest: latest && latestFire(expression, timeZone, new Date(latest.getTime() - 1000)),
        next,
        afterNext: nextFire(expression, timeZone, next),
      };
    });
  });
}

/** The first time after an instant; undefined: none comes. */
export function nextFire(expression: string, timeZone: string, after: Date): Date | undefined {
  if (!isFixed(expression)) return cronOf(expression, timeZone).nextRun(after) ?? undefined;
  // croner leaves out a time whose gap ends on another day. So it says what the clock on the wall shows then, and `instantOf` when it does.
  const calendar = cronOf(expression, 'UTC');
  const shown = new Date(dayOf(after, timeZone).getTime() + wallTime(after, timeZone).minuteOfDay * MINUTE_MS);
  for (let wall = calendar.nextRun(shown); wall !== null; wall = calendar.nextRun(wall)) {
    const fire = instantOf(dayOf(wall, 'UTC'), wallTime(wall, 'UTC').minuteOfDay, timeZone);
    // In the second of two equal hours those of the first are past.
    if (fire > after) return fire;
  }
  return undefined;
}

/** No * and no step in minutes and hours: croner's `no-wildcard`. */
function isFixed(expression: string): boolean {
  const fields = expression.trim().split(/\s+/);
  return fields.length === 5 && !/[*?/]/.test(`${fields[0]} ${fields[1]}`);
}

/** Forward from further and further back: croner's own look back does not see the times that a change of clocks moved. */
function latestFire(expression: string, timeZone: string, at: Date): Date | undefined {
  for (let backMs = HOUR_MS; ; backMs *= 4) {
    const first = nextFire(expression, timeZone, new Date(at.getTime() - backMs));
    if (first !== undefined && first <= at) return newest(first, at, (after) => nextFire(expression, timeZone, after));
    if (backMs > LOOK_BACK_MS) return undefined;
  }
}

/** By halves: every minute of a month may lie between. @param first one at or before `at`. */
function newest(first: Date, at: Date, next: (after: Date) => Date | undefined): Date {
  let latest = first;
  /** None is after it, up to `at`. */
  let endMs = at.getTime();
  while (endMs - latest.getTime() >= MINUTE_MS) {
    const middleMs = Math.floor((latest.getTime() + endMs) / 2);
    const fire = next(new Date(middleMs));
    if (fire !== undefined && fire <= at) latest = fire;
    else endMs = middleMs;
  }
  return latest;
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= MAX_REMEMBERED) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}
