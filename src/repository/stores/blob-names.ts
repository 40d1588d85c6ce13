import { RepositoryError, invalidArgument } from '../errors.js';
import type { BlobRange } from '../types.js';

const PART = '[a-z0-9_-][a-z0-9._-]*';
const NAME = new RegExp(`^${PART}(/${PART})*$`);
const PREFIX = new RegExp(`^(${PART}/)*(${PART})?$`);
/** A key of S3 has 1,024 bytes at most, a part of a path 255 and a path 4,096; the rest is for the prefix or the root. */
const LONGEST_NAME = 512;
const LONGEST_PART = 255;

/** What else lies in a folder or bucket (`lost+found`, a person's README) is not ours to list. */
export function isBlobName(name: string): boolean {
  return name.length <= LONGEST_NAME && NAME.test(name) && name.split('/').every((part) => part.length <= LONGEST_PART);
}

/** @throws RepositoryError BLOB_NAME_INVALID. */
export function checkBlobName(name: string): void {
  if (!isBlobName(name)) throw invalidName(name);
}

/** What a name may begin with; '' is every name. */
export function checkPrefix(prefix: string): void {
  if (prefix.length > LONGEST_NAME || !PREFIX.test(prefix)) throw invalidName(prefix);
}

export function checkRange(name: string, range: BlobRange | undefined): void {
  if (range === undefined) return;
  const { offset, length } = range;
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) return;
  throw invalidArgument(`${length} bytes at ${offset} of ${name} are not a range`);
}

export function truncated(name: string, wanted: BlobRange, endsAt: number): RepositoryError {
  return new RepositoryError(`${name} ends at byte ${endsAt}, before the ${wanted.length} bytes at ${wanted.offset} that were wanted`, {
    code: 'BLOB_TRUNCATED',
    subject: name,
  });
}

export function retentionUnsupported(name: string): RepositoryError {
  return new RepositoryError(`${name} cannot be held until a date: this store has no object lock; use a bucket that was made with it`, {
    code: 'RETENTION_UNSUPPORTED',
    subject: name,
  });
}

function invalidName(name: string): RepositoryError {
  return new RepositoryError(`"${name}" is not a valid object name`, { code: 'BLOB_NAME_INVALID', subject: name });
}
