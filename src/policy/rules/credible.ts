/** Clocks of machines differ by less. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** What lies after it was written while a clock was wrong. */
export function latestCredible(now: Date): Date {
  return new Date(now.getTime() + CLOCK_TOLERANCE_MS);
}
