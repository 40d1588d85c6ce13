import { Inject, Injectable } from '@nestjs/common';
import { describeError, type Logger, retry, VaultError } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { connectionLost } from '../database/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import { RestorePointService, type RestorePointSummary } from './restore-point.service.js';

/**
 * Deletes restore points: first the row says so, durable; then the manifest goes, which is the truth; last the row. A process that
 * dies in between leaves a row that is no restore point any more for anybody, and that a worker soon takes away. A row that goes
 * before its manifest would come back with the next catalog rebuild. Later restore points of the same disks are whole in themselves:
 * each has an index of its own, and a chunk stays as long as any index names it.
 */
@Injectable()
export class RestorePointRemoval {
  constructor(
    private readonly restorePoints: RestorePointService,
    @Inject(REPOSITORY) private readonly repository: Pick<RepositoryApi, 'assertDeletable' | 'deleteManifest'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /**
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_IN_USE, RESTORE_POINT_HOLD_CONFLICT, RESTORE_POINT_LOCK_CONFLICT,
   * RESTORE_POINT_BUSY; RepositoryError, and then it can be tried again: one that came after the deletion had begun is tried again
   * by a worker as well.
   * @param signal ends the wait for the repository and for other deletions; one that has begun is finished by a worker then.
   */
  async remove(id: string, signal?: AbortSignal): Promise<void> {
    // The repository is asked before anything is written down: while it is away, every restore point stays one. Asked again at once where the
    // answer was lost, for the commit may have been carried out: what is written down has to go on.
    await retry({ ...AT_ONCE, retryIf: isConnectionLost }, () =>
      this.restorePoints.beginDeletion(
        id,
        ({ organizationId }) => orGone(this.repository.assertDeletable({ organizationId, restorePointId: id }, signal)),
        signal,
      ),
    );
    let manifestGone = false;
    await retry({ ...PATIENCE, retryIf: (error) => manifestGone && isConnectionLost(error) }, () =>
      this.finish(
        id,
        () => {
          manifestGone = true;
        },
        // What is left is the row alone, and the database.
        manifestGone ? undefined : signal,
      ),
    );
  }

  /**
   * Goes on where deletions ended in the middle, whoever had begun them: a process that died, or one whose repository or database was
   * away. One that fails keeps no other waiting; it is tried again with the next call.
   */
  async finishBegun(signal: AbortSignal): Promise<void> {
    for (const id of await this.restorePoints.unfinishedDeletions()) {
      if (signal.aborted) return;
      try {
        await this.finish(id, () => undefined, signal);
      } catch (error) {
        this.log.warn(
          { restorePointId: id, reason: describeError(error) },
          'a deletion that ended in the middle could not be finished yet',
        );
      }
    }
  }

  /** One whose row is gone meanwhile was finished by somebody else, or by a commit whose answer was lost. */
  private async finish(id: string, onManifestGone: () => void, signal?: AbortSignal): Promise<void> {
    const work = async ({ organizationId, vappName }: RestorePointSummary) => {
      await orGone(this.repository.deleteManifest({ organizationId, restorePointId: id }, signal));
      onManifestGone();
      this.log.info({ restorePointId: id, vapp: vappName }, 'restore point deleted');
    };
    await orGone(this.restorePoints.finishDeletion(id, work, signal));
  }
}

const AT_ONCE = { attempts: 4, baseDelayMs: 100, maxDelayMs: 1_000, deadlineMs: 3_000 };
const PATIENCE = { attempts: 6, baseDelayMs: 200, maxDelayMs: 3_000, deadlineMs: 15_000 };

function isConnectionLost(error: unknown): boolean {
  return connectionLost(error) !== undefined;
}

/** What is not there any more need not be deleted. */
async function orGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof VaultError && error.code === 'RESTORE_POINT_NOT_FOUND')) throw error;
  }
}
