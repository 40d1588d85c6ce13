import { randomBytes } from 'node:crypto';
import { awaitShared, describeError, newId, type Logger } from '../common/index.js';
import { CryptoLane } from './crypto-lane.js';
import { DESCRIPTION_NAME, checkDescription, encodeDescription, readDescription, type Description } from './description.js';
import { RepositoryDiskReader } from './disk-reader.js';
import { RepositoryError, invalidArgument, isRepositoryError } from './errors.js';
import { FORMAT_VERSION, organizationFolder } from './format.js';
import { remove } from './gc-lock.js';
import { collectOrganization, emptyReport, type CollectOptions, type CollectReport } from './gc.js';
import { readIndexRoot } from './index-root.js';
import { KeyRing } from './key-ring.js';
import { checkMasterKey, masterKeyCheck } from './keys.js';
import { healKeyFiles } from './heal-keys.js';
import { Healing } from './heal.js';
import { manifestName, readManifest, restorePointNotFound } from './manifest.js';
import { Organization } from './organization.js';
import { RepositoryLocks } from './repository-locks.js';
import { RollingTurn } from './rolling-turn.js';
import { SESSION_TIMES, SessionRecord, type SessionTimes } from './session-record.js';
import { RepositorySession, restorePointExists } from './session.js';
import { noteShredded } from './shredded.js';
import type {
  BackupSession,
  BlobStore,
  DiskIndexRef,
  DiskReader,
  HoldOptions,
  Manifest,
  ManifestRef,
  RepositoryApi,
  Site,
} from './types.js';
import type { TimeSource } from './vault-clock.js';
import { unreadableNotes } from './unreadable-notes.js';
import { verifyOrganization, type VerifyOptions, type VerifyReport } from './verify.js';

const DEFAULT_CHUNK_BYTES = 256 * 1024;
const DEFAULT_PACK_TARGET_BYTES = 32 * 1024 * 1024;
/** Errors of a collection that say nothing about the other organizations: what one has no room for, another may free. */
const OF_ONE_ORGANIZATION = ['GC_BLOCKED', 'GC_RUNNING', 'GC_LOCK_LOST', 'ORGANIZATION_KEY_DAMAGED', 'REPOSITORY_FULL', 'INDEX_TOO_LARGE'];

export interface RepositoryOptions {
  store: BlobStore;
  /** 32 bytes; wraps every organization's key. Lost, the repository is lost. */
  masterKey: Buffer;
  log: Logger;
  /** A pack is written when it has this many bytes; 16 to 64 MiB in real use. */
  packTargetBytes?: number;
  /** Threads for digests, compression and encryption; two by default, or one where there is one core. */
  cores?: number;
  /** What the index of one organization may take of this process's memory; 64 GiB by default. */
  indexMemoryBytes?: number;
  /** Of open sessions; every process that uses the repository needs the same `expiryMs`. */
  sessionTimes?: SessionTimes;
  /** By which locks end; a test's own. */
  time?: TimeSource;
}

export class Repository implements RepositoryApi {
  readonly repositoryId: string;
  readonly defaultChunkBytes: number;
  readonly store: BlobStore;
  private readonly sessionTimes: SessionTimes;
  private readonly packTargetBytes: number;
  readonly keys: KeyRing;
  private readonly lane: CryptoLane;
  readonly locks: RepositoryLocks;
  private readonly organizations = new Map<string, Promise<Organization | undefined>>();

  private constructor(
    private readonly options: RepositoryOptions,
    description: Description,
  ) {
    this.store = options.store;
    this.locks = new RepositoryLocks(options.store, options.time);
    this.lane = new CryptoLane(options.cores);
    this.sessionTimes = options.sessionTimes ?? SESSION_TIMES;
    this.packTargetBytes = options.packTargetBytes ?? DEFAULT_PACK_TARGET_BYTES;
    this.repositoryId = description.repositoryId;
    this.defaultChunkBytes = description.chunkBytes;
    this.keys = new KeyRing(options.store, options.masterKey, description.repositoryId);
  }

