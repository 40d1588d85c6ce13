import { RepositoryError, invalidArgument } from './errors.js';
import { decodeIndexRoot, type IndexRoot } from './format.js';
import type { RecordReader } from './record-reader.js';
import type { DiskIndexRef } from './types.js';

/** @throws RepositoryError INDEX_MISSING or INDEX_DAMAGED naming the disk; INVALID_ARGUMENT when ref and root disagree. */
export async function readIndexRoot(reader: RecordReader, diskId: string, ref: DiskIndexRef, signal?: AbortSignal): Promise<IndexRoot> {
  if (!/^[0-9a-f]{64}$/.test(ref.indexId)) throw invalidArgument(`"${ref.indexId}" is not the id of a disk index`);
  const what = `the index of disk "${diskId}"`;
  const bytes = await reader.readOne('root', Buffer.from(ref.indexId, 'hex'), what, signal);
  let root: IndexRoot;
  try {
    root = decodeIndexRoot(bytes);
  } catch (cause) {
    throw new RepositoryError(`The repository holds ${what} damaged: ${(cause as Error).message}`, {
      code: 'INDEX_DAMAGED',
      subject: what,
      cause,
    });
  }
  if (root.capacityBytes !== ref.capacityBytes || root.chunkBytes !== ref.chunkBytes) {
    throw invalidArgument(`The index of disk "${diskId}" is that of a disk of ${root.capacityBytes} bytes in chunks of ${root.chunkBytes}`);
  }
  return root;
}
