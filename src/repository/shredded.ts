import { isRepositoryError } from './errors.js';
import { organizationFolder } from './format.js';
import { remove } from './gc-lock.js';
import type { BlobStore } from './types.js';

/**
 * `shredded/ORG.json`: the organization was shredded here, and copies elsewhere are to follow. It is put before anything is destroyed
 * and stays until the second site has followed, so that no copy brings back what was meant to be gone.
 */
export async function noteShredded(store: BlobStore, organizationId: string, signal?: AbortSignal): Promise<void> {
  const text = `${JSON.stringify({ organizationId, shreddedAt: new Date().toISOString() })}\n`;
  try {
    await store.put(nameOf(organizationId), Buffer.from(text), { ifAbsent: true, signal });
  } catch (error) {
    if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
  }
}

export async function isShredded(store: BlobStore, organizationId: string, signal?: AbortSignal): Promise<boolean> {
  return (await store.size(nameOf(organizationId), signal)) !== undefined;
}

export async function forgetShredded(store: BlobStore, organizationId: string, signal?: AbortSignal): Promise<void> {
  await remove(store, nameOf(organizationId), signal);
}

/** @returns the folders (ORG) of organizations whose copies are still to follow. */
export async function shreddedFolders(store: BlobStore, signal?: AbortSignal): Promise<string[]> {
  const folders: string[] = [];
  for await (const { name } of store.list('shredded/', signal)) folders.push(name.slice('shredded/'.length, -'.json'.length));
  return folders;
}

function nameOf(organizationId: string): string {
  return `shredded/${organizationFolder(organizationId)}.json`;
}
