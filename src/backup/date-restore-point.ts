import { CLOCK_TOLERANCE_MS } from '../common/index.js';

/**
 * What age, retention and locks are counted from. Those who judge them ask this service's clock: a restore point that a vCenter of
 * another time had dated would be unlocked, or removed, years too early or too late.
 * @param lastAt when the last snapshot was taken, by vCenter's clock.
 * @param taken between which times it was, by this service's.
 * @param subject `vApp "shop"`.
 */
export function dateRestorePoint(
  lastAt: string,
  taken: { from: Date; until: Date },
  subject: string,
): { createdAt: string; warning?: string } {
  const times = [taken.from.getTime(), taken.until.getTime()];
  const atMs = Date.parse(lastAt);
  if (atMs >= Math.min(...times) - CLOCK_TOLERANCE_MS && atMs <= Math.max(...times) + CLOCK_TOLERANCE_MS) return { createdAt: lastAt };
  const createdAt = taken.until.toISOString();
  const warning =
    `The snapshot of ${subject} is dated ${lastAt} by vCenter and was taken at ${createdAt} by this service's clock; the ` +
    `restore point has the service's time. Set both clocks by the same time servers.`;
  return { createdAt, warning };
}
