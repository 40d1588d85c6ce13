import type { RunService } from '../jobs/index.js';
import type { LockHolder } from '../repository/index.js';

/**
 * A run as the holder of a collector's lock. What a worker that died has left is free as soon as its run is known to be under way no
 * more - it waits for another worker, or has ended - and not only after a quarter of an hour. A run this database does not know belongs
 * to another service, of which nothing is known.
 */
export function lockHolder(runId: string, runs: Pick<RunService, 'standings'>): LockHolder {
  return {
    name: runId,
    isGone: async (other) => {
      const standing = (await runs.standings([other])).get(other);
      return standing !== undefined && standing.state !== 'running';
    },
  };
}
