import { newId } from '../common/index.js';
import { isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Packs that a collector found dead: no session that begins from now on relies on them, and a later run deletes those still dead. */
export interface CondemnedList {
  /** The whole object name. */
  name: string;
  modifiedAt: Date;
  /** Undefined when the list cannot be read: then nothing may be concluded from it. */
  packIds: readonly string[] | undefined;
}

export async function readCondemnedLists(store: BlobStore, prefix: string, signal?: AbortSignal): Promise<CondemnedList[]> {
  const lists: CondemnedList[] = [];
  for await (const { name, modifiedAt } of store.list(`${prefix}condemned/`, signal)) {
    try {
      lists.push({ name, modifiedAt, packIds: parseCondemnedList(name, await store.get(name, undefined, signal)) });
    } catch (error) {
      // Dealt with since the listing.
      if (!isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
    }
  }
  return lists;
}

export async function writeCondemnedList(
  store: BlobStore,
  prefix: string,
  packIds: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const id = newId();
  const text = `${JSON.stringify({ id, packs: packIds })}\n`;
  await store.put(`${prefix}condemned/${id}`, Buffer.from(text), { ifAbsent: true, signal });
}

/** @param name of the object: under another name it says nothing, because sessions know lists by their names. */
export function parseCondemnedList(name: string, bytes: Buffer): readonly string[] | undefined {
  try {
    const { id, packs } = JSON.parse(bytes.toString('utf8')) as { id?: unknown; packs?: unknown };
    if (id !== undefined && !(typeof id === 'string' && name.endsWith(`/${id}`))) return undefined;
    return Array.isArray(packs) && packs.every((id) => typeof id === 'string' && UUID.test(id)) ? (packs as string[]) : undefined;
  } catch {
    return undefined;
  }
}
