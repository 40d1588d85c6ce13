/** What a run is, how it is stopped, and what is left of it when the service stops. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger, sleep } from '../../src/common/index.js';
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

describe('a run whose handler does not hear that it is to end', () => {
  /** One that hangs until it is let go, and what it gets to hear then. */
  function deaf() {
    let letGo: () => void = () => undefined;
    const hangs = new Promise<void>((resolve) => (letGo = resolve));
    const refused: unknown[] = [];
    const released: number[] = [];
    const work: Work = async (_payload, { runId, attempt, obligations, atEnd, commit, warn }) => {
      const refusal = (error: unknown) => void refused.push((error as { code: unknown }).code);
      atEnd(async () => void released.push(attempt));
      await obligations.owe('thing', { runId, attempt });
      await hangs;
      warn('what nobody is to read');
      await obligations.owe('thing', { late: true }).catch(refusal);
      await commit({ late: true }, []).catch(refusal);
      return { late: true };
    };
    return { work, letGo, refused, released };
  }
  const eventually = async (isSo: () => boolean) => {
    for (const deadline = performance.now() + 30_000; !isSo() && performance.now() < deadline; ) await sleep(20);
  };

  it('is given up: its debts are paid, its place is another’s, and what it does later counts for nothing', async () => {
    const { work, letGo, refused, released } = deaf();
    const paid: unknown[] = [];
    const errors: string[] = [];
    const log = new Writable({
      write: (line, _encoding, done) => {
        errors.push(JSON.parse(String(line)).msg);
        done();
      },
    });
    const worker = await start({
      backup: work,
      restore: async () => ({ carried: 'out' }),
      payers: { thing: async (terms) => void paid.push(terms) },
      settings: { concurrency: 1, handlerEndMs: 300 },
      logger: createLogger('error', log),
    });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    const next = await worker.runs.create('restore', 'vApp "blog"', {}, { organizationId: 'urn:vcloud:org:1' });
    await worker.runs.cancel(id);
    const isOver = ({ endedAt }: { endedAt: string | null }) => endedAt !== null;
    const view = await until(worker, id, isOver, 60_000);
    expect(view).toMatchObject({ state: 'cancelled', result: null, openObligations: [] });
    expect(paid).toEqual([{ runId: id, attempt: 1 }]);
    expect(await until(worker, next.id, isOver, 60_000)).toMatchObject({ state: 'succeeded', result: { carried: 'out' } });
    expect(errors.filter((message) => message.includes('given up'))).toHaveLength(1);
    // It may still use what it holds.
    expect(released).toEqual([]);
    letGo();
    await eventually(() => released.length > 0);
    expect(refused).toEqual(['LEASE_LOST', 'LEASE_LOST']);
    // What it had made after its debt was paid is undone, too.
    await eventually(() => paid.length > 1);
    expect(paid).toEqual([1, 2].map(() => ({ runId: id, attempt: 1 })));
    const later = await until(worker, id, ({ openObligations }) => openObligations.length === 0, 60_000);
    expect(later).toMatchObject({ state: 'cancelled', result: null });
    expect(later.warnings).toEqual(view.warnings);
  });

  it('is begun again in its place, by the same worker, where its kind allows it', async () => {
    const { work, letGo, refused } = deaf();
    const paid: unknown[] = [];
    const worker = await start({
      backup: (payload, context) => (context.attempt === 1 ? work(payload, context) : Promise.resolve({ attempt: context.attempt })),
      options: { resumable: true },
      payers: { thing: async (terms) => void paid.push(terms) },
      settings: { concurrency: 1, handlerEndMs: 300 },
    });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.sql(`UPDATE runs SET lease_owner = 'dead', lease_expires_at = now() WHERE id = $1`, [id]);
    const view = await until(worker, id, ({ endedAt }) => endedAt !== null, 60_000);
    expect(view).toMatchObject({ state: 'warning', attempt: 2, result: { attempt: 2 } });
    letGo();
    await eventually(() => paid.length === 2);
    expect(refused).toEqual(['LEASE_LOST', 'LEASE_LOST']);
    const later = await until(worker, id, ({ openObligations }) => openObligations.length === 0, 60_000);
    expect(later).toMatchObject({ result: { attempt: 2 }, warnings: view.warnings });
  });

  it('keeps its lease while it cleans up in time', async () => {
    const paid: unknown[] = [];
    const worker = await start({
      backup: async (_payload, { obligations, signal }) => {
        await obligations.owe('thing', { name: 'snapshot' });
        await sleep(60_000, signal).catch(() => sleep(100));
        throw new Error('it was told to end');
      },
      payers: { thing: async ({ name }) => void paid.push(name) },
      settings: { handlerEndMs: 60_000 },
    });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.runs.cancel(id);
    expect(await ended(worker, id)).toMatchObject({ state: 'cancelled', attempt: 1, warnings: [] });
    expect(paid).toEqual(['snapshot']);
    expect(await worker.sql('SELECT losses FROM runs WHERE id = $1', [id])).toEqual([{ losses: 0 }]);
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
