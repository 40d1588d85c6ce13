import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import { CancelledError, newId } from '../common/index.js';
import { ObligationEntity } from './obligation.entity.js';
import { RunEntity } from './run.entity.js';
import { failureForPeople } from './run-failure.js';
import type { RunQueue } from './run-queue.js';
import { type PickOptions, pickRun } from './fair-pick.js';
import { countEnded, countOne } from './run-totals.js';
import { toRunView } from './run-view.js';
import type { FinalRunState, RunKind, RunState, RunView } from './types.js';

export interface NewRun {
  kind: RunKind;
  subject: string;
  organizationId: string;
  payload: Record<string, unknown>;
  exclusiveKey: string | undefined;
  priority: number;
  retryOf: string | undefined;
}

/** What a new attempt at a run needs to know of it, and no reader may see. */
export interface RunSource {
  kind: RunKind;
  state: RunState;
  subject: string;
  organizationId: string;
  payload: Record<string, unknown>;
  exclusiveKey: string | null;
  priority: number;
  result: Record<string, unknown> | null;
}

export interface RunStanding {
  state: RunState;
  error: RunView['error'];
  startedAt: Date | null;
  endedAt: Date | null;
}

/** A lease that is its owner's still. */
export interface HeldLease {
  cancelled: boolean;
  cancelReason: string | null;
}

export type RunRecord = Pick<RunEntity, 'steps' | 'progress' | 'warnings'>;
export type RunOutcome = RunRecord & Pick<RunEntity, 'error' | 'result'> & { state: FinalRunState };

export interface RunFilter {
  state?: RunState;
  kind?: RunKind;
  /** Runs of that organization alone. */
  organizationId?: string;
  /** Id of the last run of the page before; ids sort by time. */
  cursor?: string;
  limit: number;
}

/**
 * The run's row. Whatever a worker writes is fenced by its lease: a worker that was thought dead
 * and comes back changes nothing. All times are the database's, so clocks of workers may differ.
 */
@Injectable()
export class RunStore {
  constructor(private readonly dataSource: DataSource) {}

  /** The row and its job, or neither. @returns undefined when an unfinished run has the same exclusive key. */
  async create(run: NewRun, queue: RunQueue): Promise<string | undefined> {
    return await this.dataSource.transaction((manager) => this.createWithin(manager, run, queue));
  }

