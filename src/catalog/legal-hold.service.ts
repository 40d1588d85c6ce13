import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, IsNull } from 'typeorm';
import { type Logger, newId, Semaphore } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { REPOSITORY, type RepositoryApi, RepositoryError } from '../repository/index.js';
import { CatalogError } from './errors.js';
import { LegalHoldEntity, RestorePointEntity } from './restore-point.entities.js';

export interface LegalHoldView {
  id: string;
  restorePointId: string;
  reason: string;
  placedAt: string;
  placedBy: string;
  releasedAt: string | null;
  releasedBy: string | null;
  releaseReason: string | null;
}

/** Of a hold of which only the repository knew. */
const FOUND_BY = 'the repository';
const FOUND_REASON = 'found in the repository: who placed it, and why, is not known here';

const AT_ONCE = 4;

/** lock_not_available */
const LOCKED = '55P03';

/**
 * Legal holds: while one stands, neither a person nor a policy can delete the restore point. None is ever forgotten. Who
 * asked and why is kept here; that there is one also in the repository, which outlives this database.
 */
@Injectable()
export class LegalHoldService {
  /**
   * Who asks the repository within a transaction keeps a connection meanwhile. As many at once as somebody likes to place would keep them
   * all from the leases of this process's runs.
   */
  private readonly turns = new Semaphore(AT_ONCE);

  constructor(
    private readonly dataSource: DataSource,
    @Inject(REPOSITORY) private readonly repository: Pick<RepositoryApi, 'setLegalHold' | 'heldRestorePoints'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /**
   * Either the hold stands when this answers, or the restore point was being deleted already: both lock its row.
   * @param placedBy as people know them.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY; RepositoryError, and then there is no hold.
   */
  async place(restorePointId: string, reason: string, placedBy: string): Promise<LegalHoldView> {
    return await this.inTurn(async (manager) => {
      const { organizationId } = await lockPoint(manager, restorePointId);
      const id = await insertHold(manager, restorePointId, reason, placedBy);
      await this.repository.setLegalHold({ organizationId, restorePointId }, true);
      return view(await manager.findOneByOrFail(LegalHoldEntity, { id }));
    });
  }

  /**
   * Releasing twice is no fault, and changes nothing of the first time. With its last hold the restore point is free.
   * @throws CatalogError HOLD_NOT_FOUND, RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY; RepositoryError, and then it stands.
   */
  async release(id: string, releasedBy: string, releaseReason: string): Promise<LegalHoldView> {
    return await this.inTurn(async (manager) => {
      const found = await manager.findOneBy(LegalHoldEntity, { id });
      if (found === null) throw new CatalogError('HOLD_NOT_FOUND', `There is no legal hold ${id}.`, `legal hold ${id}`);
      const { restorePointId } = found;
      const { organizationId } = await lockPoint(manager, restorePointId);
      await manager.query(
        `UPDATE legal_holds SET released_at = now(), released_by = $2, release_reason = $3 WHERE id = $1 AND released_at IS NULL`,
        [id, releasedBy, releaseReason],
      );
      const others = await manager.existsBy(LegalHoldEntity, { restorePointId, releasedAt: IsNull() });
      if (!others) await this.repository.setLegalHold({ organizationId, restorePointId }, false);
      return view(await manager.findOneByOrFail(LegalHoldEntity, { id }));
    });
  }

  /**
   * Holds that the repository has and this catalog does not, as after a death while one was placed, or in a catalog that was rebuilt:
   * nobody could see them, and nobody release them. What is being placed or released at this moment is left for the next time.
   * @returns how many were found. @throws RepositoryError when the repository does not answer.
   */
  async adopt(signal?: AbortSignal): Promise<number> {
    const organizations: { id: string }[] = await this.dataSource.query('SELECT DISTINCT organization_id AS id FROM restore_points');
    let found = 0;
    for (const { id: organizationId } of organizations) {
      try {
        for (const restorePointId of await this.withoutHold(await this.repository.heldRestorePoints(organizationId, signal))) {
          if (await this.adoptOne(restorePointId, signal)) found += 1;
        }
      } catch (error) {
        // One organization's damage hides no hold of another.
        if (!(error instanceof RepositoryError) || error.retryable) throw error;
        this.log.warn({ organizationId, reason: error.message }, 'legal holds in the repository could not be looked for');
      }
    }
    return found;
  }

  private async inTurn<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return await this.turns.run(() => this.dataSource.transaction(work));
  }

