/** A dump that is put back brings runs and debts of its own time: what they made may have become somebody's since. */
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { newId, sleep } from '../../src/common/index.js';
import { ended, type JobsWorker, type JobsWorkerParts, until, useJobsWorkers } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers(async (database) => {
  const source = await database.connect([]);
  await source.query('TRUNCATE runs, run_turns, run_totals, service_totals, database_identity CASCADE');
  await source.query('DELETE FROM pgboss.job');
});

/** Paid and carried out, in words. */
function parts(did: string[]): JobsWorkerParts {
  return {
    backup: async (_payload, { runId }) => ({ number: did.push(`backup ${runId}`) }),
    restore: async (_payload, { runId }) => ({ number: did.push(`restore ${runId}`) }),
    restoreOptions: { resumable: true, writesWhatIsUsed: true },
    payers: {
      vapp: async ({ name }) => void did.push(`deleted ${name}`),
      replace: async ({ name }) => void did.push(`replaced ${name}`),
      mode: async ({ name }) => void did.push(`left the mode of ${name}`),
    },
    payerOptions: {
      vapp: { mayBeInUse: ({ name }: { name: string }) => `vApp "${name}"` },
      replace: { mayBeInUse: ({ name }: { name: string }) => `the new "${name}"` },
    },
  };
}

