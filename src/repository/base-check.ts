import { RepositoryError } from './errors.js';
import { ID_BYTES, PAGE_BYTES, ZERO_ID, type IndexRoot } from './format.js';
import type { Organization } from './organization.js';

const PAGES_AT_ONCE = 16;

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
  const { index, reader } = organization;
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
  const pageIds = withoutZero(base.root.pageIds);
  demand(pageIds);
  const memory = Buffer.allocUnsafeSlow(Math.min(PAGES_AT_ONCE, Math.max(1, pageIds.length / ID_BYTES)) * PAGE_BYTES);
  for (let first = 0; first < pageIds.length; first += PAGES_AT_ONCE * ID_BYTES) {
    const ids = pageIds.subarray(first, first + PAGES_AT_ONCE * ID_BYTES);
    const wanted = Array.from({ length: ids.length / ID_BYTES }, (_, i) => ({
      digest: ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES),
      targetOffset: i * PAGE_BYTES,
      plainLength: PAGE_BYTES,
      what: `a page of the index of disk "${base.diskId}"`,
    }));
    await reader.read('page', wanted, memory, signal);
    demand(withoutZero(memory.subarray(0, wanted.length * PAGE_BYTES)));
  }
}

function withoutZero(ids: Buffer): Buffer {
  const kept = Buffer.allocUnsafe(ids.length);
  let length = 0;
  for (let at = 0; at < ids.length; at += ID_BYTES) {
    if (ZERO_ID.compare(ids, at, at + ID_BYTES) !== 0) length += ids.copy(kept, length, at, at + ID_BYTES);
  }
  return kept.subarray(0, length);
}
