import { RepositoryError } from '../errors.js';

/** What was to be done, and to what: the object of that name, or the folder itself. */
interface Attempt {
  root: string;
  /** A past participle: "could not be written". */
  verb: string;
  name: string | undefined;
}

/** The file system says nothing; what leaves the store is a RepositoryError. */
export class UnansweredCall extends Error {
  /** @param begun false where it was not even asked. */
  constructor(
    message: string,
    readonly begun: boolean,
  ) {
    super(message);
  }
}

/** What an error of the file system means for the repository; any other error as it is. */
export function folderError(error: unknown, { root, verb, name }: Attempt): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const isAnswer = typeof code === 'string' && !(error instanceof RepositoryError) && /^E[A-Z0-9]+$/.test(code);
  if (!isAnswer && !(error instanceof UnansweredCall)) return error as Error;
  const subject = name ?? root;
  const what = name === undefined ? `The repository folder ${root}` : `${name} in the repository folder ${root}`;
  const make = (errorCode: string, reason: string, retryable: boolean) =>
    new RepositoryError(`${what} could not be ${verb}: ${reason}`, { code: errorCode, retryable, subject, cause: error });
  if (error instanceof UnansweredCall) {
    return make('REPOSITORY_TIMEOUT', `${message}; check its disk, or the server it is mounted from`, true);
  }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return make('REPOSITORY_FULL', 'there is no space left; free some or add storage', false);
    case 'EROFS':
      return make('REPOSITORY_READ_ONLY', 'the file system is mounted read-only', false);
    case 'EACCES':
    case 'EPERM':
      return make('REPOSITORY_DENIED', 'this user may not; check owner and mode of the folder', false);
    case 'EEXIST':
      return make('BLOB_EXISTS', 'it exists already', false);
    case 'ENOENT':
    case 'ENOTDIR':
      return name !== undefined && verb !== 'written'
        ? make('BLOB_NOT_FOUND', 'it does not exist', false)
        : make('REPOSITORY_UNREACHABLE', 'the folder does not exist; check that it is mounted', true);
    default:
      return make('REPOSITORY_UNREACHABLE', `the file system answered ${message}`, true);
  }
}
