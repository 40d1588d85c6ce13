import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import { newId } from '../common/index.js';
import { ObligationEntity } from './obligation.entity.js';
import { RunEntity } from './run.entity.js';
import type { RunQueue } from './run-queue.js';
import { toRunView } from './run-view.js';
import type { FinalRunState, RunKind, RunState, RunView } from './types.js';

export interface NewRun {
  kind: RunKind;
  subject: string;
  organizationId: string;
  payload: Record<string, unknown>;
  exclusiveKey: string | undefined;
}

export type RunRecord = Pick<RunEntity, 'steps' | 'progress' | 'warnings'>;
export type RunOutcome = RunRecord & Pick<RunEntity, 'error' | 'result'> & { state: FinalRunState };

export interface RunFilter {
  state?: RunState;
  kind?: RunKind;
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
    const id = newId();
    return await this.dataSource.transaction(async (manager) => {
      // The partial unique index decides, so two requests at one moment cannot both win.
      const made: unknown[] = await manager.query(
        `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key) VALUES ($1, $2, 'queued', $3, $4, $5, $6)
         ON CONFLICT (exclusive_key) WHERE state IN ('queued', 'running') DO NOTHING RETURNING id`,
        [id, run.kind, run.subject, run.organizationId, run.payload, run.exclusiveKey ?? null],
      );
      if (made.length === 0) return undefined;
      await queue.put(manager, id);
      return id;
    });
  }

  /**
   * Takes the next waiting run, in the transaction that takes its job out of the queue.
   * @returns undefined when the queue is empty; 'gone' when the run no longer waits (it was cancelled).
   */
  async claim(queue: RunQueue, owner: string, expiryMs: number): Promise<RunEntity | 'gone' | undefined> {
    return await this.dataSource.transaction(async (manager) => {
      const runId = await queue.take(manager);
      if (runId === undefined) return undefined;
      const claimed = await this.update(
        manager,
        `id = :runId AND state = 'queued'`,
        { runId },
        {
          state: 'running',
          startedAt: () => 'now()',
          attempt: () => 'attempt + 1',
          ...leaseFields(owner, expiryMs),
        },
      );
      if (claimed.length === 0) return 'gone';
      return await manager.findOneByOrFail(RunEntity, { id: runId });
    });
  }

  /** @returns those of the runs still leased to `owner`, with whether somebody asked to cancel. */
  async renew(owner: string, runIds: readonly string[], expiryMs: number): Promise<Map<string, boolean>> {
    const rows = await this.rows<{ id: string; cancelled: boolean }>(
      `UPDATE runs SET lease_expires_at = now() + $3 * interval '1 millisecond'
       WHERE id = ANY($2) AND lease_owner = $1 AND state = 'running'
       RETURNING id, cancel_requested_at IS NOT NULL AS cancelled`,
      [owner, runIds, expiryMs],
    );
    return new Map(rows.map((row) => [row.id, row.cancelled]));
  }

  /** As `renew`, without renewing. */
  async look(owner: string, runIds: readonly string[]): Promise<Map<string, boolean>> {
    const rows = await this.rows<{ id: string; cancelled: boolean }>(
      `SELECT id, cancel_requested_at IS NOT NULL AS cancelled FROM runs WHERE id = ANY($2) AND lease_owner = $1 AND state = 'running'`,
      [owner, runIds],
    );
    return new Map(rows.map((row) => [row.id, row.cancelled]));
  }

  /** Takes over one run whose lease ran out, to pay its debts. */
  async takeOverLost(owner: string, expiryMs: number): Promise<RunEntity | undefined> {
    const [row] = await this.rows<{ id: string }>(
      `UPDATE runs SET lease_owner = $1, lease_expires_at = now() + $2 * interval '1 millisecond'
       WHERE id = (SELECT id FROM runs WHERE state = 'running' AND lease_expires_at < now() ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id`,
      [owner, expiryMs],
    );
    return row === undefined ? undefined : await this.dataSource.manager.findOneByOrFail(RunEntity, { id: row.id });
  }

  /** @returns false when the lease is no longer `owner`'s. */
  async record(runId: string, owner: string, record: RunRecord): Promise<boolean> {
    const done = await this.update(this.dataSource.manager, LEASED, { runId, owner }, { ...record });
    return done.length > 0;
  }

  /** The final state; gives the lease back. @returns false when the lease is no longer `owner`'s. */
  async finish(runId: string, owner: string, outcome: RunOutcome): Promise<boolean> {
    const done = await this.update(this.dataSource.manager, LEASED, { runId, owner }, {
      ...outcome,
      endedAt: () => 'now()',
      leaseOwner: null,
      leaseExpiresAt: null,
    } as RunChange);
    return done.length > 0;
  }

  /** A waiting run is cancelled at once; a running one is asked to stop. @returns the state it was found in. */
  async requestCancel(runId: string): Promise<RunState | undefined> {
    return await this.dataSource.transaction(async (manager) => {
      const run = await manager.findOne(RunEntity, { where: { id: runId }, lock: { mode: 'pessimistic_write' } });
      if (run === null) return undefined;
      if (run.state === 'queued') {
        const change: RunChange = { state: 'cancelled', endedAt: () => 'now()', cancelRequestedAt: () => 'now()' };
        await this.update(manager, 'id = :runId', { runId }, change);
      } else if (run.state === 'running' && run.cancelRequestedAt === null) {
        await this.update(manager, 'id = :runId', { runId }, { cancelRequestedAt: () => 'now()' });
      }
      return run.state;
    });
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
    if (filter.cursor !== undefined) query.andWhere('run.id < :cursor', { cursor: filter.cursor });
    const views = await this.withObligations(await query.getMany());
    return [...views.values()];
  }

  async revisions(runIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.rows<{ id: string; revision: number }>('SELECT id, revision FROM runs WHERE id = ANY($1)', [runIds]);
    return new Map(rows.map((row) => [row.id, row.revision]));
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
      .set({ ...change, revision: () => 'revision + 1' })
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

function leaseFields(owner: string, expiryMs: number) {
  return { leaseOwner: owner, leaseExpiresAt: () => `now() + ${Math.round(expiryMs)} * interval '1 millisecond'` };
}
