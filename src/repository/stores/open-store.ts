import { readFile } from 'node:fs/promises';
import { describeError, type Logger } from '../../common/index.js';
import type { BlobStoreSettings } from '../../config/index.js';
import { RepositoryError } from '../errors.js';
import type { BlobStore } from '../types.js';
import { FolderStore } from './folder-store.js';
import { RateLimitedStore } from './rate-limited-store.js';
import { RetryingStore } from './retrying-store.js';
import { s3Credentials } from './s3-credentials.js';
import { S3Store } from './s3-store.js';

/** Longer than the restart of a server or the failover of a mount; a run that fails after it is repeated as a whole. */
const RETRIES = { attempts: 8, baseDelayMs: 250, maxDelayMs: 15_000, deadlineMs: 120_000 };

/** The store the configuration names, with retries and the limits of its line. @throws RepositoryError when it cannot be used. */
export async function openBlobStore(settings: BlobStoreSettings, log: Logger): Promise<BlobStore> {
  const store = settings.kind === 'folder' ? await FolderStore.open(settings.path) : await openS3(settings.s3, log);
  const { uploadBytesPerSecond, downloadBytesPerSecond } = settings;
  const limited =
    uploadBytesPerSecond === undefined && downloadBytesPerSecond === undefined
      ? store
      : new RateLimitedStore(store, { uploadBytesPerSecond, downloadBytesPerSecond });
  return new RetryingStore(limited, { ...RETRIES, log });
}

type S3Settings = Extract<BlobStoreSettings, { kind: 's3' }>['s3'];

async function openS3(settings: S3Settings, log: Logger): Promise<S3Store> {
  const { caFile, credentialsFile, retentionMode, ...rest } = settings;
  const caPem = caFile === undefined ? undefined : await readCaFile(caFile);
  return S3Store.open({
    ...rest,
    caPem,
    credentials: s3Credentials(credentialsFile),
    retentionMode: retentionMode === 'governance' ? 'GOVERNANCE' : 'COMPLIANCE',
    log,
  });
}

async function readCaFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new RepositoryError(`The CA file ${file} of the repository cannot be read: ${describeError(error)}`, {
      code: 'REPOSITORY_UNREACHABLE',
      subject: file,
    });
  }
}
