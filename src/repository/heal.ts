import { describeError, newId, type Logger } from '../common/index.js';
import { RepositoryError } from './errors.js';
import type { RecordKind } from './format.js';
import { manifestName } from './manifest.js';
import type { Organization } from './organization.js';
import { removeNotes } from './damage-notes.js';
import type { RestorePointLocks } from './restore-point-locks.js';
import { openBlob } from './sealed-blob.js';
import { SessionRecord, type SessionTimes } from './session-record.js';
import { RepositorySession } from './session.js';
import { soundPack } from './sound-pack.js';

export interface HealingParts {
  /** Where something is lost. Its index is the one that was asked. */
  organization: Organization;
  /** Where it may still be. */
  other: Organization;
  locks: RestorePointLocks;
  packTargetBytes: number;
  sessionTimes: SessionTimes;
  log: Logger;
}

/**
 * Stores anew what one site lost and the other one has: read and authenticated there, sealed into new packs here, under the record of
 * an open session, so that no collector takes them for garbage.
 */
export class Healing {
  private session: RepositorySession | undefined;
  /** By kind and id, so that a record which many restore points share is fetched once. */
  private readonly tried = new Map<string, Promise<boolean>>();
  private otherFresh: Promise<unknown> | undefined;
  /** What is here does not take it: no room, read-only. What is lost is then found and not healed, until a later verification. */
  private refused = false;

  constructor(private readonly parts: HealingParts) {}

  /** @returns whether the other site had it; it is durable after `flush`, if that says so. */
  async record(kind: RecordKind, id: Buffer, signal?: AbortSignal): Promise<boolean> {
    if (this.refused) return false;
    const key = `${kind} ${id.toString('hex')}`;
    const known = this.tried.get(key);
    if (known) return known;
    const trying = this.store(kind, Buffer.from(id), signal);
    this.tried.set(key, trying);
    return trying;
  }

  /**
   * Puts back a whole pack that is lost or damaged, where the other site has it under the same name; notes about it go.
   * @param name below the organization's folder; what is no pack is not healed here: segments are made anew by the collector.
   */
  async pack(name: string, signal?: AbortSignal): Promise<boolean> {
    const { organization, other } = this.parts;
    const { place, store, index } = organization;
    if (this.refused) return false;
    const packId = /^packs\/[0-9a-f]{2}\/([0-9a-f-]{36})$/.exec(name)?.[1];
    if (packId === undefined) return false;
    const found = await this.fetched(name, async () => {
      const bytes = await other.store.get(place.prefix + name, undefined, signal);
      return { bytes, entries: Buffer.from(await soundPack(packId, bytes, place.keys)) };
    });
    if (!found) return false;
    return this.written(name, signal, async () => {
      await store.put(place.prefix + name, found.bytes, { signal });
      await removeNotes(organization, packId, signal);
      index.insert(packId, found.entries);
    });
  }

  /** Puts the other site's manifest over a damaged one. @returns whether that was sound. */
  async manifest(restorePointId: string, signal?: AbortSignal): Promise<boolean> {
    if (this.refused) return false;
    const { organization, other } = this.parts;
    const { place } = organization;
    const name = manifestName(restorePointId);
    const what = `manifest of restore point ${restorePointId}`;
    const bytes = await this.fetched(what, async () => {
      const blob = await other.store.get(place.prefix + name, undefined, signal);
      await openBlob(organization.lane, place.keys, { organizationId: place.organizationId, name, kind: 'manifest' }, blob);
      return blob;
    });
    if (bytes === undefined) return false;
    return this.written(what, signal, () => organization.store.put(place.prefix + name, bytes, { signal }));
  }

  /** @returns whether the records healed since the last time are durable and in the index; if not, they are still lost. */
  async flush(signal?: AbortSignal): Promise<boolean> {
    if (this.refused) return false;
    return this.written('records', signal, async () => this.session?.flush(signal));
  }

  /** Never throws. */
  async end(): Promise<void> {
    await this.session?.abandon();
  }

  private async store(kind: RecordKind, id: Buffer, signal?: AbortSignal): Promise<boolean> {
    const { other } = this.parts;
    const what = `record ${id.toString('hex')}`;
    const plaintext = await this.fetched(what, async () => {
      this.otherFresh ??= other.index.refresh(signal);
      await this.otherFresh;
      return other.reader.readOne(kind, id, what, signal);
    });
    if (plaintext === undefined) return false;
    return this.written(what, signal, async () => {
      const session = await this.begin(signal);
      if (kind === 'data') await session.storeChunks(plaintext, [{ offset: 0, length: plaintext.length, digest: id }], signal);
      else await session.storeMetadata(kind, plaintext, signal);
    });
  }

  /** Verification is there to name what is lost, and goes on to do so where that cannot be stored anew. */
  private async written(what: string, signal: AbortSignal | undefined, write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (signal?.aborted || !(error instanceof RepositoryError)) throw error;
      this.refused = true;
      const { organizationId } = this.parts.organization.place;
      this.parts.log.warn(
        { organizationId, what, reason: describeError(error) },
        'What is lost cannot be stored anew here, and is not healed now',
      );
      return false;
    }
  }

  /** Damage there, or no way to get there, only means that nothing is healed from it now. */
  private async fetched<T>(what: string, fetch: () => Promise<T>): Promise<T | undefined> {
    try {
      return await fetch();
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      if (!(error instanceof RepositoryError)) throw error;
      const lost = /_(DAMAGED|MISSING|TRUNCATED|NOT_FOUND)$/.test(error.code);
      if (!lost) this.parts.log.warn({ what, reason: describeError(error) }, 'The other site could not be asked for what is lost here');
      return undefined;
    }
  }

  private async begin(signal?: AbortSignal): Promise<RepositorySession> {
    if (this.session) return this.session;
    const { organization, locks, packTargetBytes, sessionTimes, log } = this.parts;
    const id = `healing-${newId()}`;
    const record = await SessionRecord.begin(organization.store, organization.place.prefix, id, sessionTimes, signal);
    try {
      await record.confirm(await organization.index.refresh(signal), signal);
    } catch (error) {
      await record.end();
      throw error;
    }
    this.session = new RepositorySession(organization, id, packTargetBytes, log, record, locks, signal);
    return this.session;
  }
}
