import { Inject, Injectable } from '@nestjs/common';
import { type Logger, retry, VaultError } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { connectionLost } from '../database/index.js';
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
    let manifestGone = false;
    // A row whose manifest is gone promises what is no more: a passing fault of the database must not leave it.
    await retry({ ...PATIENCE, retryIf: (error) => manifestGone && connectionLost(error) !== undefined }, async () => {
      try {
        await this.restorePoints.deleteAfter(id, async (point) => {
          await this.deleteManifest(point.organizationId, id);
          manifestGone = true;
          this.log.info({ restorePointId: id, vapp: point.vappName }, 'restore point deleted');
        });
      } catch (error) {
        // The commit before had been carried out, and its answer was lost.
        if (!(manifestGone && isNotFound(error))) throw error;
      }
    });
  }

  private async deleteManifest(organizationId: string, restorePointId: string): Promise<void> {
    try {
      await this.repository.deleteManifest({ organizationId, restorePointId });
    } catch (error) {
      // An attempt that ended between the manifest and the row.
      if (!isNotFound(error)) throw error;
    }
  }
}

const PATIENCE = { attempts: 6, baseDelayMs: 200, maxDelayMs: 3_000, deadlineMs: 15_000 };

function isNotFound(error: unknown): boolean {
  return error instanceof VaultError && error.code === 'RESTORE_POINT_NOT_FOUND';
}
