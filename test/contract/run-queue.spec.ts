/** Whose turn it is, what is taken up again, and what is done again. */
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { newId, sleep } from '../../src/common/index.js';
import type { HandlerOptions, JobsSettings, RunView } from '../../src/jobs/index.js';
import { pickRun } from '../../src/jobs/fair-pick.js';
import { RunRetry } from '../../src/jobs/run-retry.js';
import { RunStore } from '../../src/jobs/run-store.js';
import { ended, forgetRuns, type JobsWorker, until, useJobsWorkers, type Work } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers(forgetRuns);

interface Wish {
  organizationId: string;
  name?: string;
  kind?: 'backup' | 'restore';
  priority?: number;
}

async function queue(worker: JobsWorker, wishes: readonly Wish[]): Promise<RunView[]> {
  const runs: RunView[] = [];
  for (const { organizationId, name = organizationId, kind = 'backup', ...more } of wishes) {
    runs.push(await worker.runs.create(kind, name, {}, { organizationId, ...more }));
  }
  return runs;
}

/** What was begun, in its order, by one worker of `concurrency` lanes. */
async function orderOf(wishes: readonly Wish[], settings: Partial<JobsSettings> = {}): Promise<string[]> {
  const api = await start({ worker: false });
  const runs = await queue(api, wishes);
  const begun: string[] = [];
  const names = new Map(runs.map(({ id, subject }) => [id, subject]));
  await start({
    backup: async (_payload, { runId }) => {
      begun.push(names.get(runId) ?? '');
      return {};
    },
    settings: { concurrency: 1, ...settings },
  });
  for (const { id } of runs) await ended(api, id);
  return begun;
}

const times = (count: number, wish: Wish): Wish[] => Array.from({ length: count }, () => wish);

