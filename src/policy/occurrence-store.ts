import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { latestCredible } from '../common/index.js';

/** A due time of an object, and what became of it. */
export interface Occurrence {
  vappId: string;
  dueAt: Date;
  policyId: string;
  policyName: string;
  /** `waiting`: to be run again, because a window stopped it or it failed in a way that may pass. */
  state: 'made' | 'waiting' | 'done' | 'failed' | 'cancelled' | 'superseded';
  runId: string;
  /** From 1. */
  attempt: number;
  /** Of `waiting`. */
  notBefore: Date | undefined;
  /** Whether its last run only waited, until its window closed. */
  leftOut: boolean;
  /** Why its run was told to stop. */
  stopReason: string | undefined;
}

/** What is known of each object's last due times. */
export interface LastRuns {
  lastDueAt: Date | undefined;
  /** When the last run was made that did not only wait. */
  lastBegunAt: Date | undefined;
  lastDurationMs: number | undefined;
}

type Nullable = 'notBefore' | 'stopReason';
type Row = Omit<Occurrence, Nullable> & { [K in Nullable]: Exclude<Occurrence[K], undefined> | null };

const COLUMNS = `vapp_id AS "vappId", due_at AS "dueAt", policy_id AS "policyId", policy_name AS "policyName", state, run_id AS "runId",
  attempt, not_before AS "notBefore", stop_reason AS "stopReason",
  state = 'waiting' AND begun_at IS DISTINCT FROM made_at AS "leftOut"`;

