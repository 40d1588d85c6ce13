import { tmpdir } from 'node:os';

/** sockaddr_un's sun_path holds 107 bytes and a NUL (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
const REST = '/vapp-vault-pg-XXXXXX/.s.PGSQL.5432';

/** Where socket folders are made: the temporary folder, or /tmp when the path would not fit a socket address. */
export function socketParent(temporaryDir: string = tmpdir()): string {
  return Buffer.byteLength(temporaryDir + REST) <= MAX_SOCKET_PATH_BYTES ? temporaryDir : '/tmp';
}