describe('whose turn it is', () => {
  it('goes round the organizations, however many runs one has', async () => {
    const order = await orderOf([
      ...times(6, { organizationId: 'a' }),
      ...times(2, { organizationId: 'b' }),
      ...times(3, { organizationId: 'c' }),
    ]);
    expect(order.join('')).toBe('abcabcacaaa');
  });

  it('of one organization is by priority, then by age', async () => {
    const order = await orderOf([
      { organizationId: 'a', name: 'old' },
      { organizationId: 'a', name: 'low', priority: 2 },
      { organizationId: 'a', name: 'high', priority: 7 },
      { organizationId: 'a', name: 'young' },
    ]);
    expect(order).toEqual(['high', 'old', 'young', 'low']);
  });

  it('comes although a worker was frozen while it chose', async () => {
    const api = await start({ worker: false });
    const [first, second] = await queue(api, times(2, { organizationId: 'a' }));
    const frozen = api.module.get(DataSource).createQueryRunner();
    try {
      await frozen.startTransaction();
      const options = { owner: 'frozen', leaseExpiryMs: 1_000, runsPerOrganization: 16, kinds: ['backup'] as const };
      expect(await pickRun(frozen.manager, options)).toEqual({ id: first?.id });
      const worker = await start({});
      expect(await ended(worker, String(second?.id))).toMatchObject({ state: 'succeeded' });
      expect(await ended(worker, String(first?.id))).toMatchObject({ state: 'succeeded', attempt: 1 });
      await expect(frozen.commitTransaction()).rejects.toThrow();
    } finally {
      await frozen.release();
    }
  });

  it('is a restore first, and never two of them in a row while others wait', async () => {
    const restores = times(4, { organizationId: 'r', name: 'R', kind: 'restore' as const });
    const order = await orderOf([...times(2, { organizationId: 'a' }), ...times(1, { organizationId: 'b' }), ...restores]);
    expect(order.join('')).toBe('RaRbRaR');
  });

  it('is not twice in a row a restore’s in one organization, either', async () => {
    const restores = times(4, { organizationId: 'a', name: 'R', kind: 'restore' as const });
    const order = await orderOf([...times(2, { organizationId: 'a' }), { organizationId: 'a', name: 'high', priority: 7 }, ...restores]);
    expect(order.join(' ')).toBe('R high R a R a R');
  });

  it('is a restore’s although its organization has as many backups under way as it may, and restores have a limit of their own', async () => {
    const api = await start({ worker: false });
    const release = new AbortController();
    const begun: string[] = [];
    let now = 0;
    let most = 0;
    const backup: Work = async (_payload, { runId }) => {
      begun.push(runId);
      await sleep(60_000, release.signal).catch(() => undefined);
      return {};
    };
    const restore: Work = async () => {
      now += 1;
      most = Math.max(most, now);
      await sleep(60);
      now -= 1;
      return {};
    };
    await start({ backup, restore, settings: { concurrency: 8, runsPerOrganization: 2 } });
    const backups = await queue(api, times(3, { organizationId: 'a' }));
    for (let looks = 0; begun.length < 2 && looks < 1_000; looks += 1) await sleep(20);
    const restores = await queue(api, times(6, { organizationId: 'a', kind: 'restore' as const }));
    for (const { id } of restores) expect((await ended(api, id)).state).toBe('succeeded');
    expect(most).toBeLessThanOrEqual(2);
    // The backups have not moved meanwhile.
    expect(begun).toEqual(backups.slice(0, 2).map(({ id }) => id));
    release.abort();
    for (const { id } of backups) await ended(api, id);
  });

  it('comes for an organization with nothing under way before another one gets a second worker', async () => {
    const api = await start({ worker: false });
    const release = new AbortController();
    const begun: string[] = [];
    const backup: Work = async (_payload, { runId }) => {
      begun.push((await api.runs.view(runId)).organizationId);
      await sleep(60_000, release.signal).catch(() => undefined);
      return {};
    };
    const first = await queue(api, times(4, { organizationId: 'a' }));
    await start({ backup, settings: { concurrency: 2 } });
    while (begun.length < 2) await sleep(20);
    const late = await queue(api, [{ organizationId: 'b' }]);
    await start({ backup, settings: { concurrency: 1 } });
    while (begun.length < 3) await sleep(20);
    expect(begun).toEqual(['a', 'a', 'b']);
    release.abort();
    for (const { id } of [...first, ...late]) await ended(api, id);
  });

  it('does not come while the organization has as many under way as it may, over all workers', async () => {
    const api = await start({ worker: false });
    let now = 0;
    let most = 0;
    const backup: Work = async (_payload, { runId }) => {
      const { organizationId } = await api.runs.view(runId);
      if (organizationId !== 'a') return {};
      now += 1;
      most = Math.max(most, now);
      await sleep(60);
      now -= 1;
      return {};
    };
    const settings = { concurrency: 4, runsPerOrganization: 2 };
    await start({ backup, settings });
    await start({ backup, settings });
    const runs = await queue(api, [...times(10, { organizationId: 'a' }), ...times(2, { organizationId: 'b' })]);
    for (const { id } of runs) await ended(api, id);
    expect(most).toBe(2);
  });

  it('of a cancelled run passes, and its place in the queue costs nobody anything', async () => {
    const api = await start({ worker: false });
    const runs = await queue(api, times(3, { organizationId: 'a' }));
    await api.runs.cancel(runs[0]?.id ?? '');
    await start({});
    expect((await ended(api, runs[2]?.id ?? '')).state).toBe('succeeded');
    const [{ jobs }] = (await until(api, runs[1]?.id ?? '', ({ endedAt }) => endedAt !== null).then(() =>
      api.sql(`SELECT count(*)::int AS jobs FROM pgboss.job WHERE state < 'active'`),
    )) as [{ jobs: number }];
    expect(jobs).toBeLessThanOrEqual(1);
  });
});

