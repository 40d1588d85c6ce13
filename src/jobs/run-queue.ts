import { Inject, Injectable } from '@nestjs/common';
import PgBoss from 'pg-boss';
import type { EntityManager } from 'typeorm';
import { Bell, retry } from '../common/index.js';
import { connectionTo } from '../database/index.js';
import { errorForLog } from './run-failure.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

const QUEUE = 'runs';
/** pg-boss drops a job nobody fetched within this time; a run must wait for a worker however long. */
const RETENTION_DAYS = 3650;
/** Services that start together on a new database make the queue's partition at the same moment, and PostgreSQL may end one of them. */
const AMONG_RIVALS = { attempts: 10, baseDelayMs: 50, maxDelayMs: 1_000, deadlineMs: 30_000 };
const DEADLOCK_DETECTED = '40P01';

/**
 * pg-boss as the doorbell, not as the keeper of a run.
 *
 * pg-boss 10 has no heartbeat and lets a job stay active for less than 24 hours (attorney.js,
 * MAX_EXPIRATION_HOURS): a long backup held as an active job would be handed to a second worker
 * while the first is alive, or be found hours after a crash. So a job only says "one more run waits"; which
 * one goes first is decided when it is taken (fair-pick.ts).
 * Fetching it, taking the run (queued -> running) and completing the job are one transaction:
 * a worker killed inside it leaves the job as it was, and from its commit on the run's own lease
 * rules. pg-boss never holds an active job between transactions, so it can never re-run a live one.
 */
@Injectable()
export class RunQueue {
  /** Wakes this process's workers; those of others find the job at their next poll. */
  readonly bell = new Bell();
  private readonly boss: PgBoss;
  private started = false;

  constructor(@Inject(JOBS_ENVIRONMENT) environment: JobsEnvironment) {
    this.boss = new PgBoss({
      ...connectionTo(environment.databaseUrl),
      application_name: 'vapp-vault-queue',
      schema: 'pgboss',
      max: 2,
      // Times of day are a policy's matter, not the queue's.
      schedule: false,
    });
    this.boss.on('error', (error) => environment.logger.warn({ error: errorForLog(error) }, 'the run queue could not be maintained'));
  }

  async start(): Promise<void> {
    if (this.started) return;
    await this.boss.start();
    await retry({ ...AMONG_RIVALS, retryIf: isDeadlock }, () => this.boss.createQueue(QUEUE, { name: QUEUE, policy: 'standard' }));
    this.started = true;
  }

  async stop(): Promise<void> {
    if (!this.started) return;
    this.started = false;
    await this.boss.stop({ graceful: false, close: true });
  }

  /** Puts the run into the queue as part of the caller's transaction. Ring the bell after its commit. */
  async put(manager: EntityManager, runId: string): Promise<void> {
    const id = await this.boss.send(QUEUE, { runId }, { db: transactionDb(manager), retentionDays: RETENTION_DAYS });
    if (id === null) throw new Error(`pg-boss refused the job of run ${runId}`);
  }

  /** Takes one job out of the queue as part of the caller's transaction. @returns false when there is none. */
  async take(manager: EntityManager): Promise<boolean> {
    const db = transactionDb(manager);
    // Every job may be taken as soon as it is there; one that was put before the database's clock went back would wait until it is as late again.
    const [job] = await this.boss.fetch<{ runId: string }>(QUEUE, { db, batchSize: 1, ignoreStartAfter: true });
    if (job === undefined) return false;
    await this.boss.complete(QUEUE, job.id, {}, { db });
    return true;
  }
}

function isDeadlock(error: unknown): boolean {
  return (error as { code?: unknown }).code === DEADLOCK_DETECTED;
}

function transactionDb(manager: EntityManager): PgBoss.Db {
  return {
    async executeSql(text: string, values: unknown[]) {
      const { queryRunner } = manager;
      if (queryRunner === undefined) throw new Error('The queue is used inside a transaction only');
      // The structured form: TypeORM answers UPDATE … RETURNING as [rows, count] otherwise.
      const answer = await queryRunner.query(text, values, true);
      return { rows: answer.records ?? [] };
    },
  };
}
