import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DURATION_BUCKETS_SECONDS } from './run-totals.js';
import type { RunKind, RunState, RunView } from './types.js';

/** The last word about an object is that its run failed. */
export interface FailedRun {
  runId: string;
  /** Stays the same over all runs about the same object. */
  objectKey: string;
  kind: RunKind;
  state: RunState;
  subject: string;
  organizationId: string;
  endedAt: Date;
  error: RunView['error'];
  /** VMs that a run which went on without them could not copy. */
  failedVms: { name: string; reason: string }[];
  /** Restore points that a copy run passed over. */
  notCopied: number;
}

/** The last backup of an object that left a restore point, and what is wrong all the same. */
export interface DegradedRun {
  runId: string;
  objectKey: string;
  subject: string;
  organizationId: string;
  endedAt: Date;
  /** VMs whose disks could not be consolidated. */
  consolidationFailed: string[];
  /** Disks in it that a restore has written half over. */
  halfWritten: string[];
}

/** What is done again by itself: until it ends well the last one counts, however long ago it failed. */
export interface AwaitedRun {
  kind: RunKind;
  exclusiveKey: string;
}

/** Debts of one run that nobody could pay for long. */
export interface StuckDebts {
  runId: string;
  subject: string;
  organizationId: string;
  kinds: string[];
  oldestAt: Date;
  lastError: string | null;
}

export interface RunFigures {
  /** Under way and waiting, by kind. */
  now: { kind: string; state: 'queued' | 'running'; runs: number }[];
  oldestWaitSeconds: number;
  waitingOrganizations: number;
  /** Of all that ever ended; `buckets` counts those up to each bound. */
  ended: { kind: string; state: string; runs: number; seconds: number; buckets: number[] }[];
  boundsSeconds: readonly number[];
  totals: Record<string, number>;
  openObligations: number;
  oldestObligationSeconds: number;
  permitsHeld: number;
  permitsWaiting: number;
}

/**
 * The last runs about their objects, of the kinds and keys $1 and $2 also where that is long ago.
 * @param counts of a run: whether it is a word about its object, or passed over.
 */
const lastRuns = (counts: (run: string) => string) => `(
  SELECT lately.* FROM runs lately
  WHERE lately.ended_at > now() - CASE WHEN lately.kind = 'restore' THEN interval '1 day' ELSE interval '7 days' END
    AND NOT EXISTS (SELECT FROM runs later WHERE later.kind = lately.kind AND later.exclusive_key = lately.exclusive_key
                    AND later.ended_at > lately.ended_at AND ${counts('later')})
  UNION ALL
  SELECT last.* FROM unnest($1::text[], $2::text[]) AS awaited (kind, key), LATERAL (
    SELECT * FROM runs one WHERE one.exclusive_key = awaited.key AND one.kind = awaited.kind AND one.ended_at IS NOT NULL AND ${counts('one')}
    ORDER BY one.ended_at DESC LIMIT 1) last
  WHERE last.ended_at <= now() - interval '7 days')`;

