const CONNECT_TIMEOUT_MS = 15_000;
/**
 * Connections of a pool are idle for minutes, and firewalls forget those without a word: the next statement would wait a
 * quarter of an hour for TCP to give up, and one whose answer never leaves a machine that lost its power, for ever.
 */
const KEEP_ALIVE_AFTER_MS = 30_000;

/** How pg connects, whoever asks it to. @param url carries a password */
export function connectionTo(url: string) {
  return {
    // Not in parts: other parsers lose a UNIX socket's path; pg's reads the whole string.
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  };
}
