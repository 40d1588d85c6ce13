import type { EntityManager } from 'typeorm';
import { lockTransaction } from '../database/index.js';
import type { RunKind } from './types.js';

/** From this priority on a run goes before the turns of the organizations: somebody waits for it. */
export const URGENT_PRIORITY = 8;

/** Somebody waits for a restore; what keeps the repository in order can wait for the night. */
const PRIORITIES: Partial<Record<RunKind, number>> = { restore: URGENT_PRIORITY, verify: 3, gc: 3 };

export function defaultPriority(kind: RunKind): number {
  return PRIORITIES[kind] ?? 5;
}

/** Any number: workers pick one after the other, or limits and turns would be counted from what each saw last. */
const PICK_LOCK = 7_186_402;

export interface PickOptions {
  owner: string;
  leaseExpiryMs: number;
  /**
   * Runs of one organization at once, over all workers. Urgent ones are counted for themselves, so that none waits behind its own
   * organization's backups. The provider's own runs (no organization) have no limit.
   */
  runsPerOrganization: number;
  /** What this process has handlers for. */
  kinds: readonly RunKind[];
}

/**
 * One run of the organization whose turn it is, in time that grows with the organizations that wait and not with their
 * runs: the recursive part jumps from one to the next through runs_waiting_idx.
 *
 * 1. Something urgent (a restore: somebody waits for it), but never twice in a row while anything else waits that may run.
 * 2. The organization with the fewest runs under way; among those, the one that has waited longest for its turn.
 * 3. Of its runs the one with the highest priority, then the oldest.
 *
 * Two heads of each organization stand for its runs, an urgent one and another: either may be whose turn it is.
 */
const PICK = `
  WITH RECURSIVE waiting (organization_id) AS (
    (SELECT organization_id FROM runs WHERE state = 'queued' ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.organization_id FROM runs r WHERE r.state = 'queued' AND r.organization_id > w.organization_id
            ORDER BY r.organization_id LIMIT 1)
    FROM waiting w WHERE w.organization_id IS NOT NULL
  ),
  busy AS (
    SELECT organization_id, count(*) AS running, count(*) FILTER (WHERE priority >= $5) AS urgent
    FROM runs WHERE state = 'running' GROUP BY organization_id
  ),
  heads AS (
    SELECT head.id, w.organization_id, head.priority >= $5 AS urgent, COALESCE(b.running, 0) AS running, t.served_at, head.priority
    FROM waiting w
    LEFT JOIN busy b USING (organization_id)
    LEFT JOIN run_turns t USING (organization_id)
    CROSS JOIN LATERAL (
      (SELECT id, priority FROM runs
       WHERE state = 'queued' AND organization_id = w.organization_id AND kind = ANY($4) AND priority >= $5
       ORDER BY priority DESC, id LIMIT 1)
      UNION ALL
      (SELECT id, priority FROM runs
       WHERE state = 'queued' AND organization_id = w.organization_id AND kind = ANY($4) AND priority < $5
       ORDER BY priority DESC, id LIMIT 1)
    ) head
    WHERE w.organization_id = '' OR CASE WHEN head.priority >= $5 THEN COALESCE(b.urgent, 0) ELSE COALESCE(b.running, 0) END < $3
  ),
  picked AS (
    SELECT id, organization_id, urgent FROM heads
    ORDER BY
      urgent <> COALESCE((SELECT was_urgent FROM run_turns ORDER BY served_at DESC LIMIT 1), false) DESC,
      running, served_at NULLS FIRST, priority DESC, id
    LIMIT 1
  ),
  turn AS (
    INSERT INTO run_turns (organization_id, served_at, was_urgent) SELECT organization_id, clock_timestamp(), urgent FROM picked
    ON CONFLICT (organization_id) DO UPDATE SET served_at = EXCLUDED.served_at, was_urgent = EXCLUDED.was_urgent
  )
  UPDATE runs SET state = 'running', started_at = COALESCE(started_at, now()), attempt = attempt + 1, lease_owner = $1,
    lease_expires_at = now() + $2 * interval '1 millisecond', revision = revision + 1, changed_xid = pg_current_xact_id()
  FROM picked WHERE runs.id = picked.id AND runs.state = 'queued'
  RETURNING runs.id`;

/**
 * Takes the run whose turn it is, in the caller's transaction; what other workers pick waits for its end.
 * @returns 'none-waits'; 'none-may-run' while limits or handlers keep every waiting run from being taken here.
 */
export async function pickRun(manager: EntityManager, options: PickOptions): Promise<{ id: string } | 'none-waits' | 'none-may-run'> {
  const { owner, leaseExpiryMs, runsPerOrganization, kinds } = options;
  await lockTransaction(manager, PICK_LOCK, leaseExpiryMs);
  const [rows]: [{ id: string }[], number] = await manager.query(PICK, [
    owner,
    Math.round(leaseExpiryMs),
    runsPerOrganization,
    kinds,
    URGENT_PRIORITY,
  ]);
  if (rows[0] !== undefined) return rows[0];
  const [{ some }]: [{ some: boolean }] = await manager.query(`SELECT EXISTS (SELECT FROM runs WHERE state = 'queued') AS some`);
  return some ? 'none-may-run' : 'none-waits';
}
