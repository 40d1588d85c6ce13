import { type DailyWindow, type PolicySchedule, WEEKDAYS } from '../policy-types.js';
import { clockChanges, dayOf, instantsOf, type WallTime, wallTime } from './zoned-time.js';

type Windows = Pick<PolicySchedule, 'runWindows' | 'stopWindows' | 'timeZone'>;

/** While backups may begin. */
export interface Opening {
  opensAt: Date;
  /** Undefined: for ever. */
  closesAt: Date | undefined;
}

const DAY_MS = 24 * 60 * 60_000;
/** Two weeks, because the clocks may skip all of a weekly window, and a day for their change. */
const LOOK_AHEAD_DAYS = 15;

/** Whether a backup may begin. */
export function mayRun(schedule: Windows, at: Date): boolean {
  if (mustStop(schedule, at)) return false;
  const { runWindows, timeZone } = schedule;
  return runWindows === undefined || isInside(runWindows, wallTime(at, timeZone));
}

/** Whether no backup may be under way. */
export function mustStop({ stopWindows, timeZone }: Windows, at: Date): boolean {
  return stopWindows !== undefined && isInside(stopWindows, wallTime(at, timeZone));
}

/** The opening that `at` is in, or the next one; undefined: the windows leave none. */
export function openingAfter(schedule: Windows, at: Date): Opening | undefined {
  if (schedule.runWindows === undefined && schedule.stopWindows === undefined) return { opensAt: at, closesAt: undefined };
  const edges = edgesAfter(schedule, at);
  const opensAt = mayRun(schedule, at) ? at : edges.find((edge) => mayRun(schedule, edge));
  if (opensAt === undefined) return undefined;
  return { opensAt, closesAt: edgesAfter(schedule, opensAt).find((edge) => !mayRun(schedule, edge)) };
}

function isInside(windows: readonly DailyWindow[], { weekday, minuteOfDay }: WallTime): boolean {
  return windows.some((window) => {
    const from = minuteOf(window.from);
    const to = minuteOf(window.to);
    const begins = (day: number) => window.days === undefined || window.days.includes(WEEKDAYS[(day + 7) % 7] ?? 'mon');
    if (from < to) return begins(weekday) && from <= minuteOfDay && minuteOfDay < to;
    return (begins(weekday) && from <= minuteOfDay) || (begins(weekday - 1) && minuteOfDay < to);
  });
}

/** Every instant after `at` at which a window may begin or end. */
function edgesAfter(windows: Windows, at: Date): Date[] {
  return edgesFrom(windows, dayOf(at, windows.timeZone)).filter((edge) => edge > at);
}

/** Thousands of objects under one policy ask for the same days. */
const known = new WeakMap<Windows, Map<number, Date[]>>();

function edgesFrom(windows: Windows, today: Date): Date[] {
  const ofDays = known.get(windows) ?? new Map<number, Date[]>();
  known.set(windows, ofDays);
  const { runWindows = [], stopWindows = [], timeZone } = windows;
  const found = ofDays.get(today.getTime());
  if (found !== undefined) return found;
  const times = new Set([...runWindows, ...stopWindows].flatMap(({ from, to }) => [minuteOf(from), minuteOf(to)]));
  const dayAfter = (days: number) => new Date(today.getTime() + days * DAY_MS);
  // Clocks that go back may show a time inside a window, or outside, although they passed no edge.
  const edges = clockChanges(dayAfter(-1), dayAfter(LOOK_AHEAD_DAYS + 1), timeZone);
  // The day before, too: clocks that go back at midnight show its end again.
  for (let day = -1; day <= LOOK_AHEAD_DAYS; day += 1) {
    for (const minute of times) edges.push(...instantsOf(dayAfter(day), minute, timeZone));
  }
  edges.sort((one, other) => one.getTime() - other.getTime());
  ofDays.set(today.getTime(), edges);
  return edges;
}

function minuteOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}
