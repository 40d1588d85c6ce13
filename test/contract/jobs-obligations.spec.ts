/** What a run owes, and what becomes of it when its worker has lost it. */
import { describe, expect, it } from 'vitest';
import { CancelledError, newId, sleep, throwIfAborted } from '../../src/common/index.js';
import type { LostRunConclusion } from '../../src/jobs/index.js';
import { backup, ended, type JobsWorker, owesAndWaits, until, useJobsWorkers, type Work } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers();

describe('obligations', () => {
  it('are committed when owe answers, paid newest first on failure, and not when settled', async () => {
    const paid: unknown[] = [];
    const committed: number[] = [];
    const worker = await start({
      payers: { thing: async (terms) => void paid.push(terms) },
      backup: async (_payload, context) => {
        const kept = await context.obligations.owe('thing', { name: 'kept' });
        const made = await context.obligations.owe('thing', { name: 'snapshot' });
        const [{ open }] = (await worker.sql('SELECT count(*)::int AS open FROM obligations WHERE run_id = $1', [context.runId])) as [
          { open: number },
        ];
        committed.push(open);
        await made.amend({ moRef: 'snapshot-12' });
        await context.obligations.owe('thing', { name: 'access' });
        const early = await context.obligations.owe('thing', { name: 'early' });
        await early.pay();
        await early.settle();
        await kept.settle();
        await kept.settle();
        throw new CancelledError('not by a person');
      },
    });
    const view = await ended(worker, (await backup(worker)).id);
    expect(view.state).toBe('cancelled');
    expect(committed).toEqual([2]);
    expect(paid).toEqual([{ name: 'early' }, { name: 'access' }, { name: 'snapshot', moRef: 'snapshot-12' }]);
  });

  it('are paid before the run lets go of what it held in this process, which it does once, whatever fails', async () => {
    const events: string[] = [];
    const worker = await start({
      payers: { thing: async () => void events.push('paid') },
      backup: async (_payload, { obligations, atEnd }) => {
        atEnd(async () => void events.push('let go of the first'));
        atEnd(() => Promise.reject(new Error('it is gone already')));
        atEnd(async () => void events.push('let go of the last'));
        await obligations.owe('thing', {});
        throw new Error('the copy failed');
      },
    });
    const { id } = await backup(worker);
    expect((await ended(worker, id)).state).toBe('failed');
    expect(events).toEqual(['paid', 'let go of the last', 'let go of the first']);
  });

  it('that cannot be paid make a success a warning, keep nobody from being paid, and are tried again until they are', async () => {
    let refusals = 2;
    const paid: unknown[] = [];
    const worker = await start({
      payers: {
        stubborn: async () => {
          if (refusals-- > 0) throw new Error('token=secret');
          paid.push('stubborn');
        },
        thing: async () => void paid.push('thing'),
      },
      backup: async (_payload, context) => {
        await context.obligations.owe('thing', {});
        await context.obligations.owe('stubborn', {});
        return { copied: 7 };
      },
      settings: { payRetryBaseMs: 1_000 },
    });
    const { id } = await backup(worker);
    const view = await ended(worker, id);
    expect(view).toMatchObject({ state: 'warning', result: { copied: 7 }, openObligations: [{ kind: 'stubborn', attempts: 1 }] });
    expect(view.warnings).toEqual([expect.stringContaining('"stubborn" is still owed')]);
    expect(JSON.stringify(view)).not.toContain('secret');
    expect(paid).toEqual(['thing']);
    expect((await until(worker, id, (later) => later.openObligations.length === 0)).state).toBe('warning');
    expect(paid).toEqual(['thing', 'stubborn']);
  });

  it('of a kind this service does not know stay and are shown', async () => {
    const worker = await start({ backup: async () => ({}) });
    const { id } = await backup(worker);
    await ended(worker, id);
    await worker.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'of-tomorrow', '{}')`, [newId(), id]);
    const view = await until(worker, id, (later) => typeof later.openObligations[0]?.lastError === 'string');
    expect(view.openObligations).toMatchObject([{ kind: 'of-tomorrow', lastError: expect.stringContaining('does not know how to undo') }]);
  });

  it('of a run under way are seen by others, and by nobody once it has ended or they are paid', async () => {
    const worker = await start({ payers: { thing: async () => undefined }, backup: owesAndWaits(['a snapshot']) });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.steps.some(({ name }) => name === 'waiting'));
    const owed = (name: string, except = 'another run') => worker.obligations.owedByLivingRun({ name }, except);
    const { obligations } = worker;
    expect([await owed('a snapshot'), await owed('another'), await owed('a snapshot', id)]).toEqual([true, false, false]);
    expect(await obligations.oldestUnpaid({ name: 'a snapshot' })).toEqual({ runId: id, kind: 'thing', lastError: null });
    await worker.runs.cancel(id);
    await ended(worker, id);
    expect(await owed('a snapshot')).toBe(false);
    // Paid, and nothing was seen of it: it is looked at once more.
    expect(await obligations.oldestUnpaid({ name: 'a snapshot' })).toBeUndefined();
    expect(await obligations.oldestOpen({ name: 'a snapshot' })).toEqual({ runId: id, kind: 'thing', lastError: null });
  });

  it('cannot be incurred for which nobody here can pay', async () => {
    const worker = await start({ backup: async (_p, context) => void (await context.obligations.owe('nothing', {})) as never });
    expect((await ended(worker, (await backup(worker)).id)).error?.code).toBe('PAYER_MISSING');
  });
});

describe('a lost lease', () => {
  it('of a killed worker is found by another, which pays once and fails the run', async () => {
    const paid: unknown[] = [];
    const { id } = await backup(await start({ worker: false, backup: async () => ({}) }));
    // What SIGKILL leaves behind: a row in "running" whose lease nobody renews, and its debts.
    const survivor = await start({ worker: false });
    await survivor.sql(
      `UPDATE runs SET state = 'running', attempt = 1, lease_owner = 'dead', lease_expires_at = now() + interval '400 ms',
        steps = '[{"name":"copying","state":"running","startedAt":"2026-01-01T00:00:00.000Z","endedAt":null,"error":null}]' WHERE id = $1`,
      [id],
    );
    for (const name of ['maintenance', 'snapshot']) {
      await survivor.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'thing', $3)`, [newId(), id, { name }]);
    }
    const payers = { thing: (terms: Record<string, unknown>) => sleep(50).then(() => void paid.push(terms.name)) };
    const handlerRuns: string[] = [];
    const rescue: Work = async (_payload, context) => ({ count: handlerRuns.push(context.runId) });
    await start({ payers, backup: rescue });
    await start({ payers, backup: rescue });
    expect((await survivor.runs.view(id)).state).toBe('running');
    const view = await ended(survivor, id);
    expect(view).toMatchObject({ state: 'failed', error: { code: 'WORKER_LOST', retryable: true }, openObligations: [] });
    expect(view.steps).toMatchObject([{ name: 'copying', state: 'failed' }]);
    expect(paid).toEqual(['snapshot', 'maintenance']);
    expect(handlerRuns).toEqual([]);
  });

  it('aborts the run that lost it, which then neither writes nor owes nor pays', async () => {
    const paid: unknown[] = [];
    const reasons: unknown[] = [];
    const worker = await start({
      settings: { sweepMs: 60_000 },
      payers: { thing: async (terms) => void paid.push(terms) },
      backup: async (_payload, context) => {
        await context.obligations.owe('thing', { name: 'first' });
        await sleep(60_000, context.signal).catch((error: unknown) => reasons.push(error));
        await context.obligations.owe('thing', { name: 'late' }).catch((error: unknown) => reasons.push(error));
        return { claims: 'success' };
      },
    });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.sql(`UPDATE runs SET lease_owner = 'thief', lease_expires_at = now() + interval '1 hour' WHERE id = $1`, [id]);
    const deadline = performance.now() + 5_000;
    while (reasons.length < 2 && performance.now() < deadline) await sleep(20);
    await sleep(200);
    expect(reasons).toMatchObject([{ code: 'LEASE_LOST' }, { code: 'LEASE_LOST' }]);
    expect(await worker.runs.view(id)).toMatchObject({ state: 'running', result: null, openObligations: [{ attempts: 0 }] });
    expect(paid).toEqual([]);
    await worker.sql('UPDATE obligations SET settled_at = now() WHERE run_id = $1', [id]);
    await worker.sql(`UPDATE runs SET state = 'failed', lease_owner = NULL, lease_expires_at = NULL WHERE id = $1`, [id]);
  });

  /** A run that a dead worker left, of which a worker with these leases takes care. */
  async function lost(concludeLost: LostRunConclusion, leaseExpiryMs: number): Promise<{ worker: JobsWorker; id: string }> {
    const api = await start({ worker: false });
    const { id } = await backup(api);
    await api.sql(`UPDATE runs SET state = 'running', attempt = 1, lease_owner = 'dead', lease_expires_at = now() WHERE id = $1`, [id]);
    const worker = await start({ options: { concludeLost }, settings: { leaseExpiryMs } });
    return { worker, id };
  }

  it('is let go where nothing answers whether the run had reached its aim, and that is asked again', async () => {
    let asked = 0;
    const published = { restorePointId: 'published' };
    const { worker, id } = await lost(() => (++asked === 1 ? new Promise(() => undefined) : Promise.resolve(published)), 1_500);
    const view = await until(worker, id, ({ endedAt }) => endedAt !== null, 60_000);
    expect(view).toMatchObject({ state: 'warning', result: published });
  });

  it('of which that is asked is not cut short by a cancel: what exists counts', async () => {
    let asked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    let cancelled: () => void = () => undefined;
    const isCancelled = new Promise<void>((resolve) => (cancelled = resolve));
    const { worker, id } = await lost(async (_payload, signal) => {
      asked();
      await isCancelled;
      throwIfAborted(signal);
      return { restorePointId: 'published' };
    }, 30_000);
    await isAsked;
    await worker.runs.cancel(id);
    cancelled();
    expect(await ended(worker, id)).toMatchObject({ state: 'warning', result: { restorePointId: 'published' } });
  });

  it('that is lost again ends that question', async () => {
    let told: (reason: unknown) => void = () => undefined;
    const reason = new Promise<unknown>((resolve) => (told = resolve));
    let asked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const { worker, id } = await lost((_payload, signal) => {
      signal.addEventListener('abort', () => told(signal.reason));
      asked();
      return new Promise(() => undefined);
    }, 30_000);
    await isAsked;
    await worker.sql(`UPDATE runs SET lease_owner = 'thief', lease_expires_at = now() + interval '1 hour' WHERE id = $1`, [id]);
    expect(await reason).toMatchObject({ code: 'LEASE_LOST' });
    await worker.sql(`UPDATE runs SET state = 'failed', lease_owner = NULL, lease_expires_at = NULL WHERE id = $1`, [id]);
  });

  it('does not happen to a run that is merely long', async () => {
    const worker = await start({ backup: (_payload, context) => sleep(2_500, context.signal).then(() => ({ long: true })) });
    await start({ backup: async () => ({ long: false }) });
    expect(await ended(worker, (await backup(worker)).id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  });
});
