import type { EntityManager } from 'typeorm';

/** Upper bounds of the durations' histogram, in seconds; a vApp is copied in minutes, a large one in a night. */
export const DURATION_BUCKETS_SECONDS: readonly number[] = [10, 30, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];

/**
 * Counts a run that has just ended, in the transaction that ends it. In the database and not in the process: workers do not
 * listen, and a counter that a restart sets back hides what happened between two scrapes.
 */
export async function countEnded(manager: EntityManager, runId: string): Promise<void> {
  await manager.query(
    `INSERT INTO run_totals AS total (kind, state, runs, seconds, buckets)
     SELECT r.kind, r.state, 1, d.seconds, ARRAY(SELECT (d.seconds <= bound)::int::bigint FROM unnest($2::float8[]) WITH ORDINALITY AS b(bound, at) ORDER BY at)
     FROM runs r, LATERAL (SELECT COALESCE(EXTRACT(EPOCH FROM r.ended_at - r.started_at), 0)::float8 AS seconds) d WHERE r.id = $1
     ON CONFLICT (kind, state) DO UPDATE SET runs = total.runs + 1, seconds = total.seconds + EXCLUDED.seconds,
       buckets = ARRAY(SELECT COALESCE(x, 0) + COALESCE(y, 0) FROM unnest(total.buckets, EXCLUDED.buckets) WITH ORDINALITY AS b(x, y, at) ORDER BY at)`,
    [runId, DURATION_BUCKETS_SECONDS],
  );
  await manager.query(
    `INSERT INTO service_totals AS total (name, total)
     SELECT name, bytes FROM runs r, LATERAL (VALUES
       ('bytes_read', (r.result->>'readBytes')::numeric), ('bytes_stored', (r.result->>'storedBytes')::numeric),
       ('bytes_restored', CASE WHEN r.kind = 'restore' THEN (SELECT sum((p.value->>'doneBytes')::numeric) FROM jsonb_each(r.progress) p) END)
     ) AS counted (name, bytes) WHERE r.id = $1 AND bytes > 0
     ON CONFLICT (name) DO UPDATE SET total = total.total + EXCLUDED.total`,
    [runId],
  );
}

/** Adds to a total of the whole installation that only grows. */
export async function countOne(manager: EntityManager, name: string): Promise<void> {
  await manager.query(
    `INSERT INTO service_totals AS total (name, total) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET total = total.total + 1`,
    [name],
  );
}
