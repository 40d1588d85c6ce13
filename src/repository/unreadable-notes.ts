import { readCondemnedLists } from './condemned.js';
import type { Organization } from './organization.js';
import { UNKNOWN_SESSION, readSessions } from './session-record.js';

/** Damaged objects that only collectors read; nothing is lost with them. @returns names below the organization's folder. */
export async function unreadableNotes(
  { store, place: { prefix } }: Organization,
  signal?: AbortSignal,
): Promise<{ name: string; reason: string }[]> {
  const lists = (await readCondemnedLists(store, prefix, signal)).filter(({ packIds }) => packIds === undefined);
  const sessions = (await readSessions(store, prefix, signal)).filter(({ restorePointId }) => restorePointId === UNKNOWN_SESSION);
  return [
    ...lists.map(({ name }) => ({ name: name.slice(prefix.length), reason: 'it is no list of packs; the next collection removes it' })),
    ...sessions.map(({ name }) => ({
      name: name.slice(prefix.length),
      reason: 'it is no record of a session; collections wait for it until it expires',
    })),
  ];
}
