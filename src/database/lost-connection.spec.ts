import { QueryFailedError } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { connectionLost } from './lost-connection.js';

function failed(message: string, code?: string): QueryFailedError {
  return new QueryFailedError('SELECT 1', [], Object.assign(new Error(message), code === undefined ? {} : { code }));
}

describe('a lost connection', () => {
  it.each([
    ['a server that was shut down', failed('terminating connection due to administrator command', '57P01')],
    ['one that starts', Object.assign(new Error('the database system is starting up'), { code: '57P03' })],
    ['too many connections', failed('sorry, too many clients already', '53300')],
    ['a connection cut in the middle', failed('Connection terminated unexpectedly')],
    ['a socket that was reset', failed('read ECONNRESET', 'ECONNRESET')],
    ['nobody who answers', new Error('timeout exceeded when trying to connect')],
  ])('is %s', (_, error) => {
    expect(connectionLost(error)).toMatchObject({ code: 'DATABASE_UNREACHABLE', retryable: true, cause: error });
  });

  it.each([
    ['a rule of the schema', failed('duplicate key value', '23505')],
    ['a statement that is wrong', failed('syntax error', '42601')],
    ['the socket of something else', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
    ['what is no error', 'Connection terminated'],
  ])('is not %s', (_, error) => {
    expect(connectionLost(error)).toBeUndefined();
  });
});