@Injectable()
export class OccurrenceStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Those that are not over, by object; an object has one at most. @param vappIds of these objects; of all where nothing is said. */
  async open(vappIds?: readonly string[]): Promise<Map<string, Occurrence>> {
    const [which, parameters] = vappIds === undefined ? ['', []] : ['AND vapp_id = ANY($1)', [vappIds]];
    const rows: Row[] = await this.dataSource.query(
      `SELECT ${COLUMNS} FROM policy_occurrences WHERE state IN ('made', 'waiting') ${which} ORDER BY vapp_id, due_at`,
      parameters,
    );
    return new Map(
      rows.map(({ notBefore, stopReason, ...row }) => [
        row.vappId,
        { ...row, notBefore: notBefore ?? undefined, stopReason: stopReason ?? undefined },
      ]),
    );
  }

  /** By object; each by three looks into the index, however long its history is. @param latest due times after it are not believed. */
  async lastRuns(vappIds: readonly string[], latest: Date): Promise<Map<string, LastRuns>> {
    const rows: { vappId: string; lastDueAt: Date | null; lastBegunAt: Date | null; lastDurationMs: string | null }[] =
      await this.dataSource.query(
        `SELECT o.vapp_id AS "vappId", (SELECT max(p.due_at) FROM policy_occurrences p WHERE p.vapp_id = o.vapp_id AND p.due_at <= $2) AS "lastDueAt",
         (SELECT CASE WHEN p.state = 'made' THEN p.made_at ELSE p.begun_at END FROM policy_occurrences p
          WHERE p.vapp_id = o.vapp_id AND p.due_at <= $2 AND (p.begun_at IS NOT NULL OR p.state = 'made')
          ORDER BY p.due_at DESC LIMIT 1) AS "lastBegunAt",
         (SELECT p.duration_ms FROM policy_occurrences p WHERE p.vapp_id = o.vapp_id AND p.duration_ms IS NOT NULL
          ORDER BY p.due_at DESC LIMIT 1) AS "lastDurationMs"
       FROM unnest($1::text[]) AS o (vapp_id)`,
        [vappIds, latest],
      );
    return new Map(
      rows.map(({ vappId, lastDueAt, lastBegunAt, lastDurationMs }) => [
        vappId,
        {
          lastDueAt: lastDueAt ?? undefined,
          lastBegunAt: lastBegunAt ?? undefined,
          lastDurationMs: lastDurationMs === null ? undefined : Number(lastDurationMs),
        },
      ]),
    );
  }

  /**
   * Takes a due time for a run, as part of the transaction that makes the run. Who comes second, in whatever process, waits for
   * the first one's commit and finds it taken.
   * @returns false when it is taken, or a newer one is, or another one of the object is not over.
   */
  async take(
    manager: EntityManager,
    occurrence: Pick<Occurrence, 'vappId' | 'dueAt' | 'policyId' | 'policyName'> & { madeAt: Date },
  ): Promise<boolean> {
    const { vappId, dueAt, policyId, policyName, madeAt } = occurrence;
    await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('policy:' || $1, 0))`, [vappId]);
    const taken: unknown[] = await manager.query(
      `SELECT 1 FROM policy_occurrences WHERE vapp_id = $1 AND ((due_at >= $2 AND due_at <= $3) OR due_at = $2 OR state = 'made')`,
      [vappId, dueAt, latestCredible(madeAt)],
    );
    if (taken.length > 0) return false;
    await manager.query(`UPDATE policy_occurrences SET state = 'superseded' WHERE vapp_id = $1 AND state = 'waiting'`, [vappId]);
    await manager.query(
      `INSERT INTO policy_occurrences (vapp_id, due_at, policy_id, policy_name, state, run_id, made_at) VALUES ($1, $2, $3, $4, 'made', '', $5)`,
      [vappId, dueAt, policyId, policyName, madeAt],
    );
    return true;
  }

  /** The same for one that waits. */
  async takeAgain(
    manager: EntityManager,
    { vappId, dueAt, madeAt }: Pick<Occurrence, 'vappId' | 'dueAt'> & { madeAt: Date },
  ): Promise<boolean> {
    await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('policy:' || $1, 0))`, [vappId]);
    const [, taken] = await manager.query(
      `UPDATE policy_occurrences SET state = 'made', attempt = attempt + 1, not_before = NULL, stop_reason = NULL, made_at = $3
       WHERE vapp_id = $1 AND due_at = $2 AND state = 'waiting'`,
      [vappId, dueAt, madeAt],
    );
    return taken === 1;
  }

  async setRun(manager: EntityManager, { vappId, dueAt }: Pick<Occurrence, 'vappId' | 'dueAt'>, runId: string): Promise<void> {
    await manager.query(`UPDATE policy_occurrences SET run_id = $3 WHERE vapp_id = $1 AND due_at = $2`, [vappId, dueAt, runId]);
  }

  /** Written down before the run is told, so that its end is understood by whoever sees it. */
  async setStopReason({ vappId, dueAt, runId }: Occurrence, reason: string): Promise<void> {
    await this.dataSource.query(
      `UPDATE policy_occurrences SET stop_reason = $4 WHERE vapp_id = $1 AND due_at = $2 AND run_id = $3 AND state = 'made'`,
      [vappId, dueAt, runId, reason],
    );
  }

  /** One that waits, and that nobody asks for any more. */
  async giveUp({ vappId, dueAt }: Pick<Occurrence, 'vappId' | 'dueAt'>): Promise<void> {
    await this.dataSource.query(
      `UPDATE policy_occurrences SET state = 'cancelled' WHERE vapp_id = $1 AND due_at = $2 AND state = 'waiting'`,
      [vappId, dueAt],
    );
  }

  /** What its run came to. Of another run, or said already, it changes nothing. */
  async conclude(
    { vappId, dueAt, runId }: Occurrence,
    end: {
      state: 'waiting' | 'done' | 'failed' | 'cancelled' | 'superseded';
      notBefore?: Date | undefined;
      durationMs?: number | undefined;
      leftOut?: boolean | undefined;
    },
  ): Promise<void> {
    await this.dataSource.query(
      `UPDATE policy_occurrences SET state = $4, not_before = $5, duration_ms = COALESCE($6, duration_ms),
         begun_at = CASE WHEN $7 THEN begun_at ELSE made_at END
       WHERE vapp_id = $1 AND due_at = $2 AND run_id = $3 AND state IN ('made', 'waiting')`,
      [vappId, dueAt, runId, end.state, end.notBefore ?? null, end.durationMs ?? null, end.leftOut ?? false],
    );
  }

  /** Those of these runs that a due time names; they go with it. */
  async runsNamed(runIds: readonly string[]): Promise<string[]> {
    const rows: { runId: string }[] = await this.dataSource.query(
      'SELECT DISTINCT run_id AS "runId" FROM policy_occurrences WHERE run_id = ANY($1)',
      [runIds],
    );
    return rows.map(({ runId }) => runId);
  }

  /** Of one object, newest first. */
  async history(vappId: string, limit: number): Promise<Occurrence[]> {
    return await this.dataSource.query(`SELECT ${COLUMNS} FROM policy_occurrences WHERE vapp_id = $1 ORDER BY due_at DESC LIMIT $2`, [
      vappId,
      limit,
    ]);
  }

  /** What is long over; the newest of each object stays. */
  async forget(before: Date): Promise<void> {
    await this.dataSource.query(
      `DELETE FROM policy_occurrences o WHERE o.due_at < $1 AND o.state NOT IN ('made', 'waiting')
         AND EXISTS (SELECT FROM policy_occurrences n WHERE n.vapp_id = o.vapp_id AND n.due_at > o.due_at)`,
      [before],
    );
  }
}
