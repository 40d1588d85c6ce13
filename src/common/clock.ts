/** What time it is. Given to whoever decides by it, so that a test can say. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** Clocks of machines differ by less, and so do the looks of two processes at one. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** What lies after it was written while a clock was wrong. */
export function latestCredible(now: Date): Date {
  return new Date(now.getTime() + CLOCK_TOLERANCE_MS);
}
