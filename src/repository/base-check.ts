import { RepositoryError } from './errors.js';
import { ID_BYTES, ZERO_ID, type IndexRoot } from './format.js';
import type { Organization } from './organization.js';
import { walkPages } from './walk.js';

/**
 * A new restore point takes over the chunks of its base unread, so each of them must be there and
 * stay: the base may have been deleted since, and be on its way out, or parts of it may be damaged.
 * @throws RepositoryError BASE_INCOMPLETE: read the disk in full, and what is missing is stored anew.
 */
export async function checkBase(
  organization: Organization,
  base: { diskId: string; rootId: Buffer; root: IndexRoot },
  signal?: AbortSignal,
): Promise<void> {
  const { index } = organization;
  const demand = (ids: Buffer) => {
    if (ids.length > 0 && index.reusable(ids).includes(false)) {
      throw new RepositoryError(
        `The previous index of disk "${base.diskId}" refers to chunks that are lost or being deleted; read it in full`,
        {
          code: 'BASE_INCOMPLETE',
          subject: base.diskId,
        },
      );
    }
  };
  demand(base.rootId);
  const { pageIds } = base.root;
  demand(withoutZero(pageIds));
  for await (const ids of walkPages(organization, base.diskId, pageIds, () => false, signal)) demand(withoutZero(ids));
}

/** Ids without those of all-zero chunks and pages; what lies between two of those is copied at one stroke. */
export function withoutZero(ids: Buffer): Buffer {
  const runs: Buffer[] = [];
  let start = 0;
  for (let at = 0; at < ids.length; at += ID_BYTES) {
    // The first byte tells nearly always: four million comparisons for a TiB otherwise.
    if (ids[at] !== 0 || ZERO_ID.compare(ids, at, at + ID_BYTES) !== 0) continue;
    if (at > start) runs.push(ids.subarray(start, at));
    start = at + ID_BYTES;
  }
  if (start === 0) return ids;
  if (start < ids.length) runs.push(ids.subarray(start));
  return Buffer.concat(runs);
}
