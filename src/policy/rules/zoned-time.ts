/** What a clock on the wall shows. */
export interface WallTime {
  year: number;
  /** 1 is January. */
  month: number;
  day: number;
  /** 0 is Monday. */
  weekday: number;
  minuteOfDay: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const formats = new Map<string, Intl.DateTimeFormat>();

/** @param timeZone IANA name. @throws RangeError: there is no such time zone. */
export function wallTime(at: Date, timeZone: string): WallTime {
  // Its clock, read as if it were UTC's: then all arithmetic is the calendar's alone.
  const shifted = new Date(at.getTime() + offsetMs(at, timeZone));
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    weekday: (shifted.getUTCDay() + 6) % 7,
    minuteOfDay: shifted.getUTCHours() * 60 + shifted.getUTCMinutes(),
  };
}

/**
 * When that clock shows a time of that day: of an hour that is doubled the first, of one that is skipped the
 * end of the gap.
 * @param day its midnight, read as UTC.
 */
export function instantOf(day: Date, minuteOfDay: number, timeZone: string): Date {
  return instantsOf(day, minuteOfDay, timeZone)[0];
}

/** The same, of an hour that is doubled both. */
export function instantsOf(day: Date, minuteOfDay: number, timeZone: string): [Date, ...Date[]] {
  const wallMs = day.getTime() + minuteOfDay * MINUTE_MS;
  // The offsets of a day before and after: around a change of the clocks they differ.
  const before = offsetMs(new Date(wallMs - DAY_MS), timeZone);
  const after = offsetMs(new Date(wallMs + DAY_MS), timeZone);
  const [firstMs, lastMs] = [wallMs - Math.max(before, after), wallMs - Math.min(before, after)];
  const [first, ...others] = (firstMs === lastMs ? [firstMs] : [firstMs, lastMs])
    .filter((candidate) => candidate + offsetMs(new Date(candidate), timeZone) === wallMs)
    .map((candidate) => new Date(candidate));
  return first === undefined ? [clockChange(firstMs, lastMs, timeZone)] : [first, ...others];
}

/** When the clocks are changed between two instants; of several within a day the first. */
export function clockChanges(from: Date, to: Date, timeZone: string): Date[] {
  const changes: Date[] = [];
  for (let time = from.getTime(); time < to.getTime(); time += DAY_MS) {
    if (offsetMs(new Date(time), timeZone) !== offsetMs(new Date(time + DAY_MS), timeZone))
      changes.push(clockChange(time, time + DAY_MS, timeZone));
  }
  return changes;
}

/** Midnight of the day that the clock shows, read as UTC. */
export function dayOf(at: Date, timeZone: string): Date {
  const { year, month, day } = wallTime(at, timeZone);
  return new Date(Date.UTC(year, month - 1, day));
}

export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The first whole minute after the clocks were changed, between two instants with different offsets. */
function clockChange(fromMs: number, toMs: number, timeZone: string): Date {
  const old = offsetMs(new Date(fromMs), timeZone);
  let low = Math.floor(fromMs / MINUTE_MS);
  let high = Math.ceil(toMs / MINUTE_MS);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(new Date(middle * MINUTE_MS), timeZone) === old) low = middle;
    else high = middle;
  }
  return new Date(high * MINUTE_MS);
}

function offsetMs(at: Date, timeZone: string): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(at)) if (type !== 'literal') parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at.getTime() / 1000) * 1000;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}
