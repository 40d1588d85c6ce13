import type { Logger } from '../common/index.js';
import { isRepositoryError } from './errors.js';
import { remove } from './gc-lock.js';
import type { Organization } from './organization.js';
import type { BlobStore } from './types.js';

const RECORD_NOTE = /^([0-9a-f]{64})-([0-9a-f-]{36})$/;
const PACK_NOTE = /^([0-9a-f-]{36})-(\d{1,10})$/;

/** A record that is damaged in a pack, or a pack of which only the first `goodBytes` are there. */
export type DamageNote = { packId: string; digest: Buffer } | { packId: string; goodBytes: number };

/**
 * What `bad/` says of an organization's packs, and what this process has found out itself: no later backup relies on it, so that the
 * next one that meets a lost chunk stores it again. Who puts a pack back whole deletes the notes about it, and then they hold nowhere any more.
 */
export class DamageNotes {
  private readonly keys = new Set<string>();
  /** Of the keys, what was seen in the store. */
  private readonly stored = new Set<string>();
  private readonly goodBytes = new Map<string, number>();

  constructor(
    private readonly folder: string,
    private readonly store: BlobStore,
    private readonly log: Logger,
    /** Told of each note once, when it becomes known. */
    private readonly onNote: (note: DamageNote) => void,
  ) {}

  get isEmpty(): boolean {
    return this.keys.size === 0;
  }

  has(digest: Buffer, packId: string): boolean {
    return this.keys.has(recordKey(digest, packId));
  }

  /** What lies past it in the pack is lost. */
  goodBytesOf(packId: string): number {
    return this.goodBytes.get(packId) ?? Number.POSITIVE_INFINITY;
  }

  /** Never throws, nor does the other: the reader has its own error to report, and a repository that is read-only must still be readable. */
  async addRecord(digest: Buffer, packId: string): Promise<void> {
    await this.add(recordKey(digest, packId));
  }

  async addPack(packId: string, goodBytes: number): Promise<void> {
    await this.add(`${packId}-${goodBytes}`);
  }

  /** Takes in what others have noted, and what they have deleted. @returns whether there was something that no longer holds. */
  async refresh(signal?: AbortSignal): Promise<boolean> {
    // Of before the listing: what is noted while it goes on may not be in it.
    const before = [...this.stored];
    const listed = new Set<string>();
    for await (const { name } of this.store.list(this.folder, signal)) listed.add(name.slice(this.folder.length));
    const gone = before.filter((key) => !listed.has(key));
    for (const key of gone) this.forget((RECORD_NOTE.exec(key)?.[2] ?? PACK_NOTE.exec(key)?.[1]) as string);
    for (const key of listed) {
      this.take(key);
      this.stored.add(key);
    }
    return gone.length > 0;
  }

  /** All that is known of a pack, here only. @returns whether there was anything. */
  forget(packId: string): boolean {
    let known = this.goodBytes.delete(packId);
    for (const key of this.keys) {
      if (!key.includes(packId)) continue;
      this.stored.delete(key);
      known = this.keys.delete(key);
    }
    return known;
  }

  private async add(key: string): Promise<void> {
    if (!this.take(key)) return;
    const text = Buffer.from(`${JSON.stringify({ foundAt: new Date().toISOString() })}\n`);
    try {
      await this.store.put(this.folder + key, text, { ifAbsent: true });
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_EXISTS')) {
        this.log.warn({ key, err: error }, 'Damage could not be noted in the repository');
        return;
      }
    }
    this.stored.add(key);
  }

  /** @returns false when it was known, or is none of ours. */
  private take(key: string): boolean {
    if (this.keys.has(key)) return false;
    const [, id, ofRecord] = RECORD_NOTE.exec(key) ?? [];
    const [, ofPack, end] = PACK_NOTE.exec(key) ?? [];
    if (id === undefined && ofPack === undefined) return false;
    this.keys.add(key);
    if (id !== undefined && ofRecord !== undefined) this.onNote({ packId: ofRecord, digest: Buffer.from(id, 'hex') });
    if (ofPack === undefined) return true;
    const goodBytes = Math.min(Number(end), this.goodBytesOf(ofPack));
    this.goodBytes.set(ofPack, goodBytes);
    this.onNote({ packId: ofPack, goodBytes });
    return true;
  }
}

/** After a pack was put back whole: what `bad/` says of it no longer holds, for anybody. */
export async function removeNotes({ store, place, index }: Organization, packId: string, signal?: AbortSignal): Promise<void> {
  if (!index.forgetNotes(packId)) return;
  for await (const { name } of store.list(`${place.prefix}bad/`, signal)) if (name.includes(packId)) await remove(store, name, signal);
}

function recordKey(digest: Buffer, packId: string): string {
  return `${digest.toString('hex')}-${packId}`;
}