  /** As `create`, in the caller's transaction. */
  async createWithin(manager: EntityManager, run: NewRun, queue: RunQueue): Promise<string | undefined> {
    const id = newId();
    // The partial unique index decides, so two requests at one moment cannot both win.
    const made: unknown[] = await manager.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, priority, retry_of)
       VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7, $8)
       ON CONFLICT (exclusive_key) WHERE state IN ('queued', 'running') DO NOTHING RETURNING id`,
      [id, run.kind, run.subject, run.organizationId, run.payload, run.exclusiveKey ?? null, run.priority, run.retryOf ?? null],
    );
    if (made.length === 0) return undefined;
    await queue.put(manager, id);
    return id;
  }

  /**
   * Takes the run whose turn it is, in the transaction that takes one job out of the queue: a job says that one more run
   * waits, and which one goes first is decided when a worker is free.
   * @returns undefined when the queue is empty, or nothing that waits may run now; 'gone' when the job's run was cancelled.
   */
  async claim(queue: RunQueue, options: PickOptions): Promise<RunEntity | 'gone' | undefined> {
    try {
      return await this.dataSource.transaction(async (manager) => {
        if (!(await queue.take(manager))) return undefined;
        const picked = await pickRun(manager, options);
        if (picked === 'none-waits') return 'gone';
        if (picked === 'none-may-run') throw new NoneMayRun();
        return await manager.findOneByOrFail(RunEntity, { id: picked.id });
      });
    } catch (error) {
      if (error instanceof NoneMayRun) return undefined;
      throw error;
    }
  }

  /** @returns those of the owners whose leases still are theirs, with whether somebody asked to cancel the run. */
  async renew(owners: readonly string[], expiryMs: number): Promise<Map<string, HeldLease>> {
    const rows = await this.rows<HeldLease & { owner: string }>(
      `UPDATE runs SET lease_expires_at = now() + $2 * interval '1 millisecond' WHERE lease_owner = ANY($1) AND state = 'running'
       RETURNING lease_owner AS owner, cancel_requested_at IS NOT NULL AS cancelled, cancel_reason AS "cancelReason"`,
      [owners, expiryMs],
    );
    return new Map(rows.map((row) => [row.owner, row]));
  }

  /** As `renew`, without renewing. */
  async look(owners: readonly string[]): Promise<Map<string, HeldLease>> {
    const rows = await this.rows<HeldLease & { owner: string }>(
      `SELECT lease_owner AS owner, cancel_requested_at IS NOT NULL AS cancelled, cancel_reason AS "cancelReason" FROM runs
       WHERE lease_owner = ANY($1) AND state = 'running'`,
      [owners],
    );
    return new Map(rows.map((row) => [row.owner, row]));
  }

  /** Takes over the run whose lease ran out first, to pay its debts: one that cannot be ended yet comes behind the others. */
  async takeOverLost(owner: string, expiryMs: number): Promise<RunEntity | undefined> {
    const [row] = await this.rows<{ id: string }>(
      `UPDATE runs SET lease_owner = $1, lease_expires_at = now() + $2 * interval '1 millisecond'
       WHERE id = (SELECT id FROM runs WHERE state = 'running' AND lease_expires_at < now() ORDER BY lease_expires_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id`,
      [owner, expiryMs],
    );
    return row && (await this.dataSource.manager.findOneByOrFail(RunEntity, { id: row.id }));
  }

  /** @returns false when the lease is no longer `owner`'s. */
  async record(runId: string, owner: string, record: RunRecord): Promise<boolean> {
    const done = await this.update(this.dataSource.manager, LEASED, { runId, owner }, { ...record });
    return done.length > 0;
  }

  /**
   * The final state; gives the lease back.
   * @param lost whether a worker died with it.
   * @returns false when the lease is no longer `owner`'s.
   */
  async finish(runId: string, owner: string, outcome: RunOutcome, lost = false): Promise<boolean> {
    return await this.dataSource.transaction(async (manager) => {
      const change = { ...outcome, endedAt: () => 'now()', leaseOwner: null, leaseExpiresAt: null } as RunChange;
      const done = await this.update(manager, LEASED, { runId, owner }, change);
      if (done.length > 0) await countEnded(manager, runId);
      if (done.length > 0 && lost) await countOne(manager, 'leases_lost');
      return done.length > 0;
    });
  }

  /**
   * Back into the queue, for another worker: from then on the lease is nobody's, and the row waits like a new one.
   * @param lost whether a worker died with it.
   * @returns false when the lease is no longer `owner`'s, or somebody has asked to cancel the run.
   */
  async requeue(runId: string, owner: string, record: RunRecord, queue: RunQueue, lost: boolean): Promise<boolean> {
    return await this.dataSource.transaction(async (manager) => {
      const change = {
        ...record,
        state: 'queued',
        queuedAt: () => 'now()',
        leaseOwner: null,
        leaseExpiresAt: null,
        ...(lost && { losses: () => 'losses + 1' }),
      } as RunChange;
      const done = await this.update(manager, `${LEASED} AND cancel_requested_at IS NULL`, { runId, owner }, change);
      if (done.length > 0) await queue.put(manager, runId);
      if (done.length > 0 && lost) await countOne(manager, 'leases_lost');
      return done.length > 0;
    });
  }

  async source(runId: string): Promise<RunSource | undefined> {
    const [row] = await this.rows<RunSource>(
      `SELECT kind, state, subject, organization_id AS "organizationId", payload, exclusive_key AS "exclusiveKey", priority, result
       FROM runs WHERE id = $1`,
      [runId],
    );
    return row;
  }

  /**
   * A waiting run is cancelled at once; a running one is asked to stop.
   * @param reason a sentence for people, where it was not a person who asked.
   * @returns the state it was found in.
   */
  async requestCancel(runId: string, reason?: string): Promise<RunState | undefined> {
    return await this.dataSource.transaction(async (manager) => {
      const run = await manager.findOne(RunEntity, { where: { id: runId }, lock: { mode: 'pessimistic_write' } });
      if (run === null) return undefined;
      if (run.state === 'queued') {
        const error = reason === undefined ? null : failureForPeople(new CancelledError(reason), runId);
        const change = { state: 'cancelled', endedAt: () => 'now()', cancelRequestedAt: () => 'now()', error } as RunChange;
        await this.update(manager, 'id = :runId', { runId }, change);
        await countEnded(manager, runId);
      } else if (run.state === 'running' && run.cancelRequestedAt === null) {
        await this.update(manager, 'id = :runId', { runId }, { cancelRequestedAt: () => 'now()', cancelReason: reason ?? null });
      }
      return run.state;
    });
  }

  /** The final state, in the caller's transaction and whoever has the lease. */
  async finishWithin(manager: EntityManager, runId: string, outcome: RunOutcome): Promise<void> {
    const change = { ...outcome, endedAt: () => 'now()', leaseOwner: null, leaseExpiresAt: null } as RunChange;
    await this.update(manager, 'id = :runId', { runId }, change);
    await countEnded(manager, runId);
  }

  /** All warnings of a run nobody is carrying out, in the caller's transaction. */
  async warnWithin(manager: EntityManager, runId: string, warnings: string[]): Promise<void> {
    await this.update(manager, 'id = :runId', { runId }, { warnings });
  }

  /** Shows readers that something about the run changed outside its row. */
  async touch(runId: string): Promise<void> {
    await this.update(this.dataSource.manager, 'id = :runId', { runId }, {});
  }

  async view(runId: string): Promise<RunView | undefined> {
    return (await this.views([runId])).get(runId);
  }

  async views(runIds: readonly string[]): Promise<Map<string, RunView>> {
    if (runIds.length === 0) return new Map();
    const runs = await this.dataSource.createQueryBuilder(RunEntity, 'run').where('run.id IN (:...runIds)', { runIds }).getMany();
    return await this.withObligations(runs);
  }

  /** How thousands of runs stand. What is not there any more is not in the answer. */
  async standings(runIds: readonly string[]): Promise<Map<string, RunStanding>> {
    const rows = await this.rows<RunStanding & { id: string }>(
      `SELECT id, state, error, started_at AS "startedAt", ended_at AS "endedAt" FROM runs WHERE id = ANY($1)`,
      [runIds],
    );
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** The oldest unfinished run of that kind whose payload contains this. */
  async unfinished(kind: RunKind, payload: Record<string, unknown>): Promise<RunView | undefined> {
    const [row] = await this.rows<{ id: string }>(
      `SELECT id FROM runs WHERE kind = $1 AND state IN ('queued', 'running') AND payload @> $2::jsonb ORDER BY id LIMIT 1`,
      [kind, JSON.stringify(payload)],
    );
    return row === undefined ? undefined : await this.view(row.id);
  }

  /** Newest first. @returns one run more than `limit` when there is a next page. */
  async list(filter: RunFilter): Promise<RunView[]> {
    const query = this.dataSource
      .createQueryBuilder(RunEntity, 'run')
      .orderBy('run.id', 'DESC')
      .take(filter.limit + 1);
    if (filter.state !== undefined) query.andWhere('run.state = :state', { state: filter.state });
    if (filter.kind !== undefined) query.andWhere('run.kind = :kind', { kind: filter.kind });
    const { organizationId } = filter;
    if (organizationId !== undefined) query.andWhere('run.organizationId = :organizationId', { organizationId });
    if (filter.cursor !== undefined) query.andWhere('run.id < :cursor', { cursor: filter.cursor });
    const views = await this.withObligations(await query.getMany());
    return [...views.values()];
  }

  private async withObligations(runs: readonly RunEntity[]): Promise<Map<string, RunView>> {
    const open =
      runs.length === 0
        ? []
        : await this.dataSource
            .createQueryBuilder(ObligationEntity, 'obligation')
            .where('obligation.runId IN (:...runIds) AND obligation.settledAt IS NULL', { runIds: runs.map((run) => run.id) })
            .orderBy('obligation.sequence')
            .getMany();
    return new Map(
      runs.map((run) => [
        run.id,
        toRunView(
          run,
          open.filter((obligation) => obligation.runId === run.id),
        ),
      ]),
    );
  }

  private async update(manager: EntityManager, where: string, parameters: Record<string, unknown>, change: RunChange) {
    const result = await manager
      .createQueryBuilder()
      .update(RunEntity)
      .set({ ...change, revision: () => 'revision + 1', changedXid: () => 'pg_current_xact_id()' })
      .where(where, parameters)
      .returning('id')
      .execute();
    return result.raw as { id: string }[];
  }

  private async rows<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    const runner = this.dataSource.createQueryRunner();
    try {
      return (await runner.query(sql, parameters, true)).records as Row[];
    } finally {
      await runner.release();
    }
  }
}

type RunChange = QueryDeepPartialEntity<RunEntity>;

const LEASED = `id = :runId AND lease_owner = :owner AND state = 'running'`;

/** Takes the job back into the queue with the transaction it ends. */
class NoneMayRun extends Error {}