  private async withoutHold(restorePointIds: readonly string[]): Promise<string[]> {
    if (restorePointIds.length === 0) return [];
    const rows: { id: string }[] = await this.dataSource.query(
      `SELECT p.id FROM restore_points p WHERE p.id = ANY($1) AND p.deleting_at IS NULL
         AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.restore_point_id = p.id AND h.released_at IS NULL)`,
      [restorePointIds],
    );
    return rows.map(({ id }) => id);
  }

  private async adoptOne(restorePointId: string, signal?: AbortSignal): Promise<boolean> {
    try {
      return await this.dataSource.transaction(async (manager) => {
        const { organizationId, vappName } = await lockPoint(manager, restorePointId);
        if (await manager.existsBy(LegalHoldEntity, { restorePointId, releasedAt: IsNull() })) return false;
        // Asked again under the lock: it may have been released since.
        if (!(await this.repository.heldRestorePoints(organizationId, signal)).includes(restorePointId)) return false;
        await insertHold(manager, restorePointId, FOUND_REASON, FOUND_BY);
        this.log.warn({ restorePointId, vapp: vappName }, 'legal hold found in the repository and brought into the catalog');
        return true;
      });
    } catch (error) {
      if (error instanceof CatalogError) return false;
      throw error;
    }
  }

  /** Released ones too, and of restore points that are gone; oldest first. */
  async list(restorePointId: string): Promise<LegalHoldView[]> {
    const order = { placedAt: 'ASC', id: 'ASC' } as const;
    return (await this.dataSource.manager.find(LegalHoldEntity, { where: { restorePointId }, order })).map(view);
  }

  /** Those that stand on any restore point of these objects. @returns reasons by restore point. */
  async standing(vappIds: readonly string[]): Promise<Map<string, string[]>> {
    const holds: { restorePointId: string; reason: string }[] = await this.dataSource.query(
      `SELECT h.restore_point_id AS "restorePointId", h.reason FROM legal_holds h JOIN restore_points p ON p.id = h.restore_point_id
       WHERE h.released_at IS NULL AND p.vapp_id = ANY($1) ORDER BY h.placed_at, h.id`,
      [vappIds],
    );
    const found = new Map<string, string[]>();
    for (const { restorePointId, reason } of holds) found.set(restorePointId, [...(found.get(restorePointId) ?? []), reason]);
    return found;
  }
}

/** @returns its id. */
async function insertHold(manager: EntityManager, restorePointId: string, reason: string, placedBy: string): Promise<string> {
  const id = newId();
  const values = [id, restorePointId, reason, placedBy];
  await manager.query(`INSERT INTO legal_holds (id, restore_point_id, reason, placed_by) VALUES ($1, $2, $3, $4)`, values);
  return id;
}

/** Exclusively: of two that place and release at one moment, one must see the other. */
async function lockPoint(manager: EntityManager, id: string): Promise<RestorePointEntity> {
  try {
    const point = await manager.findOne(RestorePointEntity, { where: { id }, lock: { mode: 'pessimistic_write', onLocked: 'nowait' } });
    if (point !== null && point.deletingAt !== null) throw busy(id);
    if (point !== null) return point;
  } catch (error) {
    if ((error as { code?: string }).code !== LOCKED) throw error;
    throw busy(id);
  }
  throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, `restore point ${id}`);
}

function busy(id: string): CatalogError {
  const sentence = `Restore point ${id} is being deleted or read by somebody just now; try again in a moment.`;
  return new CatalogError('RESTORE_POINT_BUSY', sentence, `restore point ${id}`);
}

function view({ placedAt, releasedAt, ...hold }: LegalHoldEntity): LegalHoldView {
  return { ...hold, placedAt: placedAt.toISOString(), releasedAt: releasedAt?.toISOString() ?? null };
}
