import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, In } from 'typeorm';
import { databaseIdentity, lockTransaction } from '../database/index.js';
import { JobsError } from './errors.js';
import { RunEntity } from './run.entity.js';
import { failureForPeople } from './run-failure.js';
import { RunRegistry } from './run-registry.js';
import { RunStore } from './run-store.js';
import { recordOfLost } from './run-sweep.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

const IDENTITY_LOCK = 7_186_405;
const IDLE_TIMEOUT_MS = 60_000;

interface LeftDebt {
  runId: string;
  kind: string;
  terms: Record<string, unknown>;
}

/**
 * A dump holds runs and debts as they were when it was taken. Put back, it may be older than the commit of a restore whose vApp a tenant
 * has worked in for hours: paying that restore's debts would delete the vApp, and carrying the restore out would write over it. Nothing in
 * the database can tell, so such debts are left and such runs are ended, and people are told where to look.
 */
@Injectable()
export class PutBackDatabase {
  constructor(
    private readonly dataSource: DataSource,
    private readonly store: RunStore,
    private readonly registry: RunRegistry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /**
   * When every kind of run and of debt is registered, and before this process makes, takes or pays anything. Processes that start
   * together wait for the first of them.
   */
  async notice(): Promise<void> {
    const identity = await databaseIdentity(this.dataSource);
    const found = await this.dataSource.transaction(async (manager) => {
      await lockTransaction(manager, IDENTITY_LOCK, IDLE_TIMEOUT_MS);
      const [row]: { identity: string }[] = await manager.query('SELECT identity FROM database_identity');
      if (row?.identity === identity) return undefined;
      const counts = row && (await this.leaveAlone(manager));
      await manager.query(
        `INSERT INTO database_identity (only_row, identity) VALUES (true, $1) ON CONFLICT (only_row) DO UPDATE SET identity = EXCLUDED.identity`,
        [identity],
      );
      return counts;
    });
    if (found === undefined) return;
    this.environment.logger.warn(
      found,
      'the database was put back from a dump, or moved: what its restores had made was left as it is, and those that had not ended were ended',
    );
  }

  private async leaveAlone(manager: EntityManager): Promise<{ debtsLeft: number; runsEnded: number }> {
    const debts = await this.leaveDebts(manager);
    const kinds = this.registry.kindsThatWriteWhatIsUsed;
    const runs = await manager.find(RunEntity, {
      where: [{ id: In(debts.map(({ runId }) => runId)) }, { kind: In(kinds), state: In(['queued', 'running']) }],
      order: { id: 'ASC' },
      lock: { mode: 'pessimistic_write' },
    });
    let runsEnded = 0;
    for (const run of runs) {
      const sentences = debts.filter(({ runId }) => runId === run.id).map((debt) => this.sentenceOf(debt));
      if (kinds.includes(run.kind) && (run.state === 'queued' || run.state === 'running')) {
        await this.end(manager, run, sentences);
        runsEnded += 1;
      } else {
        await this.store.warnWithin(manager, run.id, [...run.warnings, ...sentences]);
      }
    }
    return { debtsLeft: debts.length, runsEnded };
  }

  /** Settled without being paid, oldest first. */
  private async leaveDebts(manager: EntityManager): Promise<LeftDebt[]> {
    return await manager.query(
      `WITH debts AS (
         UPDATE obligations SET settled_at = COALESCE(settled_at, now()), look_again_at = NULL, next_try_at = NULL, last_error = NULL,
           claimed_by = NULL, claimed_until = NULL
         WHERE kind = ANY($1) AND (settled_at IS NULL OR look_again_at IS NOT NULL) RETURNING run_id, kind, terms, sequence
       )
       SELECT run_id AS "runId", kind, terms FROM debts ORDER BY sequence`,
      [[...this.registry.mayBeInUse.keys()]],
    );
  }

  /** One that had committed has what it was for; the dump says so. */
  private async end(manager: EntityManager, run: RunEntity, sentences: readonly string[]): Promise<void> {
    if (run.result !== null) {
      const record = recordOfLost(run, [reachedBefore(run), ...sentences]);
      await this.store.finishWithin(manager, run.id, { ...record, state: 'warning', error: null, result: run.result });
      return;
    }
    const error = failureForPeople(putBack(run), run.id);
    await this.store.finishWithin(manager, run.id, { ...recordOfLost(run, sentences), state: 'failed', error, result: null });
  }

  private sentenceOf({ kind, terms }: LeftDebt): string {
    const what = this.registry.mayBeInUse.get(kind)?.(terms as never);
    return `Left as it is, because the database was put back from a dump, or moved, and it may be in use by now: ${what} (debt "${kind}").`;
  }
}

function reachedBefore({ kind, subject }: RunEntity): string {
  return (
    `The database was put back from a dump, or moved, after the ${kind} of ${subject} had reached its aim: ` +
    'what was still to be done then was not done now, because it may have been done since.'
  );
}

function putBack({ kind, subject }: RunEntity): JobsError {
  return new JobsError(
    `The database was put back from a dump, or moved, while the ${kind} of ${subject} waited or was under way, so it was ended and ` +
      'nothing it had made was removed: look whether that is in use, delete what is not wanted, and start it again if it is still wanted.',
    { code: 'DATABASE_PUT_BACK', subject },
  );
}
