import type { DataSource } from 'typeorm';
import type { JobsSettings } from './settings.js';

/** A clock that goes back by less costs no more than that; and workers' settings may differ by as much while they are changed. */
const TOLERANCE_MS = 60_000;

/** Turns are only compared with each other: one from the future would be the latest for as long, and its organization always the last. */
const PULL_BACK = `
  WITH times AS (
    SELECT $1::float8 * interval '1 millisecond' AS lease, $2::float8 * interval '1 millisecond' AS next_try,
      $3::float8 * interval '1 millisecond' AS second_look, $4::float8 * interval '1 millisecond' AS tolerance
  ),
  leases AS (
    UPDATE runs SET lease_expires_at = now() + lease FROM times
    WHERE state = 'running' AND lease_expires_at > now() + lease + tolerance RETURNING 1
  ),
  presences AS (
    UPDATE workers SET expires_at = now() + lease FROM times WHERE expires_at > now() + lease + tolerance RETURNING 1
  ),
  debts AS (
    UPDATE obligations SET
      claimed_until = CASE WHEN claimed_until > now() + lease + tolerance THEN now() + lease ELSE claimed_until END,
      next_try_at = CASE WHEN next_try_at > now() + next_try + tolerance THEN now() ELSE next_try_at END,
      look_again_at = CASE WHEN look_again_at > now() + second_look + tolerance THEN now() + second_look ELSE look_again_at END
    FROM times
    WHERE (settled_at IS NULL OR look_again_at IS NOT NULL)
      AND (claimed_until > now() + lease + tolerance OR next_try_at > now() + next_try + tolerance
           OR look_again_at > now() + second_look + tolerance)
    RETURNING 1
  ),
  turns AS (
    UPDATE run_turns SET served_at = now() FROM times WHERE served_at > now() + tolerance RETURNING 1
  )
  SELECT (SELECT count(*) FROM leases)::int AS leases, (SELECT count(*) FROM presences)::int AS presences,
    (SELECT count(*) FROM debts)::int AS debts, (SELECT count(*) FROM turns)::int AS turns`;

/** How many of each were found in the future. */
export interface PulledBack {
  leases: number;
  presences: number;
  debts: number;
  turns: number;
}

/**
 * All times of runs are the database's. When its clock goes back - one that was wrong is set right - what was written before lies ahead by as
 * much: a worker that died then would not be noticed, nor a debt paid, until the clock is as late again. Nothing is ever written further
 * ahead than its own duration, so what lies further begins its duration anew: who lives renews it as ever, and who is dead is noticed by its end.
 * @returns undefined where nothing was.
 */
export async function pullBackTimes(
  dataSource: DataSource,
  { leaseExpiryMs, payRetryMaxMs, lateRequestMs }: Pick<JobsSettings, 'leaseExpiryMs' | 'payRetryMaxMs' | 'lateRequestMs'>,
): Promise<PulledBack | undefined> {
  const [found]: PulledBack[] = await dataSource.query(PULL_BACK, [leaseExpiryMs, payRetryMaxMs, lateRequestMs, TOLERANCE_MS]);
  return found !== undefined && Object.values(found).some((count) => count > 0) ? found : undefined;
}
