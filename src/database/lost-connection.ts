import { QueryFailedError } from 'typeorm';
import { DatabaseError } from './errors.js';

/** Connection exceptions, a server that shuts down, crashed or starts, and one that has no room (PostgreSQL's appendix "Error Codes"). */
const LOST_STATE = /^(?:08|57P0[123]$|53300$)/;
/** Of the socket below it. */
const LOST_SOCKET = ['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH'];
/** What pg says in words alone (client.js, pg-pool's index.js). */
const LOST_WORDS = /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

/**
 * A statement that failed because the database could not be reached, or went away before it answered, as an error for people. Whether
 * such a statement was carried out nobody can tell.
 * @returns undefined for any other error.
 */
export function connectionLost(error: unknown): DatabaseError | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  if (!(cause instanceof Error)) return undefined;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  // Other sockets are lost, too: those codes say something of the database only where a statement failed with them.
  const ofStatement = error instanceof QueryFailedError && LOST_SOCKET.includes(code);
  if (!ofStatement && !LOST_STATE.test(code) && !LOST_WORDS.test(cause.message)) return undefined;
  return new DatabaseError('The database did not answer, or went away before it did; try again when it is there', {
    code: 'DATABASE_UNREACHABLE',
    retryable: true,
    cause: error,
  });
}