/** What a dump had caught: a restore and a backup that wait, a restore in the middle, one that has just committed, one that had failed. */
async function asDumped(api: JobsWorker) {
  const make = async (kind: 'backup' | 'restore', name: string) =>
    (await api.runs.create(kind, `vApp "${name}"`, {}, { organizationId: 'a', exclusiveKey: `vapp:${name}` })).id;
  const owe = (runId: string, kind: string, name: string) =>
    api.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, $3, $4)`, [newId(), runId, kind, { name }]);
  const underWay = `state = 'running', attempt = 1, lease_owner = id, lease_expires_at = now(), started_at = now(), warnings = '["before"]',
    steps = '[{"name":"copying","state":"running","startedAt":"2026-01-01T00:00:00.000Z","endedAt":null,"error":null,"attempt":1}]'`;
  const runs = {
    waits: await make('restore', 'waits'),
    backup: await make('backup', 'backup'),
    lost: await make('restore', 'lost'),
    committed: await make('restore', 'committed'),
    failed: await make('restore', 'failed'),
  };
  await api.sql(`UPDATE runs SET ${underWay} WHERE id = $1`, [runs.lost]);
  await owe(runs.lost, 'mode', 'lost');
  await owe(runs.lost, 'vapp', 'lost');
  await api.sql(`UPDATE runs SET ${underWay}, result = '{"vappId": "7"}' WHERE id = $1`, [runs.committed]);
  await owe(runs.committed, 'replace', 'committed');
  await api.sql(`UPDATE runs SET state = 'failed', started_at = now(), ended_at = now() WHERE id = $1`, [runs.failed]);
  await owe(runs.failed, 'vapp', 'failed');
  await owe(runs.failed, 'vapp', 'not seen');
  await api.sql(`UPDATE obligations SET settled_at = now(), look_again_at = now() WHERE terms->>'name' = 'not seen'`);
  return runs;
}

const ofAnother = (api: JobsWorker) => api.sql(`UPDATE database_identity SET identity = '1-1'`);

/** No debt is open any more, nor looked at once more. */
async function nothingOwed(worker: JobsWorker): Promise<void> {
  const owed = `SELECT kind FROM obligations WHERE settled_at IS NULL OR look_again_at <= now()`;
  for (const deadline = performance.now() + 10_000; (await worker.sql(owed)).length > 0; await sleep(20)) {
    if (performance.now() > deadline) throw new Error(`Still owed: ${JSON.stringify(await worker.sql(owed))}`);
  }
}

const restoresEnded = async (worker: JobsWorker) =>
  Object.fromEntries(
    (await worker.health.figures()).ended.filter(({ kind }) => kind === 'restore').map(({ state, runs }) => [state, runs] as const),
  );

describe('a database that was put back from a dump', () => {
  it('has its restores ended and what they made left alone; what is harmless is paid, and backups are carried out', async () => {
    const did: string[] = [];
    const api = await start({ ...parts(did), worker: false });
    const runs = await asDumped(api);
    await ofAnother(api);
    const worker = await start(parts(did));
    expect(await ended(worker, runs.backup)).toMatchObject({ state: 'succeeded' });
    await nothingOwed(worker);
    expect(did.toSorted()).toEqual([`backup ${runs.backup}`, 'left the mode of lost']);

    const waits = await ended(worker, runs.waits);
    expect(waits).toMatchObject({ state: 'failed', warnings: [], error: { code: 'DATABASE_PUT_BACK', retryable: false } });
    expect(waits.error?.message).toMatch(/^The database was put back from a dump, or moved, while the restore of vApp "waits" waited/);
    const lost = await ended(worker, runs.lost);
    expect(lost).toMatchObject({ state: 'failed', error: { code: 'DATABASE_PUT_BACK' }, openObligations: [] });
    expect(lost.warnings).toEqual(['before', expect.stringMatching(/^Left as it is.*: vApp "lost" \(debt "vapp"\)\.$/)]);
    expect(lost.steps).toMatchObject([{ name: 'copying', state: 'failed' }]);
    // Its aim was reached before the dump: the dump says so.
    expect(await ended(worker, runs.committed)).toMatchObject({
      state: 'warning',
      error: null,
      result: { vappId: '7' },
      warnings: ['before', expect.stringContaining('had reached its aim'), expect.stringContaining('the new "committed" (debt "replace")')],
    });
    expect(await worker.runs.view(runs.failed)).toMatchObject({
      state: 'failed',
      error: null,
      warnings: [expect.stringContaining('vApp "failed"'), expect.stringContaining('vApp "not seen"')],
    });
    expect(await restoresEnded(worker)).toEqual({ failed: 2, warning: 1 });
  });

  it('is noticed by whichever process starts first, and once: a restore asked for since is carried out', async () => {
    const did: string[] = [];
    const before = await start({ ...parts(did), worker: false });
    const runs = await asDumped(before);
    await ofAnother(before);
    const api = await start({ ...parts(did), worker: false });
    expect(await api.runs.view(runs.waits)).toMatchObject({ state: 'failed', error: { code: 'DATABASE_PUT_BACK' } });
    const { id } = await api.runs.create('restore', 'vApp "waits"', {}, { organizationId: 'a', exclusiveKey: 'vapp:waits' });
    const left = await api.sql(`SELECT id, state, revision, warnings FROM runs WHERE id <> ALL($1) ORDER BY id`, [
      [id, runs.backup, runs.lost],
    ]);
    const worker = await start(parts(did));
    expect(await ended(worker, id)).toMatchObject({ state: 'succeeded' });
    await ended(worker, runs.backup);
    await nothingOwed(worker);
    expect(
      await api.sql(`SELECT id, state, revision, warnings FROM runs WHERE id <> ALL($1) ORDER BY id`, [[id, runs.backup, runs.lost]]),
    ).toEqual(left);
    expect(did.toSorted()).toEqual([`backup ${runs.backup}`, 'left the mode of lost', `restore ${id}`]);
  });

  it('is put in order by one of two workers that start at the same moment, while the other waits', async () => {
    const did: string[] = [];
    const api = await start({ ...parts(did), worker: false });
    const runs = await asDumped(api);
    await ofAnother(api);
    const gate = api.module.get(DataSource).createQueryRunner();
    await gate.startTransaction();
    await gate.query('SELECT FROM database_identity FOR UPDATE');
    const both = Promise.all([start(parts(did)), start(parts(did))]);
    try {
      const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
      for (const deadline = performance.now() + 10_000; (await api.sql(waiting)).length < 2; await sleep(20)) {
        if (performance.now() > deadline) throw new Error('The workers did not wait for each other');
      }
      expect(did).toEqual([]);
    } finally {
      await gate.rollbackTransaction();
      await gate.release();
      await both;
    }
    const [worker] = await both;
    await ended(worker, runs.backup);
    await nothingOwed(worker);
    expect(did.toSorted()).toEqual([`backup ${runs.backup}`, 'left the mode of lost']);
    expect((await worker.runs.view(runs.lost)).warnings).toHaveLength(2);
    expect(await restoresEnded(worker)).toEqual({ failed: 2, warning: 1 });
  });
});

describe('a database that stayed where it was', () => {
  it('has its runs carried out, gone on with and undone as ever', async () => {
    const did: string[] = [];
    const api = await start({ ...parts(did), worker: false });
    const runs = await asDumped(api);
    const worker = await start(parts(did));
    await nothingOwed(worker);
    for (const id of [runs.waits, runs.backup]) expect(await ended(worker, id)).toMatchObject({ state: 'succeeded' });
    expect(await until(worker, runs.lost, ({ endedAt }) => endedAt !== null)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    expect(await ended(worker, runs.committed)).toMatchObject({ state: 'warning', result: { vappId: '7' } });
    expect(did.toSorted()).toEqual(
      [
        ...['deleted failed', 'deleted lost', 'deleted not seen', 'left the mode of lost', 'replaced committed'],
        ...[`backup ${runs.backup}`, `restore ${runs.waits}`, `restore ${runs.lost}`],
      ].toSorted(),
    );
  });
});
