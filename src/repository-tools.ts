/** What the tools for a repository (extract.ts, keys.ts) have in common: where it is, in a folder or a bucket, and its key. */
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describeError, silentLogger } from './common/index.js';
import { openMasterKey } from './config/index.js';
import { type BlobStore, openBlobStore, recoverMasterKey } from './repository/index.js';

/** Wrongly called: whoever did is shown how. */
export class UsageError extends Error {}

/** What is said of a failure. */
export function explain(error: unknown, tool: string, usage: string): string {
  const misused = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  return `${tool}: ${describeError(error)}${misused ? `\n${usage}` : ''}`;
}

const string = { type: 'string' } as const;

/** For parseArgs. */
export const PLACE_OPTIONS = {
  repository: string,
  's3-endpoint': string,
  's3-region': string,
  's3-ca-file': string,
  's3-credentials-file': string,
  's3-virtual-host': { type: 'boolean' },
} as const;

export const PLACE_USAGE = `WHERE is one of
  --repository FOLDER
  --repository s3://BUCKET/PREFIX [--s3-endpoint URL] [--s3-region NAME] [--s3-ca-file FILE] [--s3-credentials-file FILE]
             [--s3-virtual-host]     as in the settings of the service; without a credentials file from the
                                     environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)
Either site of a repository with two will do.`;

export interface Place {
  repository?: string;
  's3-endpoint'?: string;
  's3-region'?: string;
  's3-ca-file'?: string;
  's3-credentials-file'?: string;
  's3-virtual-host'?: boolean;
}

/** Opening a folder would make it: a typing error must not. To be closed. */
export async function openExisting(place: Place): Promise<BlobStore> {
  const { repository } = place;
  if (repository === undefined) throw new UsageError('--repository is needed');
  const rates = { uploadBytesPerSecond: undefined, downloadBytesPerSecond: undefined };
  if (!repository.startsWith('s3://')) {
    await access(join(repository, 'repository.json')).catch(() => {
      throw new Error(`There is no repository in ${repository} (no repository.json)`);
    });
    return openBlobStore({ kind: 'folder', path: resolve(repository), ...rates }, silentLogger);
  }
  const store = await openBlobStore({ kind: 's3', s3: bucketOf(repository, place), ...rates }, silentLogger);
  if ((await store.size('repository.json')) !== undefined) return store;
  await store.close();
  throw new Error(`There is no repository in ${repository} (no repository.json)`);
}

function bucketOf(repository: string, place: Place) {
  const [, bucket, prefix] = /^s3:\/\/([^/]+)(?:\/(.+?))?\/?$/.exec(repository) ?? [];
  if (bucket === undefined) throw new UsageError(`"${repository}" is not s3://BUCKET or s3://BUCKET/PREFIX`);
  const caFile = place['s3-ca-file'];
  const credentialsFile = place['s3-credentials-file'];
  return {
    endpoint: place['s3-endpoint'],
    bucket,
    prefix,
    region: place['s3-region'] ?? 'us-east-1',
    pathStyle: place['s3-virtual-host'] !== true,
    caFile: caFile === undefined ? undefined : resolve(caFile),
    credentialsFile: credentialsFile === undefined ? undefined : resolve(credentialsFile),
    requestTimeoutMs: 120_000,
    partBytes: 16 * 1024 * 1024,
    retentionMode: 'compliance' as const,
  };
}

/** One source of a key, by the names of its options. */
export interface KeySource {
  file?: string | undefined;
  command?: string | undefined;
  recoveryKeyFile?: string | undefined;
}

/** @param options the names a person may use, for the sentence when not exactly one was. */
export async function readMasterKey(store: BlobStore, source: KeySource, options: string): Promise<Buffer> {
  const { file, command, recoveryKeyFile } = source;
  if ([file, command, recoveryKeyFile].filter((value) => value !== undefined).length !== 1)
    throw new UsageError(`exactly one of ${options} is needed`);
  if (recoveryKeyFile !== undefined) return recoverMasterKey(store, await readFile(recoveryKeyFile, 'utf8'));
  return openMasterKey({ path: file ?? '', makeIfMissing: false, command });
}
