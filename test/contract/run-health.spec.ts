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
