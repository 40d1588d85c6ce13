import { once } from 'node:events';
import { type AddressInfo, connect as connectTo, createServer, Socket } from 'node:net';
import PgBoss from 'pg-boss';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLogger, withTimeout } from '../../src/common/index.js';
import { connectionLost, connectionTo, dataSourceOptions, migrate, migrations } from '../../src/database/index.js';
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

/** As a failover, or a firewall that forgot: what is open stays open and says nothing any more; what is opened anew is answered. */
async function doorThatFallsSilent(databaseUrl: string) {
  const url = new URL(databaseUrl);
  const path = `${url.searchParams.get('host')}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connectTo(path);
    client.pipe(behind).pipe(client);
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.searchParams.delete('host');
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    fallSilent() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a database that does not answer any more', () => {
  const ANSWER_WITHIN_MS = 400;
  const PATIENCE_MS = 5_000;
  let database: TestDatabase;
  let door: Awaited<ReturnType<typeof doorThatFallsSilent>>;
  let source: DataSource;
  beforeAll(async () => {
    database = await startTestDatabase();
    door = await doorThatFallsSilent(database.url);
    source = await new DataSource(dataSourceOptions({ url: door.url, poolSize: 1, answerWithinMs: ANSWER_WITHIN_MS })).initialize();
  });
  afterAll(async () => {
    await source?.destroy();
    await door?.close();
    await database?.stop();
  });

  const answered = (statement: Promise<unknown>) => withTimeout('The statement', PATIENCE_MS, undefined, () => statement);

  it('is given up, as a database that went away, and asked anew over another connection', async () => {
    await source.query('SELECT 1');
    door.fallSilent();
    const error: unknown = await answered(source.query('SELECT 2')).catch((thrown: unknown) => thrown);
    expect(connectionLost(error)).toMatchObject({ code: 'DATABASE_UNREACHABLE', retryable: true });
    // Of a pool of one: the silent connection is not in it any more.
    await expect(answered(source.query('SELECT 3 AS three'))).resolves.toEqual([{ three: 3 }]);
  });

  it('is given up in the middle of a transaction, of which nothing is done', async () => {
    await source.query('CREATE TABLE of_a_transaction (number int)');
    const transaction = source.transaction(async (manager) => {
      await manager.query('INSERT INTO of_a_transaction VALUES (1)');
      door.fallSilent();
      await manager.query('INSERT INTO of_a_transaction VALUES (2)');
    });
    await expect(answered(transaction)).rejects.toSatisfy((error) => connectionLost(error) !== undefined);
    await expect(answered(source.query('SELECT * FROM of_a_transaction'))).resolves.toEqual([]);
  });

  it('is given up however often it is asked meanwhile', async () => {
    const runner = source.createQueryRunner();
    await runner.query('SELECT 1');
    door.fallSilent();
    const asked = setInterval(() => runner.query('SELECT 2').catch(() => undefined), ANSWER_WITHIN_MS / 4);
    try {
      await expect(answered(runner.query('SELECT 3'))).rejects.toSatisfy((error) => connectionLost(error) !== undefined);
    } finally {
      clearInterval(asked);
      await runner.release();
    }
  });

  it('is not given up for a statement that is answered in time, nor for many that are answered one by one', async () => {
    const runner = source.createQueryRunner();
    try {
      const slow = Array.from({ length: 5 }, () => runner.query(`SELECT pg_sleep(${ANSWER_WITHIN_MS / 2_000})`));
      await expect(answered(Promise.all(slow))).resolves.toHaveLength(5);
      // Idle for longer than a statement may take.
      await new Promise((resolve) => setTimeout(resolve, ANSWER_WITHIN_MS * 2));
      await expect(answered(runner.query('SELECT 4 AS four'))).resolves.toEqual([{ four: 4 }]);
    } finally {
      await runner.release();
    }
  });

  it('is given up by the queue, too', async () => {
    const boss = new PgBoss({ ...connectionTo(door.url, ANSWER_WITHIN_MS), max: 1, schedule: false, supervise: false });
    boss.on('error', () => undefined);
    await boss.start();
    try {
      await boss.createQueue('doors');
      door.fallSilent();
      await expect(answered(boss.getQueueSize('doors'))).rejects.toSatisfy((error) => connectionLost(error) !== undefined);
      await expect(answered(boss.getQueueSize('doors'))).resolves.toBe(0);
    } finally {
      await boss.stop({ graceful: false, close: true });
    }
  });
});
