import { RepositoryError, isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

interface KeyFile {
  organizationId?: unknown;
  createdAt?: unknown;
  wrappedKey?: unknown;
  nextWrappedKey?: unknown;
}

/**
 * Lets a key file of the second site follow that of the first. It is not opened: the wrappings are copied as they are.
 * @param wrapping `both` keeps what the second site's file opens with and adds what the first's does, while the master key is being
 * changed; `first` makes them equal.
 * @throws RepositoryError SITE_FOREIGN when the files hold keys of different organizations or beginnings.
 */
export async function followKeyFile(
  first: BlobStore,
  second: BlobStore,
  name: string,
  wrapping: 'both' | 'first',
  signal?: AbortSignal,
): Promise<void> {
  const bytes = await first.get(name, undefined, signal);
  const there = await second.get(name, undefined, signal).catch((error: unknown) => {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
    throw error;
  });
  const source = parse(bytes);
  // A damaged one of the first site must not become the copy, nor end the copying of the others.
  if (source === undefined || there?.equals(bytes)) return;
  const target = there && parse(there);
  if (target && (target.organizationId !== source.organizationId || target.createdAt !== source.createdAt)) {
    throw new RepositoryError(
      `The second site holds another key of organization ${String(source.organizationId)} than the first; shred the organization there, or give it a place of its own`,
      { code: 'SITE_FOREIGN', subject: name },
    );
  }
  const merged = target && wrapping === 'both' ? { ...target, nextWrappedKey: source.wrappedKey } : source;
  await second.put(name, Buffer.from(`${JSON.stringify(merged, undefined, 2)}\n`), { signal });
}

function parse(bytes: Buffer): KeyFile | undefined {
  try {
    const file = JSON.parse(bytes.toString('utf8')) as KeyFile | null;
    return typeof file?.organizationId === 'string' && typeof file.wrappedKey === 'object' ? file : undefined;
  } catch {
    return undefined;
  }
}
