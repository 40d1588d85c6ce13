/** Which runs are forgotten, and which stay. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { RunHistory } from '../../src/jobs/run-history.js';
import { forgetRuns, type JobsWorker, useJobsWorkers } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers(forgetRuns);
const DAY_MS = 24 * 60 * 60_000;
const settings = { rememberMs: 400 * DAY_MS };

interface Past {
  id: string;
  state?: string;
  key?: string;
  daysAgo?: number;
  endedDaysAgo?: number | null;
  retryOf?: string;
  result?: Record<string, unknown>;
}

async function add(api: JobsWorker, runs: readonly Past[]): Promise<void> {
  for (const { id, state = 'succeeded', key = null, daysAgo = 401, endedDaysAgo = daysAgo, retryOf = null, result = null } of runs) {
    await api.sql(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, created_at, ended_at, retry_of, result)
       VALUES ($1, 'backup', $2, 'x', 'o', '{}', $3, now() - $4 * interval '1 day', now() - $5 * interval '1 day', $6, $7)`,
      [id, state, key, daysAgo, endedDaysAgo, retryOf, result],
    );
  }
}

const owe = (api: JobsWorker, runId: string, settled: boolean, lookAgain = false) =>
  api.sql(
    `INSERT INTO obligations (id, run_id, kind, terms, settled_at, look_again_at)
     VALUES ($1, $1, 'thing', '{}', CASE WHEN $2 THEN now() END, CASE WHEN $3 THEN now() + interval '1 hour' END)`,
    [runId, settled, lookAgain],
  );

const left = async (api: JobsWorker) => (await api.sql<{ id: string }>('SELECT id FROM runs ORDER BY id')).map(({ id }) => id);

async function walk(api: JobsWorker): Promise<number> {
  const history = api.module.get(RunHistory);
  for (let batches = 1; batches < 20; batches += 1) if (await history.forgetSome()) return batches;
  throw new Error('The walk does not end');
}

describe('a run that ended long ago', () => {
  it('is forgotten with its debts once all are paid', async () => {
    const api = await start({ worker: false, settings });
    await add(api, [
      { id: 'a paid' },
      { id: 'b owes', state: 'failed' },
      { id: 'c is looked at again', state: 'cancelled' },
      { id: 'd without debts', state: 'failed' },
      { id: 'e lasted till lately', endedDaysAgo: 399 },
      { id: 'f waits', state: 'queued', endedDaysAgo: null },
      { id: 'g', daysAgo: 399 },
    ]);
    await owe(api, 'a paid', true);
    await owe(api, 'b owes', false);
    await owe(api, 'c is looked at again', true, true);
    expect(await walk(api)).toBe(1);
    expect(await left(api)).toEqual(['b owes', 'c is looked at again', 'e lasted till lately', 'f waits', 'g']);
    expect(await api.sql('SELECT id FROM obligations ORDER BY id')).toEqual([{ id: 'b owes' }, { id: 'c is looked at again' }]);
  });

  it('stays while something else names it', async () => {
    const api = await start({ worker: false, settings });
    await add(api, [
      { id: 'a' },
      { id: 'b' },
      { id: 'c' },
      { id: 'd retry of a', retryOf: 'a', daysAgo: 10 },
      { id: 'e' },
      { id: 'f retry of e', retryOf: 'e' },
    ]);
    api.runs.registerReferences(async (ids) => ids.filter((id) => id === 'b'));
    await walk(api);
    expect(await left(api)).toEqual(['a', 'b', 'd retry of a', 'e']);
    await walk(api);
    expect(await left(api)).toEqual(['a', 'b', 'd retry of a']);
  });

  it('stays where it is the last word about an object with which something is wrong', async () => {
    const api = await start({ worker: false, settings });
    const partial = { state: 'warning', result: { failedVms: [{ name: 'db' }] } };
    await add(api, [
      { id: 'a', key: 'vapp:well', daysAgo: 403 },
      { id: 'b', key: 'vapp:failing', daysAgo: 403 },
      { id: 'c', key: 'vapp:failing', state: 'failed', daysAgo: 402 },
      { id: 'd', key: 'vapp:failing', state: 'cancelled' },
      { id: 'e', key: 'vapp:partial', ...partial },
      { id: 'f', key: 'vapp:mended', ...partial, daysAgo: 403 },
      { id: 'g', key: 'vapp:mended', daysAgo: 402 },
      { id: 'h', key: 'vapp:mended' },
    ]);
    // The restore point of a partial one may be kept for years: nothing that answers it goes before it.
    let named = ['f'];
    api.runs.registerReferences(async () => named);
    await walk(api);
    expect(await left(api)).toEqual(['c', 'e', 'f', 'h']);
    named = [];
    await walk(api);
    expect(await left(api)).toEqual(['c', 'e', 'h']);
    await walk(api);
    expect(await left(api)).toEqual(['c', 'e']);
  });

  it('goes some at a time, by the sweep of a worker, however many stay', async () => {
    const api = await start({ worker: false, settings });
    await api.sql(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, created_at, ended_at)
       SELECT lpad(i::text, 5, '0'), 'backup', CASE WHEN i <= 700 THEN 'failed' ELSE 'succeeded' END, 'x', 'o', '{}', 'vapp:' || i,
         now() - interval '500 days', now() - interval '500 days' FROM generate_series(1, 1300) i`,
    );
    const history = api.module.get(RunHistory);
    const looks: [boolean, number][] = [];
    for (let look = 0; look < 3; look += 1) looks.push([await history.forgetSome(), (await left(api)).length]);
    expect(looks).toEqual([
      [false, 1300],
      [false, 1000],
      [true, 700],
    ]);
    await api.sql(`UPDATE runs SET state = 'succeeded'`);
    await start({ settings });
    for (let waits = 0; waits < 600 && (await left(api)).length > 0; waits += 1) await sleep(50);
    expect(await left(api)).toEqual([]);
  });
});