/** What is wrong with runs, and how many there are: for alerts and metrics. */
@Injectable()
export class RunHealthService {
  private readonly awaited: (() => Promise<AwaitedRun[]>)[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /** While the application starts: what makes runs by schedule says of which objects. */
  registerAwaited(look: () => Promise<AwaitedRun[]>): void {
    this.awaited.push(look);
  }

  /**
   * Objects whose last run of a kind failed, or left out what failed: all of them, for what is missing in the list is taken to be
   * over. Where none is awaited, nobody waits for the object a week later any more (it may be gone); a restore was asked for by somebody
   * who looks himself, so a day is enough.
   */
  async failedRuns(): Promise<FailedRun[]> {
    return await this.dataSource.query(
      `SELECT r.id AS "runId", COALESCE(r.exclusive_key, r.id) AS "objectKey", r.kind, r.state, r.subject,
         r.organization_id AS "organizationId", r.ended_at AS "endedAt", r.error, COALESCE(r.result->'failedVms', '[]') AS "failedVms",
         COALESCE((r.result->>'notCopied')::int, 0) AS "notCopied"
       FROM ${lastRuns((run) => `${run}.state <> 'cancelled'`)} r
       WHERE (r.state = 'failed' OR (r.state = 'warning' AND (r.result ? 'failedVms' OR (r.result->>'notCopied')::int > 0)))
         AND NOT EXISTS (SELECT FROM runs again WHERE again.retry_of = r.id AND again.state IN ('succeeded', 'warning'))
       ORDER BY r.id`,
      await this.kindsAndKeys(),
    );
  }

  /**
   * Objects whose last restore point, or what its backup left in the cloud, is worse than a warning. What failed since says nothing of
   * that, nor does a backup of only those VMs that failed.
   */
  async degradedRuns(): Promise<DegradedRun[]> {
    const counts = (run: string) => `${run}.state IN ('succeeded', 'warning') AND NOT ${run}.payload ? 'retries'`;
    return await this.dataSource.query(
      `SELECT r.id AS "runId", COALESCE(r.exclusive_key, r.id) AS "objectKey", r.subject, r.organization_id AS "organizationId",
         r.ended_at AS "endedAt", COALESCE(r.result->'consolidationFailed', '[]') AS "consolidationFailed",
         COALESCE(r.result->'halfWritten', '[]') AS "halfWritten"
       FROM ${lastRuns(counts)} r
       WHERE r.kind = 'backup' AND ${counts('r')} AND r.result ?| ARRAY['consolidationFailed', 'halfWritten'] ORDER BY r.id`,
      await this.kindsAndKeys(),
    );
  }

  private async kindsAndKeys(): Promise<[kinds: string[], keys: string[]]> {
    const awaited = (await Promise.all(this.awaited.map((look) => look()))).flat();
    return [awaited.map(({ kind }) => kind), awaited.map(({ exclusiveKey }) => exclusiveKey)];
  }

  /** Also those of runs whose worker is gone and whom no other one takes up: nobody tries to pay them. */
  async stuckDebts(olderThanMs: number): Promise<StuckDebts[]> {
    return await this.dataSource.query(
      `SELECT r.id AS "runId", r.subject, r.organization_id AS "organizationId", array_agg(DISTINCT o.kind) AS kinds,
         min(o.created_at) AS "oldestAt", (array_agg(o.last_error ORDER BY o.sequence DESC) FILTER (WHERE o.last_error IS NOT NULL))[1] AS "lastError"
       FROM obligations o JOIN runs r ON r.id = o.run_id
       WHERE o.settled_at IS NULL AND CASE WHEN r.state = 'running' THEN r.lease_expires_at < now() - $1 * interval '1 millisecond'
         ELSE o.attempts > 0 AND GREATEST(o.created_at, r.ended_at) < now() - $1 * interval '1 millisecond' END
       GROUP BY r.id ORDER BY r.id`,
      [olderThanMs],
    );
  }

  /** @returns since when runs have waited, for a first worker or for another one, while none is under way anywhere; undefined while all is well. */
  async stalledSince(olderThanMs: number): Promise<{ waiting: number; since: Date } | undefined> {
    const [row]: { waiting: number; since: Date | null; running: boolean }[] = await this.dataSource.query(
      `SELECT count(*)::int AS waiting, min(since) AS since,
         EXISTS (SELECT FROM runs WHERE state = 'running' AND lease_expires_at > now()) AS running
       FROM (SELECT CASE state WHEN 'queued' THEN queued_at ELSE lease_expires_at END AS since FROM runs WHERE state IN ('queued', 'running')) waits
       WHERE since < now() - $1 * interval '1 millisecond'`,
      [olderThanMs],
    );
    return row?.since == null || row.running ? undefined : { waiting: row.waiting, since: row.since };
  }

  async figures(): Promise<RunFigures> {
    const [now, ended, totals, [sums]] = await Promise.all([
      this.dataSource.query<RunFigures['now']>(
        `SELECT kind, state, count(*)::int AS runs FROM runs WHERE state IN ('queued', 'running') GROUP BY kind, state`,
      ),
      this.dataSource.query<EndedRow[]>('SELECT kind, state, runs, seconds, buckets FROM run_totals ORDER BY kind, state'),
      this.dataSource.query<{ name: string; total: string }[]>('SELECT name, total FROM service_totals'),
      this.dataSource.query<Sums[]>(
        `SELECT COALESCE((SELECT EXTRACT(EPOCH FROM now() - min(queued_at)) FROM runs WHERE state = 'queued'), 0)::float8 AS "oldestWaitSeconds",
           (SELECT count(DISTINCT organization_id) FROM runs WHERE state = 'queued')::int AS "waitingOrganizations",
           (SELECT count(*) FROM obligations WHERE settled_at IS NULL)::int AS "openObligations",
           COALESCE((SELECT EXTRACT(EPOCH FROM now() - min(created_at)) FROM obligations WHERE settled_at IS NULL), 0)::float8
             AS "oldestObligationSeconds",
           (SELECT count(granted_at) FROM permits p JOIN workers w ON w.id = p.worker_id WHERE w.expires_at > now())::int AS "permitsHeld",
           (SELECT count(*) - count(granted_at) FROM permits p JOIN workers w ON w.id = p.worker_id WHERE w.expires_at > now())::int
             AS "permitsWaiting"`,
      ),
    ]);
    return {
      now,
      // bigint leaves PostgreSQL as text.
      ended: ended.map((row) => ({ ...row, runs: Number(row.runs), buckets: row.buckets.map(Number) })),
      boundsSeconds: DURATION_BUCKETS_SECONDS,
      totals: Object.fromEntries(totals.map(({ name, total }) => [name, Number(total)])),
      ...(sums as Sums),
    };
  }
}

interface EndedRow {
  kind: string;
  state: string;
  runs: string;
  seconds: number;
  buckets: string[];
}

type Sums = Pick<
  RunFigures,
  'oldestWaitSeconds' | 'waitingOrganizations' | 'openObligations' | 'oldestObligationSeconds' | 'permitsHeld' | 'permitsWaiting'
>;
