import { pino, type Logger } from 'pino';

export type { Logger };

/**
 * One structured log on standard output. Redaction is the second line of defence: the first is
 * that no room puts a credential, token or request body into a log call or an error.
 */
export function createLogger(level: string = process.env.LOG_LEVEL ?? 'info'): Logger {
  return pino({
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
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
  });
}

export const silentLogger: Logger = pino({ level: 'silent' });
