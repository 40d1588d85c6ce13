import { RepositoryError, isRepositoryError } from './errors.js';
import type { KeyRing, OpenedKeyFile } from './key-ring.js';

/**
 * Lets a key file of the second site follow that of the first, which must open: a damaged one would destroy the good copy. The
 * wrappings are copied as they are.
 * @param wrapping `both` keeps what the second site's file opens with and adds what the first's does, while the master key is being
 * changed; `first` makes them equal.
 * @throws RepositoryError ORGANIZATION_KEY_DAMAGED of the first site's file, WRONG_MASTER_KEY where the master key was changed since this
 * one was read, SITE_FOREIGN when the files hold different keys. Nothing is changed then.
 */
export async function followKeyFile(
  first: KeyRing,
  second: KeyRing,
  name: string,
  wrapping: 'both' | 'first',
  signal?: AbortSignal,
): Promise<void> {
  const source = await opened(first, name, signal);
  // Shredded since the listing.
  if (source === undefined) return;
  const target = await second.lookAt(name, signal);
  // Which opens it says nothing about whose it is where that is the former master key, or none: there the beginning does.
  const same = target?.keys ? target.keys.equals(source.keys) : target?.file.createdAt === source.file.createdAt;
  if (target && !same) {
    throw new RepositoryError(
      `The second site holds another key of organization ${source.file.organizationId} than the first; put back a copy of ${name} at the site where it is the wrong one, or shred the organization there`,
      { code: 'SITE_FOREIGN', subject: name },
    );
  }
  const both = target && { ...source.file, wrappedKey: target.file.wrappedKey, nextWrappedKey: source.wrapped };
  const wanted = wrapping === 'both' && both ? both : source.file;
  if (JSON.stringify(target?.file) !== JSON.stringify(wanted)) await second.replaceFile(name, wanted, signal);
}

async function opened(first: KeyRing, name: string, signal?: AbortSignal): Promise<OpenedKeyFile | undefined> {
  try {
    return await first.openFile(name, signal);
  } catch (error) {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
    throw error;
  }
}
