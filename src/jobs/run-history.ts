import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { RunRegistry } from './run-registry.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

/** One look takes no more: it locks what it deletes, and is done before the next sweep. */
const BATCH = 500;

const FAILING = (run: string) =>
  `(${run}.state = 'failed' OR (${run}.state = 'warning' AND ${run}.result ?| ARRAY['failedVms', 'consolidationFailed', 'halfWritten']))`;

/**
 * Ended long ago, with nothing left to pay and no later run that is its retry. The last of its kind about an object stays where it failed,
 * or answers one that failed and is still there: what is wrong with the object is read from it (run-health.service.ts).
 */
const FORGETTABLE = `r.ended_at < now() - $2 * interval '1 millisecond'
  AND NOT EXISTS (SELECT FROM obligations o WHERE o.run_id = r.id AND (o.settled_at IS NULL OR o.look_again_at IS NOT NULL))
  AND NOT EXISTS (SELECT FROM runs again WHERE again.retry_of = r.id)
  AND (r.exclusive_key IS NULL OR r.state = 'cancelled'
    OR EXISTS (SELECT FROM runs later WHERE later.kind = r.kind AND later.exclusive_key = r.exclusive_key
               AND later.ended_at > r.ended_at AND later.state <> 'cancelled')
    OR NOT (${FAILING('r')} OR EXISTS (SELECT FROM runs earlier WHERE earlier.kind = r.kind AND earlier.exclusive_key = r.exclusive_key
                                       AND earlier.ended_at < r.ended_at AND ${FAILING('earlier')})))`;

/** Forgets runs that nobody needs any more, oldest first, some at a time. */
@Injectable()
export class RunHistory {
  /** The last one that was looked at; ids sort by time of making. */
  private lookedAt = '';

  constructor(
    private readonly dataSource: DataSource,
    private readonly registry: RunRegistry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /** Goes on where it stopped. @returns whether it has come to runs that are young, and begins again with the oldest. */
  async forgetSome(): Promise<boolean> {
    const { rememberMs } = this.environment.settings;
    const page: { id: string; old: boolean }[] = await this.dataSource.query(
      `SELECT id, created_at < now() - $2 * interval '1 millisecond' AS old FROM runs WHERE id > $1 ORDER BY id LIMIT ${BATCH}`,
      [this.lookedAt, rememberMs],
    );
    const ids = page.filter(({ old }) => old).map(({ id }) => id);
    const needed = await this.registry.referenced(ids);
    const runs = await this.forget(
      ids.filter((id) => !needed.has(id)),
      rememberMs,
    );
    if (runs > 0) this.environment.logger.info({ runs }, 'runs that ended long ago were forgotten');
    const isAtEnd = ids.length < BATCH;
    this.lookedAt = isAtEnd ? '' : (ids.at(-1) ?? '');
    return isAtEnd;
  }

  /** What another process is at, or is being changed, waits for the next time. */
  private async forget(ids: readonly string[], rememberMs: number): Promise<number> {
    if (ids.length === 0) return 0;
    return await this.dataSource.transaction(async (manager: EntityManager) => {
      const rows: { id: string }[] = await manager.query(
        `SELECT r.id FROM runs r WHERE r.id = ANY($1) AND ${FORGETTABLE} FOR UPDATE OF r SKIP LOCKED`,
        [ids, rememberMs],
      );
      const gone = rows.map(({ id }) => id);
      await manager.query('DELETE FROM obligations WHERE run_id = ANY($1)', [gone]);
      await manager.query('DELETE FROM runs WHERE id = ANY($1)', [gone]);
      return gone.length;
    });
  }
}
