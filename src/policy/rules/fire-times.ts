import { Cron } from 'croner';

/** The times of a cron expression around an instant. */
export interface FireTimes {
  /** The newest at or before it. */
  latest: Date | undefined;
  beforeLatest: Date | undefined;
  next: Date | undefined;
}

const HOUR_MS = 60 * 60_000;
/** 29 February is the rarest day; eight years pass between two of them around 2100. */
const LOOK_BACK_MS = 9 * 366 * 24 * HOUR_MS;
const MAX_REMEMBERED = 500;
const crons = new Map<string, Cron>();
const around = new Map<string, FireTimes>();

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

/** Thousands of objects ask for the same instant. */
export function fireTimes(expression: string, timeZone: string, at: Date): FireTimes {
  return remembered(around, `${timeZone} ${expression} ${at.getTime()}`, () => {
    const cron = cronOf(expression, timeZone);
    const latest = latestFire(cron, at);
    return {
      latest,
      beforeLatest: latest && latestFire(cron, new Date(latest.getTime() - 1000)),
      next: cron.nextRun(at) ?? undefined,
    };
  });
}

/** Forward from further and further back: croner's own look back does not see the times that a change of clocks moved. */
function latestFire(cron: Cron, at: Date): Date | undefined {
  for (let backMs = HOUR_MS; ; backMs *= 4) {
    let latest: Date | undefined;
    for (let fire = cron.nextRun(new Date(at.getTime() - backMs)); fire !== null && fire <= at; fire = cron.nextRun(fire)) latest = fire;
    if (latest !== undefined || backMs > LOOK_BACK_MS) return latest;
  }
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= MAX_REMEMBERED) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}
