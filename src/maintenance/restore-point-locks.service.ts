import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { CatalogError } from '../catalog/index.js';
import { CLOCK_TOLERANCE_MS, Semaphore } from '../common/index.js';
import { RunService, type RunContext } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import type { LockRequest, LockView } from './maintenance.dto.js';

const AT_ONCE = 4;
/** What a key may not do, or a manifest does not say, is the same a moment later. */
const HOLD_RETRY_MS = 60 * 60_000;

/** The last run of the point failed less than that ago. What ended in the future did so before the clock of the database went back, and says nothing. */
const FAILED_LATELY = `COALESCE((SELECT state IN ('failed', 'cancelled') AND ended_at > now() - ${HOLD_RETRY_MS} * interval '1 millisecond'
  FROM runs WHERE exclusive_key = 'repository:hold:' || restore_points.id AND kind = 'hold'
    AND ended_at <= now() + ${CLOCK_TOLERANCE_MS} * interval '1 millisecond'
  ORDER BY ended_at DESC LIMIT 1), false)`;

/** One that is under way with an earlier date is waited for: asked again when it has ended. */
const UNDER_WAY = `EXISTS (SELECT FROM runs WHERE exclusive_key = 'repository:hold:' || restore_points.id AND kind = 'hold'
  AND state IN ('queued', 'running'))`;

const NOT_HELD = `deleting_at IS NULL AND locked_until > now() AND (held_until IS NULL OR held_until < locked_until)
  AND NOT ${FAILED_LATELY} AND NOT ${UNDER_WAY}`;

interface HoldPayload {
  restorePointId: string;
  organizationId: string;
  until: string;
}

/** Locks of restore points: dates before which nobody removes them, and their retention in the store. */
@Injectable()
export class RestorePointLocksService implements OnModuleInit {
  /** Each keeps a connection while the repository is asked; the leases of this process's runs need some, too. */
  private readonly turns = new Semaphore(AT_ONCE);

  constructor(
    private readonly runs: RunService,
    private readonly dataSource: DataSource,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler('hold', (payload: HoldPayload, run) => this.hold(payload, run), { resumable: true });
  }

  /**
   * In force when it resolves. The row is locked from before the repository is asked until the date stands in it, so that a deletion
   * comes before or after, and not in between.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND; RepositoryError INVALID_ARGUMENT.
   */
  async extend(restorePointId: string, { until }: LockRequest): Promise<LockView> {
    const extend = async (manager: EntityManager) => {
      const rows: { organizationId: string }[] = await manager.query(
        'SELECT organization_id AS "organizationId" FROM restore_points WHERE id = $1 AND deleting_at IS NULL FOR UPDATE',
        [restorePointId],
      );
      const [row] = rows;
      if (!row)
        throw new CatalogError(
          'RESTORE_POINT_NOT_FOUND',
          `There is no restore point ${restorePointId}.`,
          `restore point ${restorePointId}`,
        );
      const locked = await this.repository.lockRestorePoint({ ...row, restorePointId }, new Date(until));
      await manager.query('UPDATE restore_points SET locked_until = GREATEST(locked_until, $2) WHERE id = $1', [restorePointId, locked]);
      return locked;
    };
    const lockedUntil = await this.turns.run(() => this.dataSource.transaction(extend));
    await this.requestHolds();
    return { restorePointId, lockedUntil: lockedUntil.toISOString(), enforcedByStore: await this.enforcedByStore() };
  }

  /** A run for each restore point whose lock its store does not know yet; one each, however many instances ask. After a failed one none for an hour. */
  async requestHolds(): Promise<void> {
    const rows: { id: string; organizationId: string; vappName: string; until: Date }[] = await this.dataSource.query(
      `SELECT id, organization_id AS "organizationId", vapp_name AS "vappName", locked_until AS until FROM restore_points
       WHERE ${NOT_HELD} ORDER BY created_at LIMIT 100`,
    );
    if (rows.length === 0 || !(await this.enforcedByStore())) return;
    for (const { id, organizationId, vappName, until } of rows) {
      await this.dataSource.transaction(async (manager) => {
        // Another instance may have been quicker; of two at one moment the exclusive key lets one through.
        const still: unknown[] = await manager.query(`SELECT FROM restore_points WHERE id = $1 AND ${NOT_HELD}`, [id]);
        if (still.length === 0) return;
        const payload: HoldPayload = { restorePointId: id, organizationId, until: until.toISOString() };
        const options = { organizationId, exclusiveKey: `repository:hold:${id}` };
        await this.runs.createWithin(manager, 'hold', `retention of a restore point of "${vappName}"`, { ...payload }, options);
      });
    }
    this.runs.ring();
  }

  /** At one of the sites at least. */
  private async enforcedByStore(): Promise<boolean> {
    return this.repository.enforcesRetention || ((await this.repository.secondSite?.enforcesRetention()) ?? false);
  }

  private async hold({ restorePointId, organizationId, until }: HoldPayload, run: RunContext): Promise<Record<string, unknown>> {
    // As text: a Date has no microseconds. Read before the store is asked, which goes by this date or a later one.
    const rows: { lockedUntil: string | null }[] = await this.dataSource.query(
      `SELECT locked_until::text AS "lockedUntil" FROM restore_points WHERE id = $1`,
      [restorePointId],
    );
    const objects = await run.step('extend the retention of its objects', () =>
      this.repository.holdRestorePoint({ organizationId, restorePointId }, { signal: run.signal }),
    );
    // Only now: a lock the store does not know must not look as if it did, whatever becomes of this run.
    await this.dataSource.query('UPDATE restore_points SET held_until = GREATEST(held_until, $2) WHERE id = $1', [
      restorePointId,
      rows[0]?.lockedUntil,
    ]);
    return { restorePointId, until, objects };
  }
}
