import pg from 'pg';

const CONNECT_TIMEOUT_MS = 15_000;
/**
 * Connections of a pool are idle for minutes, and firewalls forget those without a word: the next statement would wait a
 * quarter of an hour for TCP to give up, and one whose answer never leaves a machine that lost its power, for ever.
 */
const KEEP_ALIVE_AFTER_MS = 30_000;

/**
 * What a service asks is answered within milliseconds, or seconds while it waits for a lock. A server that hangs, or a way that forgot
 * the connection while a statement was under way, never answers it: keep-alive sees nothing of the one, and of the other nothing
 * before TCP has tried again for a quarter of an hour.
 */
const ANSWER_WITHIN_MS = 120_000;

/**
 * How the connections of a pool connect, whoever makes it. One that leaves a statement without an answer is cut, so that the
 * statement fails as `connectionLost` and its pool opens another. pg's own `query_timeout` fails the statement alone and gives the
 * connection back to the pool, where the next statement waits behind the first (client.js, query).
 * @param url carries a password
 */
export function connectionTo(url: string, answerWithinMs = ANSWER_WITHIN_MS) {
  return { ...plainConnectionTo(url), Client: AnsweringClient, answerWithinMs };
}

/** For statements that may take as long as they like, as migrations do. @param url carries a password */
export function plainConnectionTo(url: string) {
  return {
    // Not in parts: other parsers lose a UNIX socket's path; pg's reads the whole string.
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  };
}

/** pg-pool makes its connections of the `Client` among its options, and gives it all of them. */
class AnsweringClient extends pg.Client {
  private readonly answerWithinMs: number;
  /** Runs while a statement is without its answer. */
  private silence: NodeJS.Timeout | undefined;

  constructor(options: pg.ClientConfig & { answerWithinMs: number }) {
    super(options);
    this.answerWithinMs = options.answerWithinMs;
    const over = () => this.listen(undefined);
    this.on('drain', over);
    this.on('end', over);
    // Of statements that wait behind one another, each has its own time.
    this.connection.on('readyForQuery', () => {
      if (this.silence !== undefined) this.listen(this.answerWithinMs);
    });
  }

  /** @returns what pg's own does, in all of its forms: `never` is what fits them all. */
  override query(...statement: unknown[]): never {
    // Not anew with each: signs of life would keep a dead connection for ever.
    if (this.silence === undefined) this.listen(this.answerWithinMs);
    return super.query(...(statement as [string])) as never;
  }

  /** What waits holds its socket, and that the process; a statement that was refused holds nothing. */
  private listen(forMs: number | undefined): void {
    clearTimeout(this.silence);
    this.silence = forMs === undefined ? undefined : setTimeout(() => this.giveUp(), forMs).unref();
  }

  private giveUp(): void {
    this.silence = undefined;
    this.connection.stream.destroy(new Error(`Connection terminated: no answer within ${this.answerWithinMs / 1_000} s`));
  }
}
