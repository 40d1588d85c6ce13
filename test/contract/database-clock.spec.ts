/**
 * The database's clock jumps by a day. Everything that is compared with it was written by it, so a clock that jumps one way is the same as
 * all times that were written moving the other way.
 */
import { describe, expect, it } from 'vitest';
import { newId, sleep } from '../../src/common/index.js';
import { PermitService } from '../../src/jobs/index.js';
import { ended, type JobsWorker, until, useJobsWorkers, type Work } from '../harness/jobs-worker.js';

const DEADLINE_MS = 10_000;
const { start } = useJobsWorkers(async (database) => {
  const source = await database.connect([]);
  await source.query('TRUNCATE runs, run_turns, run_totals, service_totals, workers CASCADE');
  await source.query('DELETE FROM pgboss.job');
});

const WRITTEN = {
  runs: ['created_at', 'started_at', 'ended_at', 'cancel_requested_at', 'lease_expires_at'],
  obligations: ['created_at', 'settled_at', 'next_try_at', 'claimed_until', 'look_again_at'],
  workers: ['started_at', 'expires_at'],
  permits: ['asked_at', 'granted_at'],
  run_turns: ['served_at'],
  'pgboss.job': ['start_after', 'created_on', 'started_on', 'completed_on', 'keep_until'],
};

async function jump({ sql }: JobsWorker, where: 'a day forward' | 'a day back'): Promise<void> {
  const by = `interval '${where === 'a day back' ? '1 day' : '-1 day'}'`;
  for (const [table, columns] of Object.entries(WRITTEN)) {
    await sql(`UPDATE ${table} SET ${columns.map((column) => `${column} = ${column} + ${by}`).join(', ')}`);
  }
}

const ask = (worker: JobsWorker, organizationId = 'a') =>
  worker.runs.create('backup', 'vApp "shop"', {}, { organizationId, exclusiveKey: `vapp:${newId()}` });

/** What SIGKILL leaves behind, a moment ago. */
async function lose(worker: JobsWorker, id: string): Promise<void> {
  await worker.sql(
    `UPDATE runs SET state = 'running', attempt = 1, lease_owner = 'dead', lease_expires_at = now() + interval '1 second', started_at = now()
     WHERE id = $1`,
    [id],
  );
}

const resumable = { resumable: true };

describe.each(['a day forward', 'a day back'] as const)("the database's clock jumps %s", (where) => {
  it('while runs are under way: each ends well, and owes nothing', async () => {
    const release = new AbortController();
    const paid: unknown[] = [];
    const backup: Work = async ({ name }, context) => {
      await context.obligations.owe('thing', { name, attempt: context.attempt });
      await sleep(60_000, AbortSignal.any([context.signal, release.signal])).catch((error: unknown) => {
        if (!release.signal.aborted) throw error;
      });
      return { attempt: context.attempt };
    };
    const parts = { backup, options: resumable, payers: { thing: async (terms: Record<string, unknown>) => void paid.push(terms) } };
    const [one, other] = [await start(parts), await start(parts)];
    const runs = [await ask(one), await ask(other), await ask(other, 'b')];
    for (const { id } of runs) await until(one, id, ({ openObligations }) => openObligations.length === 1);
    await jump(one, where);
    // Every lease has been renewed, or taken over and begun again under a new one.
    const living = `SELECT id FROM runs WHERE state = 'running' AND lease_expires_at BETWEEN now() AND now() + interval '1 minute'`;
    for (const deadline = performance.now() + DEADLINE_MS; (await one.sql(living)).length < runs.length; await sleep(20)) {
      expect(performance.now()).toBeLessThan(deadline);
    }
    release.abort();
    for (const { id } of runs) {
      const view = await ended(other, id);
      expect(view).toMatchObject({ error: null, openObligations: [], result: { attempt: view.attempt } });
    }
    expect(paid.length).toBeGreaterThanOrEqual(runs.length);
  });

  it('when a worker has just died: it is noticed as soon as ever', async () => {
    const api = await start({ worker: false });
    const { id } = await ask(api);
    await lose(api, id);
    await jump(api, where);
    await start({ options: resumable, backup: async () => ({ made: true }) });
    expect(await ended(api, id)).toMatchObject({ state: 'warning', attempt: 2, result: { made: true } });
  });

  it('while runs wait: they are begun', async () => {
    const api = await start({ worker: false });
    const runs = [await ask(api), await ask(api, 'b')];
    await jump(api, where);
    await start({});
    for (const { id } of runs) expect(await ended(api, id)).toMatchObject({ state: 'succeeded' });
  });

  it('while something is owed, that somebody dead had begun to pay, or that was to be tried later: it is paid', async () => {
    const paid: unknown[] = [];
    const api = await start({ worker: false });
    const { id } = await ask(api);
    await api.sql(`UPDATE runs SET state = 'failed', ended_at = now() WHERE id = $1`, [id]);
    const owe = (name: string, columns: string, values: string) =>
      api.sql(`INSERT INTO obligations (id, run_id, kind, terms, ${columns}) VALUES ($1, $2, 'thing', $3, ${values})`, [
        newId(),
        id,
        { name },
      ]);
    await owe('claimed', 'claimed_by, claimed_until', `'dead', now() + interval '1 second'`);
    await owe('later', 'next_try_at', `now() + interval '1 second'`);
    await owe('looked at again', 'settled_at, look_again_at', `now(), now() + interval '1 second'`);
    await jump(api, where);
    await start({
      payers: { thing: async ({ name }: Record<string, unknown>) => void paid.push(name) },
      settings: { lateRequestMs: 1_500 },
    });
    for (const deadline = performance.now() + DEADLINE_MS; paid.length < 3; await sleep(20)) {
      expect(performance.now(), `paid: ${paid.join(', ')}`).toBeLessThan(deadline);
    }
    expect(paid.toSorted()).toEqual(['claimed', 'later', 'looked at again']);
  });

  it('when somebody who held a permit has just died: there is room again', async () => {
    const worker = await start({});
    const account = { key: 'disks host-1', amount: 1, limit: 1 };
    await worker.sql(`INSERT INTO workers (id, expires_at) VALUES ('dead', now() + interval '1 second')`);
    await worker.sql(
      `INSERT INTO permits (id, worker_id, keys, amounts, granted_at) VALUES ('held', 'dead', '{disks host-1}', '{1}', now())`,
    );
    await jump(worker, where);
    const release = await worker.module.get(PermitService, { strict: false }).acquire([account], AbortSignal.timeout(DEADLINE_MS));
    release();
  });

  it('after an organization had its turn: the next ones go round as ever', async () => {
    const api = await start({ worker: false });
    await api.sql(`INSERT INTO run_turns (organization_id, served_at, was_urgent) VALUES ('a', now(), false)`);
    await jump(api, where);
    const begun: string[] = [];
    const runs = [];
    for (const organizationId of ['a', 'b', 'a', 'b', 'a', 'b']) runs.push(await ask(api, organizationId));
    const names = new Map(runs.map(({ id, organizationId }) => [id, organizationId]));
    const backup: Work = async (_payload, { runId }) => {
      begun.push(names.get(runId) ?? '');
      await sleep(50);
      return {};
    };
    await start({ backup, settings: { concurrency: 1 } });
    for (const { id } of runs) await ended(api, id);
    expect(begun.slice(0, 3)).toContain('a');
  });
});
