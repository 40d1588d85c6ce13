import {
  DeleteObjectCommand,
  type DeleteObjectCommandOutput,
  GetBucketVersioningCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { describeError, type Logger, newId, throwIfAborted } from '../../common/index.js';
import { RepositoryError, isRepositoryError } from '../errors.js';
import type { BlobEntry, BlobRange, BlobStore, PutOptions } from '../types.js';
import { checkBlobName, checkPrefix, checkRange, isBlobName, retentionUnsupported, truncated } from './blob-names.js';
import { readBody, S3Connection, type S3ConnectionOptions, sha256Of, signedBy } from './s3-connection.js';
import { abortLeftovers, cutIntoParts, type MultipartTarget, putInParts } from './s3-multipart.js';

export interface S3StoreOptions extends S3ConnectionOptions {
  /** Before every name, with or without its last slash. */
  prefix?: string | undefined;
  /** Larger objects go in parts of this size; 5 MiB at least. */
  partBytes?: number;
  /** Who may lift a lock early: nobody (COMPLIANCE), or whom the server lets (GOVERNANCE). */
  retentionMode?: 'GOVERNANCE' | 'COMPLIANCE';
  log: Logger;
}

const DEFAULT_PART_BYTES = 16 * 1024 * 1024;
/** By which the server's clock may differ from ours without refusing our signatures. */
const LARGEST_SKEW_MS = 15 * 60_000;

/** Objects in a bucket of Amazon S3 or of a server that speaks its protocol. Durable when the server has answered. */
export class S3Store implements BlobStore {
  readonly kind = 's3';
  private conditionalPuts: Promise<boolean> | undefined;

  private constructor(
    private readonly options: S3StoreOptions,
    private readonly connection: S3Connection,
    private readonly prefix: string,
    private readonly versioned: boolean,
    readonly enforcesRetention: boolean,
  ) {}

  /**
   * Looks at the bucket, which must exist, and takes back uploads that dead processes left. Writes nothing.
   * @throws RepositoryError when the bucket is not there, or not for these credentials.
   */
  static async open(options: S3StoreOptions, signal?: AbortSignal): Promise<S3Store> {
    const connection = new S3Connection(options);
    const prefix = options.prefix ? `${options.prefix.replace(/^\/+|\/+$/g, '')}/` : '';
    try {
      await connection.askForBucket('opened', signal);
      const versioned = await hasVersions(connection, signal);
      const locks = versioned && (await hasObjectLock(connection, options.log, signal));
      const leftovers = await abortLeftovers(connection, prefix, signal).catch((error: unknown) => {
        throwIfAborted(signal);
        options.log.warn({ reason: describeError(error) }, 'Unfinished uploads in the bucket could not be looked for');
        return 0;
      });
      if (leftovers > 0) options.log.info({ leftovers }, 'Unfinished uploads of dead processes were taken back');
      return new S3Store(options, connection, prefix, versioned, locks);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    checkBlobName(name);
    throwIfAborted(options.signal);
    if (options.retainUntil !== undefined && !this.enforcesRetention) throw retentionUnsupported(name);
    const conditional = options.ifAbsent === true && (await this.supportsConditions(options.signal));
    // Spares the upload of what is there already; and where the server knows no conditions, it is all the protection there is.
    if (options.ifAbsent && (await this.size(name, options.signal)) !== undefined) throw exists(name);
    const target: MultipartTarget = {
      key: this.prefix + name,
      condition: conditional ? { IfNoneMatch: '*' } : {},
      lock: options.retainUntil ? { ObjectLockMode: this.retentionMode, ObjectLockRetainUntilDate: options.retainUntil } : {},
    };
    const parts = cutIntoParts(Buffer.isBuffer(data) ? [data] : data, this.options.partBytes ?? DEFAULT_PART_BYTES);
    const asked = { verb: 'written', name, signal: options.signal };
    if (parts.length > 1) await putInParts(this.connection, target, parts, asked);
    else await this.putWhole(target, parts[0] ?? Buffer.alloc(0), asked);
  }

  async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    checkBlobName(name);
    checkRange(name, range);
    // HTTP has no range of nothing.
    if (range?.length === 0) return this.emptyRange(name, signal);
    return this.connection.ask({ verb: 'read', name, signal }, async (client, abortSignal) => {
      const what = { Bucket: this.connection.bucket, Key: this.prefix + name };
      const part = range ? { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : ({ ChecksumMode: 'ENABLED' } as const);
      const answer = await client.send(new GetObjectCommand({ ...what, ...part }), { abortSignal });
      const body = answer.Body as AsyncIterable<Uint8Array> & { destroy?: () => void };
      try {
        return await readBody(body, announcedLength(answer, name, range), name, abortSignal);
      } catch (error) {
        body.destroy?.();
        throw error;
      }
    });
  }

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    checkBlobName(name);
    const found = await this.head(name, signal);
    if (found && found.ContentLength === undefined) throw unannounced(name);
    return found?.ContentLength;
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    checkPrefix(prefix);
    let ContinuationToken: string | undefined;
    do {
      const question = { Bucket: this.connection.bucket, Prefix: this.prefix + prefix, ContinuationToken };
      const page = await this.connection.ask({ verb: 'listed', signal }, (client, abortSignal) =>
        client.send(new ListObjectsV2Command(question), { abortSignal }),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = Key?.slice(this.prefix.length) ?? '';
        if (isBlobName(name)) yield { name, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkBlobName(name);
    // S3 calls the deletion of nothing a success.
    const found = await this.head(name, signal);
    if (!found) throw notFound(name);
    const lockedUntil = found.ObjectLockRetainUntilDate;
    if (lockedUntil && lockedUntil.getTime() > Date.now()) throw locked(name, lockedUntil);
    if (!this.versioned) {
      const { DeleteMarker } = await this.deleteVersion(name, undefined, signal);
      // Versions came after this store was opened, or it may not ask for them: what was to be deleted is still there, under a marker.
      if (DeleteMarker !== true) return;
    }
    for (const versionId of await this.versionsOf(name, signal)) await this.deleteVersion(name, versionId, signal);
  }

  async retain(name: string, until: Date, signal?: AbortSignal): Promise<void> {
    checkBlobName(name);
    if (!this.enforcesRetention) throw retentionUnsupported(name);
    const found = await this.head(name, signal);
    if (!found) throw notFound(name);
    // Shortening is refused by the server in one mode, and done in the other: we never ask for it.
    if (found.ObjectLockRetainUntilDate && found.ObjectLockRetainUntilDate >= until) return;
    await this.connection.ask({ verb: 'locked', name, signal }, (client, abortSignal) =>
      client.send(
        new PutObjectRetentionCommand({
          Bucket: this.connection.bucket,
          Key: this.prefix + name,
          VersionId: found.VersionId,
          Retention: { Mode: this.retentionMode, RetainUntilDate: until },
        }),
        { abortSignal },
      ),
    );
  }

  /** A bucket has no size. */
  async freeBytes(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  private get retentionMode(): 'GOVERNANCE' | 'COMPLIANCE' {
    return this.options.retentionMode ?? 'COMPLIANCE';
  }

  private async putWhole(target: MultipartTarget, body: Buffer, asked: { verb: string; name: string; signal: AbortSignal | undefined }) {
    const digest = sha256Of(body);
    const command = new PutObjectCommand({
      Bucket: this.connection.bucket,
      Key: target.key,
      Body: body,
      ContentLength: body.length,
      ContentType: 'application/octet-stream',
      ChecksumSHA256: digest.toString('base64'),
      ...target.condition,
      ...target.lock,
    });
    await this.connection.ask(asked, (client, abortSignal) => client.send(signedBy(command, digest), { abortSignal }));
  }

  private async head(name: string, signal?: AbortSignal): Promise<HeadObjectCommandOutput | undefined> {
    const question = { Bucket: this.connection.bucket, Key: this.prefix + name };
    try {
      return await this.connection.ask({ verb: 'read', name, signal }, (client, abortSignal) =>
        client.send(new HeadObjectCommand(question), { abortSignal }),
      );
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
    }
    // The object is absent - or the bucket is, or the key is not known, which only an answer with a body tells.
    await this.connection.askForBucket('read', signal);
    return undefined;
  }

  private async deleteVersion(name: string, VersionId: string | undefined, signal?: AbortSignal): Promise<DeleteObjectCommandOutput> {
    const version = { Bucket: this.connection.bucket, Key: this.prefix + name, VersionId };
    try {
      return await this.connection.ask({ verb: 'deleted', name, signal }, (client, abortSignal) =>
        client.send(new DeleteObjectCommand(version), { abortSignal }),
      );
    } catch (error) {
      if (!isRepositoryError(error, 'REPOSITORY_DENIED', 'REPOSITORY_REFUSED') || !this.enforcesRetention) throw error;
      // Of an older version that is held, and of one that its owner holds by hand, a server says no more than that.
      const { ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus: hold } = await this.connection
        .ask({ verb: 'read', name, signal }, (client, abortSignal) => client.send(new HeadObjectCommand(version), { abortSignal }))
        .catch(() => ({ ObjectLockRetainUntilDate: undefined, ObjectLockLegalHoldStatus: undefined }));
      if (hold === 'ON' || (until && until.getTime() > Date.now() - LARGEST_SKEW_MS)) throw locked(name, hold === 'ON' ? undefined : until);
      throw error;
    }
  }

  private async emptyRange(name: string, signal?: AbortSignal): Promise<Buffer> {
    if ((await this.size(name, signal)) === undefined) throw notFound(name);
    return Buffer.alloc(0);
  }

  /** Oldest first, so that a version that is held stops the deletion before anything has changed. */
  private async versionsOf(name: string, signal?: AbortSignal): Promise<string[]> {
    const key = this.prefix + name;
    const found: { id: string; at: number }[] = [];
    let marker: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (;;) {
      const page = await this.connection.ask({ verb: 'deleted', name, signal }, (client, abortSignal) =>
        client.send(new ListObjectVersionsCommand({ Bucket: this.connection.bucket, Prefix: key, ...marker }), { abortSignal }),
      );
      const entries = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
      for (const { Key, VersionId, LastModified } of entries) {
        if (Key === key && VersionId !== undefined) found.push({ id: VersionId, at: LastModified?.getTime() ?? 0 });
      }
      // Names that begin with this one come after it.
      if (!page.IsTruncated || page.NextKeyMarker !== key) break;
      marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
    return found.sort((a, b) => a.at - b.at).map(({ id }) => id);
  }

  /** Asked once, of the server itself: older ones ignore the condition without a word. */
  private supportsConditions(signal?: AbortSignal): Promise<boolean> {
    this.conditionalPuts ??= this.probeConditions(signal).catch((error: unknown) => {
      this.conditionalPuts = undefined;
      throw error;
    });
    return this.conditionalPuts;
  }

  private async probeConditions(signal?: AbortSignal): Promise<boolean> {
    const name = `probe/${newId()}`;
    const target = { key: this.prefix + name, condition: { IfNoneMatch: '*' }, lock: {} };
    const asked = { verb: 'written', name, signal };
    await this.putWhole(target, Buffer.alloc(0), asked);
    const refused = await this.putWhole(target, Buffer.alloc(0), asked).then(
      () => false,
      (error: unknown) => {
        if (isRepositoryError(error, 'BLOB_EXISTS')) return true;
        throw error;
      },
    );
    // A bucket with a default retention keeps the probe; it is empty.
    await this.delete(name, signal).catch(() => undefined);
    if (!refused) {
      this.options.log.warn(
        { endpoint: this.connection.endpoint },
        'The S3 server ignores If-None-Match: let only one process write to this repository, or use a server that has it',
      );
    }
    return refused;
  }
}

async function hasVersions(connection: S3Connection, signal?: AbortSignal): Promise<boolean> {
  try {
    const { Status } = await connection.ask({ verb: 'opened', signal }, (client, abortSignal) =>
      client.send(new GetBucketVersioningCommand({ Bucket: connection.bucket }), { abortSignal }),
    );
    // A suspended one still has old versions, which deletion must reach.
    return Status === 'Enabled' || Status === 'Suspended';
  } catch (error) {
    if (unanswered(error)) return false;
    throw error;
  }
}

async function hasObjectLock(connection: S3Connection, log: Logger, signal?: AbortSignal): Promise<boolean> {
  try {
    const { ObjectLockConfiguration } = await connection.ask({ verb: 'opened', signal }, (client, abortSignal) =>
      client.send(new GetObjectLockConfigurationCommand({ Bucket: connection.bucket }), { abortSignal }),
    );
    if (ObjectLockConfiguration?.Rule?.DefaultRetention) {
      const { bucket, endpoint } = connection;
      log.warn(
        { bucket, endpoint },
        'The bucket has a default retention, so that collections cannot end while it holds their notes: take it off',
      );
    }
    return ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
  } catch (error) {
    if (unanswered(error)) return false;
    throw error;
  }
}

/** Servers without the feature answer 404, 405 or 501; a policy may forbid the question. Neither says that the bucket cannot be used. */
function unanswered(error: unknown): boolean {
  if (!(error instanceof RepositoryError)) return false;
  const { httpStatus } = error.details;
  return httpStatus === 403 || httpStatus === 404 || httpStatus === 405 || httpStatus === 400 || httpStatus === 501;
}

function exists(name: string): RepositoryError {
  return new RepositoryError(`${name} could not be written: it exists already`, { code: 'BLOB_EXISTS', subject: name });
}

function notFound(name: string): RepositoryError {
  return new RepositoryError(`${name} does not exist`, { code: 'BLOB_NOT_FOUND', subject: name });
}

/** @param until undefined for a legal hold. */
function locked(name: string, until: Date | undefined): RepositoryError {
  const how = until === undefined ? 'a legal hold of the bucket until that is lifted' : `object lock until ${until.toISOString()}`;
  return new RepositoryError(`${name} is held by ${how} and cannot be deleted before`, { code: 'BLOB_LOCKED', subject: name });
}

/**
 * How many bytes the answer to a get will bring.
 * @throws RepositoryError BLOB_TRUNCATED when the object ends inside the range; REPOSITORY_REFUSED when the server, or a proxy before it, does
 * not answer as S3 does: nothing follows from that for the object.
 */
function announcedLength({ ContentLength, ContentRange }: GetObjectCommandOutput, name: string, range: BlobRange | undefined): number {
  if (ContentLength === undefined) throw unannounced(name);
  if (range === undefined) return ContentLength;
  if (ContentRange === undefined && !(range.offset === 0 && ContentLength === range.length)) {
    throw new RepositoryError(
      `A part of ${name} could not be read: the server sends the whole of it; look for a proxy that knows no ranges`,
      {
        code: 'REPOSITORY_REFUSED',
        subject: name,
      },
    );
  }
  if (ContentLength !== range.length) throw truncated(name, range, range.offset + Math.min(ContentLength, range.length));
  return ContentLength;
}

function unannounced(name: string): RepositoryError {
  return new RepositoryError(
    `${name} could not be read: the server does not say how long it is; look for a proxy that changes its answers`,
    {
      code: 'REPOSITORY_REFUSED',
      subject: name,
    },
  );
}