describe('a run that can be begun again', () => {
  /** What SIGKILL leaves behind: a row in "running" whose lease nobody renews. */
  async function lose(worker: JobsWorker, id: string, more = ''): Promise<void> {
    await worker.sql(
      `UPDATE runs SET state = 'running', attempt = attempt + 1, lease_owner = 'dead', lease_expires_at = now(), started_at = now() ${more},
         steps = '[{"name":"copying","state":"running","startedAt":"2026-01-01T00:00:00.000Z","endedAt":null,"error":null,"attempt":1}]' WHERE id = $1`,
      [id],
    );
  }

  it('is taken up by another worker when its own has died, after its debts were paid', async () => {
    const events: string[] = [];
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a', exclusiveKey: 'vapp:1' });
    await lose(api, id);
    await api.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'thing', '{}')`, [newId(), id]);
    const backup: Work = async (_payload, context) => ({ number: events.push(`attempt ${context.attempt}`) });
    await start({ backup, options: { resumable: true }, payers: { thing: async () => void events.push('paid') } });
    const view = await ended(api, id);
    expect(events).toEqual(['paid', 'attempt 2']);
    expect(view).toMatchObject({
      state: 'warning',
      attempt: 2,
      error: null,
      openObligations: [],
      warnings: [expect.stringContaining('disappeared')],
    });
    expect(view.steps).toMatchObject([{ name: 'copying', state: 'failed', attempt: 1 }]);
    expect((await api.health.figures()).totals.leases_lost).toBe(1);
  });

  it('is found although an earlier one cannot be undone yet, and a debt of another hangs', async () => {
    const api = await start({ worker: false });
    const ask = () => api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    const [over, stuck, next] = [await ask(), await ask(), await ask()];
    await api.sql(`UPDATE runs SET state = 'failed', ended_at = now() WHERE id = $1`, [over.id]);
    for (const { id } of [stuck, next]) await lose(api, id);
    await api.sql(`UPDATE runs SET lease_expires_at = now() + interval '1 minute' WHERE id = $1`, [next.id]);
    for (const { id } of [over, stuck])
      await api.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'thing', '{}')`, [newId(), id]);
    let hanging = 0;
    const hangs = async (_terms: unknown, signal: AbortSignal) => {
      hanging += 1;
      await sleep(60_000, signal);
    };
    const worker = await start({ options: { resumable: true }, payers: { thing: hangs } });
    for (const deadline = performance.now() + 10_000; hanging < 2; await sleep(20)) {
      if (performance.now() > deadline) throw new Error('The debts were not tried');
    }
    await api.sql('UPDATE runs SET lease_expires_at = now() WHERE id = $1', [next.id]);
    expect(await ended(worker, next.id)).toMatchObject({ state: 'warning', attempt: 2 });
    expect((await worker.runs.view(stuck.id)).state).toBe('running');
    // The one that cannot be ended yet is not counted by every try.
    expect((await worker.health.figures()).totals.leases_lost).toBe(1);
  });

  it('is taken over before one that was looked at since, which cannot be ended yet', async () => {
    const api = await start({ worker: false });
    const ask = async () => (await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' })).id;
    const [looked, waits] = [await ask(), await ask()];
    for (const id of [looked, waits]) await lose(api, id);
    await api.sql(`UPDATE runs SET lease_expires_at = now() - interval '1 minute' WHERE id = $1`, [waits]);
    expect(await api.module.get(RunStore, { strict: false }).takeOverLost('another', 60_000)).toMatchObject({ id: waits });
  });

  it('is begun again or undone by what it was asked for, where its kind has both', async () => {
    const api = await start({ worker: false });
    const ask = (anew: boolean) => api.runs.create('backup', 'vApp "shop"', { anew }, { organizationId: 'a' });
    const [anew, inPlace] = [await ask(true), await ask(false)];
    for (const { id } of [anew, inPlace]) await lose(api, id);
    await start({ options: { resumable: ({ anew }: { anew: boolean }) => anew } });
    expect(await ended(api, anew.id)).toMatchObject({ state: 'warning', attempt: 2, error: null });
    expect(await ended(api, inPlace.id)).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'WORKER_LOST' } });
  });

  it('fails after so many deaths: it may be their cause', async () => {
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await lose(api, id, ', losses = 3');
    await start({ options: { resumable: true }, backup: async () => Promise.reject(new Error('It was begun again')) });
    expect(await ended(api, id)).toMatchObject({ state: 'failed', error: { code: 'WORKER_LOST' } });
  });

  it('is not begun again when somebody has cancelled it', async () => {
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await lose(api, id, ', cancel_requested_at = now()');
    await start({ options: { resumable: true } });
    expect(await ended(api, id)).toMatchObject({ state: 'cancelled', attempt: 1 });
  });

  it('has succeeded when its first worker ended it after all', async () => {
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await lose(api, id);
    let asked = 0;
    const concludeLost = async () => (++asked === 1 ? undefined : { restorePointId: 'published' });
    await start({ options: { resumable: true, concludeLost }, backup: async () => Promise.reject(new Error('It was begun again')) });
    expect(await ended(api, id)).toMatchObject({ state: 'warning', result: { restorePointId: 'published' } });
  });

  it('fails, to be tried again, where nothing answers whether its first worker ended it', async () => {
    const api = await start({ worker: false });
    const { id } = await api.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await lose(api, id);
    let asked = 0;
    // Only the worker that begins again gets no answer.
    const concludeLost = async () => await (++asked === 2 ? new Promise<undefined>(() => undefined) : undefined);
    const backup: Work = async () => Promise.reject(new Error('It was begun again'));
    await start({ options: { resumable: true, concludeLost }, backup });
    const view = await until(api, id, ({ endedAt }) => endedAt !== null, 60_000);
    expect(view).toMatchObject({ state: 'failed', attempt: 2, error: { code: 'TIMEOUT', retryable: true } });
  });

  it('is handed over by a worker that stops, clean, and another one goes on at once', async () => {
    const paid: unknown[] = [];
    const attempts: number[] = [];
    const release = new AbortController();
    const backup: Work = async (_payload, context) => {
      attempts.push(context.attempt);
      await context.obligations.owe('thing', { attempt: context.attempt });
      await sleep(60_000, AbortSignal.any([context.signal, release.signal])).catch((error: unknown) => {
        if (!release.signal.aborted) throw error;
      });
      return { attempt: context.attempt };
    };
    const parts = {
      backup,
      options: { resumable: true },
      payers: { thing: async (terms: Record<string, unknown>) => void paid.push(terms.attempt) },
    };
    const first = await start(parts);
    const { id } = await first.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await until(first, id, (view) => view.openObligations.length === 1);
    const second = await start({ ...parts, settings: { queuePollMs: 20 } });
    await first.close();
    expect(paid).toEqual([1]);
    await until(second, id, (view) => view.attempt === 2);
    release.abort();
    const view = await ended(second, id);
    // Nobody died: it is no warning, and it does not count against the run.
    expect(view).toMatchObject({ state: 'succeeded', result: { attempt: 2 }, warnings: [], error: null });
    expect(await second.sql('SELECT losses FROM runs WHERE id = $1', [id])).toEqual([{ losses: 0 }]);
    expect(attempts).toEqual([1, 2]);
  });

  it('that is short ends by itself when its worker stops', async () => {
    const worker = await start({
      backup: async (_payload, { signal }) => sleep(700, signal).then(() => ({ done: true })),
      settings: { drainMs: 20_000 },
    });
    const api = await start({ worker: false });
    const { id } = await worker.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'a' });
    await until(worker, id, ({ state }) => state === 'running');
    const startedMs = performance.now();
    await worker.close();
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect(await api.runs.view(id)).toMatchObject({ state: 'succeeded', result: { done: true }, attempt: 1 });
  });
});

