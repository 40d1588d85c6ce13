import { remove } from './gc-lock.js';
import type { Organization } from './organization.js';

/** After a pack was put back whole: what `bad/` says of it no longer holds, for anybody. */
export async function removeNotes({ store, place, index }: Organization, packId: string, signal?: AbortSignal): Promise<void> {
  if (!index.forgetNotes(packId)) return;
  for await (const { name } of store.list(`${place.prefix}bad/`, signal)) if (name.includes(packId)) await remove(store, name, signal);
}
