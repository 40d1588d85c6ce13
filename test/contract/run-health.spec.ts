/** What is wrong with runs, for alerts and metrics. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { ended, forgetRuns, until, useJobsWorkers } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers(forgetRuns);

describe('the health of runs', () => {
  it('names objects whose last run failed until one ends well, and counts what has ended', async () => {
    let outcome: 'fails' | 'leaves out' | 'works' = 'fails';
    const worker = await start({
      backup: async () => {
        if (outcome === 'fails') throw new Error('no');
        return { readBytes: 2 ** 42, storedBytes: 512, ...(outcome === 'leaves out' && { failedVms: [{ name: 'db', reason: 'no' }] }) };
      },
    });
    const run = async () => {
      const { id } = await worker.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a', exclusiveKey: 'vapp:1' });
      await ended(worker, id);
    };
    await run();
    expect(await worker.health.failedRuns()).toMatchObject([{ objectKey: 'vapp:1', kind: 'backup', error: { code: 'INTERNAL' } }]);
    outcome = 'works';
    await run();
    expect(await worker.health.failedRuns()).toEqual([]);
    const figures = await worker.health.figures();
    expect(figures.ended).toMatchObject([
      { kind: 'backup', state: 'failed', runs: 1 },
      { kind: 'backup', state: 'succeeded', runs: 1 },
    ]);
    expect(figures.ended[1]?.buckets.at(-1)).toBe(1);
    expect(figures.totals).toEqual({ bytes_read: 2 ** 42, bytes_stored: 512 });
    expect(figures).toMatchObject({ now: [], oldestWaitSeconds: 0, openObligations: 0 });
  });

  it('names a failed backup for a week, and for as long as it takes where the next one is waited for', async () => {
    const api = await start({ worker: false });
    api.health.registerAwaited(async () =>
      ['vapp:1', 'vapp:2', 'vapp:3', 'vapp:4'].map((exclusiveKey) => ({ kind: 'backup' as const, exclusiveKey })),
    );
    api.health.registerAwaited(async () => [{ kind: 'verify', exclusiveKey: 'repository:verify' }]);
    const failed = async () => (await api.health.failedRuns()).map(({ objectKey }) => objectKey);
    const runs = (id: string, key: string, state: string, daysAgo: number, retryOf: string | null = null, kind = 'backup') =>
      api.sql(
        `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, ended_at, error, retry_of)
         VALUES ($1, $6, $3, 'vApp', 'a', '{}', $2, now() - $4 * interval '1 day', '{"code": "X"}', $5)`,
        [id, key, state, daysAgo, retryOf, kind],
      );
    await runs('a', 'vapp:1', 'failed', 30);
    await runs('b', 'vapp:1', 'cancelled', 20);
    await runs('c', 'vapp:2', 'failed', 40);
    await runs('d', 'vapp:2', 'failed', 2);
    await runs('e', 'vapp:3', 'succeeded', 50);
    await runs('f', 'vapp:3', 'failed', 60);
    await runs('g', 'vapp:9', 'failed', 6);
    await runs('h', 'vapp:10', 'failed', 8);
    await runs('k', 'vapp:4', 'failed', 8, null, 'restore');
    await runs('l', 'repository:verify', 'failed', 20, null, 'verify');
    await runs('m', 'repository:gc', 'failed', 20, null, 'gc');
    expect(await failed()).toEqual(['vapp:1', 'vapp:2', 'vapp:9', 'repository:verify']);
    await runs('i', 'vapp:1', 'warning', 0);
    await runs('j', 'another', 'succeeded', 0, 'd');
    await runs('n', 'repository:verify', 'succeeded', 0, null, 'verify');
    expect(await failed()).toEqual(['vapp:9']);
    await runs('o', 'repository:copy', 'warning', 0, null, 'copy');
    await api.sql(`UPDATE runs SET result = '{"notCopied": 0}' WHERE id = 'o'`);
    expect(await failed()).toEqual(['vapp:9']);
    await api.sql(`UPDATE runs SET result = '{"notCopied": 2}' WHERE id = 'o'`);
    expect(await api.health.failedRuns()).toMatchObject([{ objectKey: 'vapp:9' }, { objectKey: 'repository:copy', notCopied: 2 }]);
  });

  it('names degraded backups until the next one that left a restore point, however many fail', async () => {
    const api = await start({ worker: false });
    api.health.registerAwaited(async () => [{ kind: 'backup', exclusiveKey: 'vapp:3' }]);
    const degraded = async () => (await api.health.degradedRuns()).map(({ runId }) => runId);
    const run = (id: string, key: string, state: string, daysAgo: number, result: object, payload: object = {}) =>
      api.sql(
        `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, ended_at, result)
         VALUES ($1, 'backup', $3, 'vApp', 'a', $6, $2, now() - $4 * interval '1 day', $5)`,
        [id, key, state, daysAgo, result, payload],
      );
    await run('a', 'vapp:1', 'warning', 5, { consolidationFailed: ['db'] });
    await run('b', 'vapp:2', 'warning', 5, { failedVms: [] });
    await run('c', 'vapp:3', 'warning', 30, { halfWritten: ['Hard disk 1 of VM "db"'] });
    await run('d', 'vapp:4', 'warning', 30, { halfWritten: ['Hard disk 1 of VM "db"'] });
    expect(await api.health.degradedRuns()).toMatchObject([
      { runId: 'a', objectKey: 'vapp:1', consolidationFailed: ['db'], halfWritten: [] },
      { runId: 'c', objectKey: 'vapp:3', consolidationFailed: [], halfWritten: ['Hard disk 1 of VM "db"'] },
    ]);
    await run('e', 'vapp:1', 'failed', 4, {});
    await run('f', 'vapp:1', 'succeeded', 3, {}, { retries: { restorePointId: 'p', vms: [] } });
    await run('g', 'vapp:3', 'failed', 3, {});
    expect(await degraded()).toEqual(['a', 'c']);
    await run('h', 'vapp:1', 'succeeded', 2, {});
    await run('i', 'vapp:3', 'warning', 2, {});
    expect(await degraded()).toEqual([]);
  });

  it('names all there are: an object that is left out would be told to be well', async () => {
    const api = await start({ worker: false });
    const fail = (prefix: string, count: number, ago: string) =>
      api.sql(
        `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, ended_at, error)
         SELECT $1 || lpad(i::text, 6, '0'), 'backup', 'failed', 'vApp', 'a', '{}', 'vapp:' || i, now() - $3::interval, '{"code": "X"}'
         FROM generate_series(1, $2) i`,
        [prefix, count, ago],
      );
    await fail('a', 1_500, '1 day');
    await fail('b', 500, '1 minute');
    expect(new Set((await api.health.failedRuns()).map(({ objectKey }) => objectKey)).size).toBe(1_500);
    await api.sql(
      `INSERT INTO obligations (id, run_id, kind, terms, created_at, attempts)
       SELECT id, id, 'vcd.maintenance', '{}', now() - interval '2 days', 1 FROM runs WHERE id LIKE 'a%'`,
    );
    expect(await api.health.stuckDebts(3_600_000)).toHaveLength(1_500);
  });

  it('names debts that nobody could pay for long, and a queue that nobody takes from', async () => {
    const worker = await start({ worker: false });
    const { id } = await worker.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    expect(await worker.health.stalledSince(60_000)).toBeUndefined();
    await worker.sql(`UPDATE runs SET queued_at = now() - interval '2 minutes'`);
    expect(await worker.health.stalledSince(60_000)).toMatchObject({ waiting: 1 });
    await worker.sql(`UPDATE runs SET state = 'failed', ended_at = now() - interval '2 hours'`);
    await worker.sql(
      `INSERT INTO obligations (id, run_id, kind, terms, created_at, attempts, last_error) VALUES ('o', $1, 'vcd.maintenance', '{}', now() - interval '3 hours', 4, 'VCD is away')`,
      [id],
    );
    expect(await worker.health.stuckDebts(3_600_000)).toMatchObject([{ runId: id, kinds: ['vcd.maintenance'], lastError: 'VCD is away' }]);
    expect(await worker.health.stuckDebts(3 * 3_600_000)).toEqual([]);
  });

  it('names a run whose worker is gone and whom no other one takes up, and what it owes', async () => {
    const worker = await start({ worker: false });
    const { id } = await worker.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await worker.sql(
      `INSERT INTO obligations (id, run_id, kind, terms, created_at) VALUES ('o', $1, 'vcd.maintenance', '{}', now() - interval '9 hours')`,
      [id],
    );
    await worker.sql(`UPDATE runs SET queued_at = now() - interval '9 hours'`);
    const leased = (until: string) =>
      worker.sql(`UPDATE runs SET state = 'running', lease_owner = 'x', started_at = now(), lease_expires_at = now() ${until}`);
    for (const until of [`+ interval '10 seconds'`, `- interval '1 hour'`]) {
      await leased(until);
      expect(await worker.health.stalledSince(2 * 3_600_000)).toBeUndefined();
      expect(await worker.health.stuckDebts(2 * 3_600_000)).toEqual([]);
    }
    await leased(`- interval '3 hours'`);
    expect(await worker.health.stalledSince(2 * 3_600_000)).toMatchObject({ waiting: 1 });
    expect(await worker.health.stuckDebts(2 * 3_600_000)).toMatchObject([{ runId: id, kinds: ['vcd.maintenance'], lastError: null }]);
  });

  it('does not count the time a run was under way as waiting when it waits anew', async () => {
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    const waits = async (_payload: unknown, { signal }: { signal: AbortSignal }) => {
      await sleep(60_000, signal);
      return {};
    };
    const worker = await start({ backup: waits, options: { resumable: true } });
    await until(worker, id, ({ state }) => state === 'running');
    await api.sql(`UPDATE runs SET created_at = now() - interval '9 hours', queued_at = now() - interval '9 hours'`);
    await worker.close();
    expect((await api.runs.view(id)).state).toBe('queued');
    expect(await api.health.stalledSince(3_600_000)).toBeUndefined();
    expect((await api.health.figures()).oldestWaitSeconds).toBeLessThan(3_600);
  });
});
