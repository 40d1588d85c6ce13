import { withoutZero } from './base-check.js';
import { readIndexRoot } from './index-root.js';
import type { Organization } from './organization.js';
import type { Manifest } from './types.js';
import { walkPages } from './walk.js';

/** Pages that need not be followed again: shared by many restore points, walked once. */
export class PageTrail {
  private readonly known = new Set<string>();
  private pending: string[] = [];

  /** @returns whether it was followed before; otherwise it counts as followed when `commit` is called. */
  passes(pageId: Buffer): boolean {
    const key = pageId.toString('latin1');
    if (this.known.has(key)) return true;
    this.pending.push(key);
    return false;
  }

  /** What was to be done about the pages is done. */
  commit(): void {
    for (const key of this.pending) this.known.add(key);
    this.pending = [];
  }

  reset(): void {
    this.pending = [];
  }
}

/**
 * The ids of everything a restore point refers to, some at a time: documents, roots, pages, chunks. Without zero ids; one may come
 * several times. Only valid until the next are asked for.
 * @throws RepositoryError INDEX_DAMAGED, INDEX_MISSING naming the disk.
 */
export async function* referencedRecords(
  organization: Organization,
  manifest: Manifest,
  trail: PageTrail,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const documents = manifest.documents.map((id) => Buffer.from(id, 'hex'));
  if (documents.length > 0) yield Buffer.concat(documents);
  for (const disk of manifest.disks) {
    yield Buffer.from(disk.indexId, 'hex');
    const { pageIds } = await readIndexRoot(organization.reader, disk.diskId, disk, signal);
    yield withoutZero(pageIds);
    const passes = (pageId: Buffer) => trail.passes(pageId);
    for await (const ids of walkPages(organization, disk.diskId, pageIds, passes, signal)) yield withoutZero(ids);
  }
}

/** The packs in which the index finds them. */
export async function packsOf(
  organization: Organization,
  manifest: Manifest,
  trail: PageTrail,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const packIds = new Set<string>();
  trail.reset();
  for await (const ids of referencedRecords(organization, manifest, trail, signal)) {
    for (const location of organization.index.locate(ids)) if (location) packIds.add(location.packId);
  }
  trail.commit();
  return packIds;
}
