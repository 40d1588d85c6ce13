import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

type LogFields = Readonly<Record<string, unknown>>;

const fieldsOfWork = new AsyncLocalStorage<LogFields>();

/**
 * Every line that is written while `work` goes on has these fields, whoever writes it: what a run asks of rooms that know no runs
 * (a retry, damage, a segment read anew) is found by the run's id too.
 */
export function withLogFields<T>(fields: LogFields, work: () => T): T {
  return fieldsOfWork.run(fields, work);
}

/** For what outlives the work that begins it, such as the timer of a session that others use too: its lines are not that work's. */
export function withoutLogFields<T>(begin: () => T): T {
  return fieldsOfWork.run({}, begin);
}

/**
 * One structured log on standard output. Redaction is the second line of defence: the first is
 * that no room puts a credential, token or request body into a log call or an error.
 */
export function createLogger(level: string = process.env.LOG_LEVEL ?? 'info', destination?: DestinationStream): Logger {
  const options = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    // A copy: pino writes the fields of the line into it.
    mixin: () => ({ ...fieldsOfWork.getStore() }),
    redact: {
      paths: [
        'password',
        '*.password',
        '*.*.password',
        'authorization',
        '*.authorization',
        'req.headers.authorization',
        'req.headers.cookie',
        'res.headers["set-cookie"]',
        'token',
        '*.token',
        'cookie',
        '*.cookie',
        'secret',
        '*.secret',
      ],
      censor: '[removed]',
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

export const silentLogger: Logger = pino({ level: 'silent' });
