import type PgBoss from 'pg-boss';
import { expect, it, vi } from 'vitest';
import { silentLogger } from '../common/index.js';
import { RunQueue } from './run-queue.js';
import type { JobsEnvironment } from './settings.js';

function queueThatMeets(error: Error) {
  const queue = new RunQueue({ databaseUrl: 'postgres://nowhere', logger: silentLogger } as JobsEnvironment);
  const { boss } = queue as unknown as { boss: PgBoss };
  boss.start = vi.fn().mockResolvedValue(boss);
  const make = vi.fn().mockRejectedValueOnce(error).mockResolvedValue(undefined);
  boss.createQueue = make;
  return { queue, make };
}

it('starts although PostgreSQL ended one of several services that made the queue at one moment', async () => {
  const { queue, make } = queueThatMeets(Object.assign(new Error('deadlock detected'), { code: '40P01' }));
  await queue.start();
  expect(make).toHaveBeenCalledTimes(2);
});

it('does not start where it may not make the queue', async () => {
  const { queue, make } = queueThatMeets(Object.assign(new Error('permission denied'), { code: '42501' }));
  await expect(queue.start()).rejects.toThrow('permission denied');
  expect(make).toHaveBeenCalledTimes(1);
});
