import { Inject, Injectable } from '@nestjs/common';
import { type Logger, VaultError } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import { RestorePointService } from './restore-point.service.js';

/**
 * Deletes restore points, manifest first: the manifest is the truth, so a row without one is only
 * a leftover that the next attempt clears, while a manifest without its row would come back with
 * the next catalog rebuild. Later restore points of the same disks are whole in themselves: each
 * has an index of its own, and a chunk stays as long as any index names it.
 */
@Injectable()
export class RestorePointRemoval {
  constructor(
    private readonly restorePoints: RestorePointService,
    @Inject(REPOSITORY) private readonly repository: Pick<RepositoryApi, 'deleteManifest'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /**
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_IN_USE, RESTORE_POINT_HOLD_CONFLICT, RESTORE_POINT_LOCK_CONFLICT;
   * RepositoryError, and then it can be tried again.
   */
  async remove(id: string): Promise<void> {
    await this.restorePoints.deleteAfter(id, async (point) => {
      try {
        await this.repository.deleteManifest({ organizationId: point.organizationId, restorePointId: id });
      } catch (error) {
        // An attempt that ended between the manifest and the row.
        if (!(error instanceof VaultError && error.code === 'RESTORE_POINT_NOT_FOUND')) throw error;
      }
      this.log.info({ restorePointId: id, vapp: point.vappName }, 'restore point deleted');
    });
  }
}
