import type { AlertSeverity } from './types.js';

/** A try that failed now and then, as while VCD is upgraded, is nothing to wake anybody for. */
export const STALE_TRIES = 3;
const PATIENCE_MINUTES = 60;
const CRITICAL_AFTER_MINUTES = 24 * 60;

/** From what age on that is to be told which is asked for every so often and does not come. */
export function staleAfterMinutes(everyMinutes: number): number {
  return STALE_TRIES * everyMinutes + PATIENCE_MINUTES;
}

export function severityOfStale(minutes: number): AlertSeverity {
  return minutes > CRITICAL_AFTER_MINUTES ? 'critical' : 'warning';
}
