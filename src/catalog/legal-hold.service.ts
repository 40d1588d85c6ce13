import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, IsNull } from 'typeorm';
import { newId } from '../common/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
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

/** lock_not_available */
const LOCKED = '55P03';

/**
 * Legal holds: while one stands, neither a person nor a policy can delete the restore point. None is ever forgotten. Who
 * asked and why is kept here; that there is one also in the repository, which outlives this database.
 */
@Injectable()
export class LegalHoldService {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(REPOSITORY) private readonly repository: Pick<RepositoryApi, 'setLegalHold'>,
  ) {}

  /**
   * Either the hold stands when this answers, or the restore point was being deleted already: both lock its row.
   * @param placedBy as people know them.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY; RepositoryError, and then there is no hold.
   */
  async place(restorePointId: string, reason: string, placedBy: string): Promise<LegalHoldView> {
    return await this.dataSource.transaction(async (manager) => {
      const { organizationId } = await lockPoint(manager, restorePointId);
      const id = newId();
      const values = [id, restorePointId, reason, placedBy];
      await manager.query(`INSERT INTO legal_holds (id, restore_point_id, reason, placed_by) VALUES ($1, $2, $3, $4)`, values);
      await this.repository.setLegalHold({ organizationId, restorePointId }, true);
      return view(await manager.findOneByOrFail(LegalHoldEntity, { id }));
    });
  }

  /**
   * Releasing twice is no fault, and changes nothing of the first time. With its last hold the restore point is free.
   * @throws CatalogError HOLD_NOT_FOUND, RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY; RepositoryError, and then it stands.
   */
  async release(id: string, releasedBy: string, releaseReason: string): Promise<LegalHoldView> {
    return await this.dataSource.transaction(async (manager) => {
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