  /**
   * Makes a repository in an empty store.
   * @param options.chunkBytes grid of new disks: a power of two from 4 KiB to 4 MiB.
   * @throws RepositoryError REPOSITORY_EXISTS.
   */
  static async create(options: RepositoryOptions & { chunkBytes?: number }): Promise<Repository> {
    checkMasterKey(options.masterKey);
    const chunkBytes = options.chunkBytes ?? DEFAULT_CHUNK_BYTES;
    if (!Number.isInteger(Math.log2(chunkBytes)) || chunkBytes < 4096 || chunkBytes > 4 * 1024 * 1024) {
      throw invalidArgument(`A chunk of ${chunkBytes} bytes is not a power of two from 4 KiB to 4 MiB`);
    }
    const repositoryId = newId();
    const description: Description = {
      format: 'vapp-vault',
      formatVersion: FORMAT_VERSION,
      repositoryId,
      chunkBytes,
      createdAt: new Date().toISOString(),
      masterKeyCheck: masterKeyCheck(options.masterKey, repositoryId).toString('hex'),
    };
    try {
      await options.store.put(DESCRIPTION_NAME, encodeDescription(description), { ifAbsent: true });
    } catch (cause) {
      if (!isRepositoryError(cause, 'BLOB_EXISTS')) throw cause;
      throw new RepositoryError('There is a repository in this place already; open it, or choose an empty place', {
        code: 'REPOSITORY_EXISTS',
        cause,
      });
    }
    return new Repository(options, description);
  }

  /** @throws RepositoryError REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, FORMAT_UNSUPPORTED, WRONG_MASTER_KEY. */
  static async open(options: RepositoryOptions): Promise<Repository> {
    checkMasterKey(options.masterKey);
    const description = await readDescription(options.store);
    checkDescription(description, options.masterKey);
    return new Repository(options, description);
  }

  /** Opens what is there, or makes it: two workers that start together end with one repository. */
  static async openOrCreate(options: RepositoryOptions & { chunkBytes?: number }): Promise<Repository> {
    try {
      return await Repository.open(options);
    } catch (error) {
      if (!isRepositoryError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    }
    try {
      return await Repository.create(options);
    } catch (error) {
      if (!isRepositoryError(error, 'REPOSITORY_EXISTS')) throw error;
    }
    return Repository.open(options);
  }

  async beginSession(organizationId: string, restorePointId: string, signal?: AbortSignal): Promise<BackupSession> {
    const name = manifestName(restorePointId);
    const organization = await this.writable(organizationId, signal);
    if ((await this.store.size(organization.place.prefix + name, signal)) !== undefined) throw restorePointExists(restorePointId);
    const record = await SessionRecord.begin(this.store, organization.place.prefix, restorePointId, this.sessionTimes, signal);
    try {
      // A shredding that destroys the key after this look finds the record, and removes it.
      if (!(await this.isKeyOf(organization, signal))) throw keyReplaced(organizationId);
      await record.confirm(await organization.index.refresh(signal), signal);
      organization.index.assertRoomFor(1);
    } catch (error) {
      await record.end();
      throw error;
    }
    const locks = await this.locks.of(organization, signal);
    return new RepositorySession(organization, restorePointId, this.packTargetBytes, this.options.log, record, locks, signal);
  }

  async *listManifests(signal?: AbortSignal, onDamaged?: (error: RepositoryError) => void): AsyncGenerator<ManifestRef> {
    for await (const organizationId of this.keys.organizationIds(signal, onDamaged)) {
      const prefix = `${(await this.existing({ organizationId }, signal)).place.prefix}manifests/`;
      for await (const { name } of this.store.list(prefix, signal)) yield { organizationId, restorePointId: name.slice(prefix.length) };
    }
  }

  async readManifest(ref: ManifestRef, signal?: AbortSignal): Promise<Manifest> {
    const organization = await this.existing(ref, signal);
    try {
      return await readManifest(organization, ref, signal);
    } catch (error) {
      if (!isRepositoryError(error, 'MANIFEST_DAMAGED') || (await this.isKeyOf(organization, signal))) throw error;
      this.organizations.delete(ref.organizationId);
      return readManifest(await this.existing(ref, signal), ref, signal);
    }
  }

  async readDocument(ref: ManifestRef, documentId: string, signal?: AbortSignal): Promise<Buffer> {
    const organization = await this.existing(ref, signal);
    if (!/^[0-9a-f]{64}$/.test(documentId)) throw invalidArgument(`"${documentId}" is not the id of a document`);
    const what = `document ${documentId} of restore point ${ref.restorePointId}`;
    return organization.reader.readOne('document', Buffer.from(documentId, 'hex'), what, signal);
  }

  async openDisk(ref: ManifestRef, disk: { diskId: string } & DiskIndexRef, signal?: AbortSignal): Promise<DiskReader> {
    const organization = await this.existing(ref, signal);
    return new RepositoryDiskReader(organization.reader, disk.diskId, await readIndexRoot(organization.reader, disk.diskId, disk, signal));
  }

  async assertDeletable(ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    await this.locks.assertUnlocked(await this.existing(ref, signal), ref, signal);
  }

  async deleteManifest(ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    const organization = await this.existing(ref, signal);
    await this.locks.assertUnlocked(organization, ref, signal);
    try {
      await this.store.delete(organization.place.prefix + manifestName(ref.restorePointId), signal);
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) throw restorePointNotFound(ref, error);
      throw error;
    }
  }

