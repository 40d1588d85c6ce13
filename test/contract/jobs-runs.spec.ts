/** What a run is, how it is stopped, and what is left of it when the service stops. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { backup, ended, owesAndWaits, type Payer, until, useJobsWorkers, type Work } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers();

const untilAborted =
  (signal: AbortSignal): Work =>
  () =>
    sleep(60_000, signal).then(
      () => ({}),
      () => ({}),
    );

describe('a run', () => {
  it('is carried out once by two workers, with steps, progress, warnings and result', async () => {
    const done: string[] = [];
    const work: Work = async (payload, context) => {
      await context.step('copying', async () => {
        context.progress('web-1/Hard disk 1', { doneBytes: 2 ** 41 + 512, totalBytes: 2 ** 42 });
        await sleep(20);
      });
      done.push(context.runId);
      return { number: payload.number };
    };
    const one = await start({ backup: work });
    const two = await start({ backup: work });
    const made = await Promise.all(Array.from({ length: 24 }, (_, number) => backup(number % 2 ? one : two, { number })));
    for (const [number, { id }] of made.entries()) {
      const view = await ended(one, id);
      expect(view).toMatchObject({ state: 'succeeded', result: { number }, attempt: 1, error: null, openObligations: [], warnings: [] });
      expect(view.steps).toMatchObject([{ name: 'copying', state: 'done', error: null }]);
      expect(view.progress['web-1/Hard disk 1']).toEqual({ doneBytes: 2 ** 41 + 512, totalBytes: 2 ** 42 });
    }
    expect(done.toSorted()).toEqual(made.map(({ id }) => id).toSorted());
  });

  it('is made together with its job or not at all', async () => {
    const worker = await start({ worker: false, backup: async () => ({}) });
    const before = await worker.sql('SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM pgboss.job) AS jobs');
    await expect(backup(worker, { text: 'a\u0000b' })).rejects.toThrow();
    const after = await worker.sql('SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM pgboss.job) AS jobs');
    expect(after).toEqual(before);
  });

  it('is not made when nobody could carry it out, and a kind has one handler', async () => {
    const worker = await start({});
    const gc = worker.runs.create('gc', 'the repository', {}, { organizationId: '' });
    await expect(gc).rejects.toMatchObject({ code: 'RUN_HANDLER_MISSING' });
    worker.runs.registerHandler('gc', async () => ({}));
    expect(() => worker.runs.registerHandler('gc', async () => ({}))).toThrow(/already have a handler/);
  });

  it('keeps a second one for the same vApp away until it has ended', async () => {
    const release = new AbortController();
    const worker = await start({ backup: untilAborted(release.signal) });
    const first = await backup(worker, {}, 'vapp:7');
    const tries = await Promise.allSettled([backup(worker, {}, 'vapp:7'), backup(worker, {}, 'vapp:7')]);
    expect(tries.map((t) => t.status === 'rejected' && t.reason.code)).toEqual(['RUN_BUSY', 'RUN_BUSY']);
    release.abort();
    await ended(worker, first.id);
    await ended(worker, (await backup(worker, {}, 'vapp:7')).id);
  });

  it('outlives the longest time pg-boss grants a job: its job is complete while it runs', async () => {
    const release = new AbortController();
    const worker = await start({ backup: untilAborted(release.signal) });
    const { id } = await backup(worker);
    await until(worker, id, ({ state }) => state === 'running');
    const jobs = await worker.sql(`SELECT state::text FROM pgboss.job WHERE data->>'runId' = $1`, [id]);
    expect(jobs).toEqual([{ state: 'completed' }]);
    release.abort();
    await ended(worker, id);
  });

  it('tells nothing of an error that was not written for people', async () => {
    const worker = await start({
      backup: async (_payload, context) => await context.step('connecting', () => Promise.reject(new Error('password=hunter2'))),
    });
    const view = await ended(worker, (await backup(worker)).id);
    expect(view).toMatchObject({ state: 'failed', error: { code: 'INTERNAL', retryable: false } });
    expect(JSON.stringify(view)).not.toContain('hunter2');
  });
});

describe('cancelling', () => {
  it('stops a run of another process within a second, and its clean-up is not aborted', async () => {
    const paid: { name: unknown; aborted: boolean }[] = [];
    const payer: Payer = async (terms, signal) => {
      await sleep(50, signal);
      paid.push({ name: terms.name, aborted: signal.aborted });
    };
    const here = await start({ backup: owesAndWaits(['maintenance', 'snapshot']), payers: { thing: payer } });
    const there = await start({ worker: false });
    const { id } = await backup(here);
    await until(here, id, (view) => view.openObligations.length === 2);
    const startedMs = performance.now();
    expect((await there.runs.cancel(id)).cancelRequestedAt).not.toBeNull();
    const view = await ended(there, id);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(view).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' }, openObligations: [] });
    expect(view.steps).toMatchObject([{ name: 'waiting', state: 'failed' }]);
    expect(paid).toEqual([
      { name: 'snapshot', aborted: false },
      { name: 'maintenance', aborted: false },
    ]);
    await expect(here.runs.cancel(id)).rejects.toMatchObject({ code: 'RUN_ENDED' });
  });

  it('ends a waiting run at once, and no worker takes it later', async () => {
    let taken = 0;
    const api = await start({ worker: false, backup: async () => ({}) });
    const { id } = await backup(api);
    expect(await api.runs.cancel(id)).toMatchObject({ state: 'cancelled', attempt: 0 });
    const worker = await start({ backup: async () => ({ taken: ++taken }) });
    await ended(worker, (await backup(worker)).id);
    expect(taken).toBe(1);
  });
});

describe('stopping the service', () => {
  it('aborts runs, pays what they owe, and says so', async () => {
    const paid: unknown[] = [];
    const worker = await start({
      backup: owesAndWaits(['snapshot']),
      payers: { thing: async (terms) => void paid.push(terms.name) },
    });
    const watcher = await start({ worker: false });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.close();
    expect(await watcher.runs.view(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SERVICE_STOPPING', retryable: true },
      openObligations: [],
    });
    expect(paid).toEqual(['snapshot']);
  });

  it('ends a run that somebody cancels while it is cleaned up, and hands it to nobody', async () => {
    const watcher = await start({ worker: false });
    let cleaning: () => void = () => undefined;
    const isCleaning = new Promise<void>((resolve) => (cleaning = resolve));
    let asked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const pays = async () => {
      cleaning();
      await isAsked;
    };
    const worker = await start({ backup: owesAndWaits(['snapshot']), options: { resumable: true }, payers: { thing: pays } });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    const closed = worker.close();
    await isCleaning;
    await watcher.runs.cancel(id);
    asked();
    await closed;
    expect(await watcher.runs.view(id)).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' }, openObligations: [] });
  });
});
