import { createHash } from 'node:crypto';
import { RepositoryError, isRepositoryError } from './errors.js';
import { FORMAT_VERSION } from './format.js';
import { equalBytes, masterKeyCheck } from './keys.js';
import type { BlobStore } from './types.js';

export const DESCRIPTION_NAME = 'repository.json';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** repository.json: what this is, in clear. */
export interface Description {
  format: string;
  formatVersion: number;
  repositoryId: string;
  chunkBytes: number;
  createdAt: string;
  /** Hexadecimal HMAC that only the right master key makes. */
  masterKeyCheck: string;
  /** Of the fields above: tells damage from a wrong key. Repositories of before have none. */
  checksum?: string;
}

export function encodeDescription(description: Description): Buffer {
  return Buffer.from(`${JSON.stringify({ ...description, checksum: checksum(description) }, undefined, 2)}\n`);
}

function checksum({ format, formatVersion, repositoryId, chunkBytes, createdAt, masterKeyCheck: check }: Partial<Description>): string {
  const fields = [format, formatVersion, repositoryId, chunkBytes, createdAt, check];
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex');
}

export function isMasterKeyOf(description: Description, masterKey: Buffer): boolean {
  return equalBytes(masterKeyCheck(masterKey, description.repositoryId), Buffer.from(description.masterKeyCheck, 'hex'));
}

/** @throws RepositoryError WRONG_MASTER_KEY. */
export function checkDescription(description: Description, masterKey: Buffer): void {
  if (isMasterKeyOf(description, masterKey)) return;
  throw new RepositoryError(
    `The master key is not that of repository ${description.repositoryId}; give the key it was made with, or the one it was changed to`,
    { code: 'WRONG_MASTER_KEY', subject: description.repositoryId },
  );
}

/** @throws RepositoryError REPOSITORY_NOT_FOUND, REPOSITORY_DAMAGED, FORMAT_UNSUPPORTED. */
export async function readDescription(store: BlobStore): Promise<Description> {
  let text: string;
  try {
    text = (await store.get(DESCRIPTION_NAME)).toString('utf8');
  } catch (cause) {
    if (!isRepositoryError(cause, 'BLOB_NOT_FOUND')) throw cause;
    throw new RepositoryError(`There is no repository in this place (no ${DESCRIPTION_NAME})`, { code: 'REPOSITORY_NOT_FOUND', cause });
  }
  let description: Partial<Description> | undefined;
  try {
    description = JSON.parse(text) as Partial<Description>;
  } catch {
    description = undefined;
  }
  const { format, formatVersion, repositoryId, chunkBytes, masterKeyCheck: check } = description ?? {};
  if (format !== 'vapp-vault' || typeof formatVersion !== 'number') throw damaged();
  if (formatVersion !== FORMAT_VERSION) {
    throw new RepositoryError(`The repository has format version ${formatVersion}; this release reads version ${FORMAT_VERSION}`, {
      code: 'FORMAT_UNSUPPORTED',
    });
  }
  if (typeof repositoryId !== 'string' || !UUID.test(repositoryId) || typeof chunkBytes !== 'number' || typeof check !== 'string')
    throw damaged();
  if (description?.checksum !== undefined && description.checksum !== checksum(description)) throw damaged();
  return description as Description;
}

function damaged(): RepositoryError {
  return new RepositoryError(`The description of the repository, ${DESCRIPTION_NAME}, is damaged; put back a copy of this file`, {
    code: 'REPOSITORY_DAMAGED',
    subject: DESCRIPTION_NAME,
  });
}