describe('a retry', () => {
  const retry = (worker: JobsWorker, id: string) => worker.module.get(RunRetry, { strict: false }).retry(id);

  it('is a new run of the same payload, and only of what has failed and ended', async () => {
    let fails = true;
    const worker = await start({
      backup: async (payload) => {
        if (fails) throw new Error('not now');
        return { ...payload };
      },
    });
    const options = { organizationId: 'a', exclusiveKey: 'vapp:1', priority: 7 };
    const { id } = await worker.runs.create('backup', 'vApp "shop"', { vappId: '1' }, options);
    await ended(worker, id);
    fails = false;
    const again = await retry(worker, id);
    expect(await ended(worker, again.id)).toMatchObject({
      state: 'succeeded',
      result: { vappId: '1' },
      retryOf: id,
      priority: 7,
      subject: 'vApp "shop"',
    });
    await expect(retry(worker, again.id)).rejects.toMatchObject({ code: 'RUN_RETRY_CONFLICT' });
    await expect(retry(worker, 'nobody')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    // It is the failed run's object that is busy.
    const release = new AbortController();
    const api = await start({ worker: false });
    await worker.close();
    await retry(api, id);
    await expect(retry(api, id)).rejects.toMatchObject({ code: 'RUN_BUSY' });
    release.abort();
  });

  it('asks the kind what is left to do', async () => {
    const again: HandlerOptions['retry'] = (payload: { vms: string[] }, { result }) =>
      result === null ? undefined : { ...payload, vms: result.failedVms };
    const worker = await start({ backup: async () => ({ failedVms: ['db'] }), options: { retry: again } });
    const { id } = await worker.runs.create('backup', 'vApp "shop"', { vms: ['web', 'db'] }, { organizationId: 'a' });
    await ended(worker, id);
    const { id: second } = await retry(worker, id);
    await ended(worker, second);
    expect(await worker.sql('SELECT payload FROM runs WHERE id = $1', [second])).toEqual([{ payload: { vms: ['db'] } }]);
  });
});