  at(site: Site): RepositoryApi {
    if (site === 'first') return this;
    throw new RepositoryError('The repository has no second site; name one in the settings', { code: 'SITE_NOT_CONFIGURED' });
  }

  get enforcesRetention(): boolean {
    return this.store.enforcesRetention;
  }

  async lockRestorePoint(ref: ManifestRef, until: Date, signal?: AbortSignal): Promise<Date> {
    return this.locks.lock(await this.existing(ref, signal), ref, until, signal);
  }

  async lockedUntil(ref: ManifestRef, signal?: AbortSignal): Promise<Date | undefined> {
    const locks = await this.locks.of(await this.existing(ref, signal), signal);
    return (await locks.find(ref.restorePointId, signal)).until;
  }

  async setLegalHold(ref: ManifestRef, held: boolean, signal?: AbortSignal): Promise<void> {
    const locks = await this.locks.of(await this.existing(ref, signal), signal);
    await locks.setHold(ref.restorePointId, held, signal);
  }

  async heldRestorePoints(organizationId: string, signal?: AbortSignal): Promise<string[]> {
    const locks = await this.locks.of(await this.existing({ organizationId }, signal), signal);
    return [...(await locks.all(signal))].flatMap(([restorePointId, { held }]) => (held ? [restorePointId] : []));
  }

  async holdRestorePoint(ref: ManifestRef, options: HoldOptions = {}): Promise<number> {
    return this.enforcesRetention ? this.locks.hold(await this.existing(ref, options.signal), ref, options) : 0;
  }

  async holdLocked(options: HoldOptions = {}): Promise<{ restorePoints: number; objects: number }> {
    if (!this.enforcesRetention) return { restorePoints: 0, objects: 0 };
    return this.locks.holdAll(this.freshOrganizations(options.signal), options);
  }

