import { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { migrate, migrations } from '../../src/database/index.js';
import { RunQueue } from '../../src/jobs/run-queue.js';
import type { JobsEnvironment } from '../../src/jobs/settings.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

/** Below the idle times of the firewalls between data centers, which are minutes. */
const MOST_SILENT_MS = 60_000;

describe('a connection to the database that nobody uses', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await startTestDatabase();
  });
  afterAll(async () => {
    await database?.stop();
  });

  const ways: readonly [string, () => Promise<() => Promise<void>>][] = [
    [
      'the catalog’s',
      async () => {
        const source = await database.connect([]);
        return () => source.destroy();
      },
    ],
    [
      'the queue’s',
      async () => {
        const queue = new RunQueue({ databaseUrl: database.url, logger: silentLogger } as JobsEnvironment);
        await queue.start();
        return () => queue.stop();
      },
    ],
    [
      'of a migration, which may wait for another service’s',
      async () => {
        await migrate(database.url, migrations, silentLogger);
        return async () => undefined;
      },
    ],
  ];

  it.each(ways)('is kept alive, so that a way that was lost is noticed: %s', async (_, connect) => {
    const connected = vi.spyOn(Socket.prototype, 'connect');
    const kept = vi.spyOn(Socket.prototype, 'setKeepAlive');
    const end = await connect();
    try {
      const sockets = new Set(connected.mock.contexts);
      expect(sockets.size).toBeGreaterThan(0);
      for (const socket of sockets) expect(kept.mock.calls[kept.mock.contexts.indexOf(socket)]).toEqual([true, expect.any(Number)]);
      for (const [, delayMs] of kept.mock.calls) expect(delayMs).toSatisfy((ms: number) => ms > 0 && ms <= MOST_SILENT_MS);
    } finally {
      vi.restoreAllMocks();
      await end();
    }
  });
});