  async collectGarbage(options: CollectOptions = {}): Promise<CollectReport> {
    const report = emptyReport();
    const { packTargetBytes, sessionTimes } = this;
    // One organization's damage, or size, must not fill the disk with what the others have deleted.
    const failures: unknown[] = [];
    for await (const organizationId of this.keys.organizationIds(options.signal, (error) => failures.push(error))) {
      if (options.organizationId !== undefined && options.organizationId !== organizationId) continue;
      try {
        const organization = await this.fresh(organizationId, options.signal);
        if (!organization) continue;
        const locks = await this.locks.of(organization, options.signal);
        const parts = { organization, packTargetBytes, sessionExpiryMs: sessionTimes.expiryMs, log: this.options.log, locks };
        await collectOrganization(parts, options, report);
      } catch (error) {
        if (!isRepositoryError(error, ...OF_ONE_ORGANIZATION)) throw error;
        // Its lock went with all that it has: shredded meanwhile.
        if (error.code === 'GC_LOCK_LOST' && !(await this.keys.find(organizationId, options.signal))) continue;
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return report;
  }

  /** @param other the same repository at another site, from which what is lost here is healed. */
  async verify(options: VerifyOptions, other?: Repository): Promise<VerifyReport> {
    const report: VerifyReport = { restorePoints: 0, packs: 0, records: 0, bytesRead: 0, findings: [], healed: [] };
    const turn = options.mode === 'rolling' ? await RollingTurn.plan(this.store, options.rolling ?? {}, options.signal) : undefined;
    const reachable = other && (await this.healKeys(other, report, options.signal)) ? other : undefined;
    const damagedKey = ({ message: reason, subject: name }: RepositoryError) =>
      report.findings.push({ organizationId: '', kind: 'object', ...(name !== undefined && { name }), reason });
    for await (const organizationId of this.keys.organizationIds(options.signal, damagedKey)) {
      if (options.organizationId !== undefined && options.organizationId !== organizationId) continue;
      const organization = await this.fresh(organizationId, options.signal);
      if (!organization) continue;
      const healing = reachable && (await this.healing(organization, reachable, options.signal));
      try {
        await verifyOrganization(organization, options, report, healing, turn);
      } finally {
        await healing?.end();
      }
      for (const { name, reason } of await unreadableNotes(organization, options.signal))
        report.findings.push({ organizationId, kind: 'object', name, reason });
    }
    if (options.organizationId === undefined) {
      for (const folder of await this.keys.foldersWithoutKey(options.signal)) {
        const reason = `nothing in it can be read without its key, keys/${folder}.json; put back a copy, or shred the organization`;
        report.findings.push({ organizationId: '', kind: 'object', name: `orgs/${folder}`, reason });
      }
    }
    await turn?.end();
    return report;
  }

  /**
   * Makes everything of an organization unreadable at once and for ever, here and in every copy whose key file is
   * destroyed as well; its objects are deleted afterwards. Safe to repeat.
   */
  async shredOrganization(organizationId: string, signal?: AbortSignal): Promise<void> {
    await this.locks.assertAllUnlocked(organizationId, signal);
    await noteShredded(this.store, organizationId, signal);
    await this.keys.destroy(organizationId, signal);
    this.organizations.delete(organizationId);
    const prefix = `orgs/${organizationFolder(organizationId)}/`;
    for await (const { name } of this.store.list(prefix, signal)) await remove(this.store, name, signal);
    this.options.log.warn({ organizationId }, 'Organization shredded: its key and its objects are deleted');
  }

  async check(signal?: AbortSignal): Promise<void> {
    const name = `probe/${newId()}`;
    const probe = randomBytes(4096);
    await this.store.put(name, probe, { signal });
    const same = probe.equals(await this.store.get(name, undefined, signal));
    await this.store.delete(name, signal);
    if (!same) throw new RepositoryError('The repository store gave back other bytes than were written', { code: 'REPOSITORY_DAMAGED' });
  }

  async usage(signal?: AbortSignal): Promise<{ packBytes: number; freeBytes: number | undefined }> {
    let packBytes = 0;
    for await (const { name, sizeBytes } of this.store.list('orgs/', signal)) if (name.split('/')[2] === 'packs') packBytes += sizeBytes;
    return { packBytes, freeBytes: await this.store.freeBytes(signal) };
  }

  /** @returns whether the rest can be healed as well: damage here is found, whatever is wrong at the other site. */
  private async healKeys(other: Repository, report: VerifyReport, signal?: AbortSignal): Promise<boolean> {
    try {
      for await (const healed of healKeyFiles(this, other, signal)) report.healed.push(healed);
      return true;
    } catch (error) {
      if (signal?.aborted || !(error instanceof RepositoryError)) throw error;
      this.options.log.warn(
        { reason: describeError(error) },
        'Nothing can be healed from the other site now: damage is found all the same',
      );
      return false;
    }
  }

  private async healing(organization: Organization, other: Repository, signal?: AbortSignal): Promise<Healing | undefined> {
    const elsewhere = await other.fresh(organization.place.organizationId, signal).catch((error: unknown) => {
      if (error instanceof RepositoryError) return undefined;
      throw error;
    });
    if (!elsewhere) return undefined;
    const { packTargetBytes, sessionTimes } = this;
    const locks = await this.locks.of(organization, signal);
    return new Healing({ organization, other: elsewhere, locks, packTargetBytes, sessionTimes, log: this.options.log });
  }

  /** What cannot be opened is passed over: verification names it. */
  private async *freshOrganizations(signal?: AbortSignal): AsyncGenerator<Organization> {
    for await (const organizationId of this.keys.organizationIds(signal, () => undefined)) {
      const organization = await this.fresh(organizationId, signal);
      if (organization) yield organization;
    }
  }

  private async existing({ organizationId }: Pick<ManifestRef, 'organizationId'>, signal?: AbortSignal): Promise<Organization> {
    const organization = await this.organization(organizationId, false, signal);
    if (organization) return organization;
    throw new RepositoryError(`The repository has no key of organization ${organizationId}, so nothing of it can be read`, {
      code: 'ORGANIZATION_KEY_MISSING',
      subject: organizationId,
    });
  }

  /** With the key that is there now: another process may have shredded the organization since, and a third made it anew. */
  private async writable(organizationId: string, signal?: AbortSignal): Promise<Organization> {
    const known = (await this.organization(organizationId, true, signal)) as Organization;
    if (await this.isKeyOf(known, signal)) return known;
    this.organizations.delete(organizationId);
    return (await this.organization(organizationId, true, signal)) as Organization;
  }

  private async isKeyOf({ place }: Organization, signal?: AbortSignal): Promise<boolean> {
    const keys = await this.keys.find(place.organizationId, signal);
    return keys?.equals(place.keys) === true;
  }

  /** One object an organization and process, so that its index is loaded once. */
  private async organization(organizationId: string, make: boolean, signal?: AbortSignal): Promise<Organization | undefined> {
    const known = this.organizations.get(organizationId) ?? this.load(organizationId, make);
    const found = await awaitShared(known, signal);
    return found ?? (make ? awaitShared(this.load(organizationId, true), signal) : undefined);
  }

  /** With an index that nobody else's past has shaped. */
  async fresh(organizationId: string, signal?: AbortSignal): Promise<Organization | undefined> {
    const keys = await this.keys.find(organizationId, signal);
    return keys && new Organization(organizationId, keys, this.store, this.lane, this.options.log, this.options.indexMemoryBytes);
  }

  /** Without a caller's signal: others may wait for the same. */
  private load(organizationId: string, make: boolean): Promise<Organization | undefined> {
    if (organizationId === '') return Promise.reject(invalidArgument('An organization id must not be empty'));
    const loading = (async () => {
      const keys = make ? await this.keys.findOrMake(organizationId) : await this.keys.find(organizationId);
      return keys && new Organization(organizationId, keys, this.store, this.lane, this.options.log, this.options.indexMemoryBytes);
    })();
    this.organizations.set(organizationId, loading);
    const forget = () => {
      if (this.organizations.get(organizationId) === loading) this.organizations.delete(organizationId);
    };
    loading.then((found) => found ?? forget(), forget);
    return loading;
  }
}

function keyReplaced(organizationId: string): RepositoryError {
  return new RepositoryError(`Organization ${organizationId} was shredded at this moment; start the backup again if it is still wanted`, {
    code: 'ORGANIZATION_KEY_MISSING',
    retryable: true,
    subject: organizationId,
  });
}
