/** Debts of runs that have ended: what hangs at one system holds up nobody elsewhere. */
import { describe, expect, it } from 'vitest';
import { newId, sleep } from '../../src/common/index.js';
import { backup, ended, forgetRuns, type JobsWorker, type Payer, until, useJobsWorkers } from '../harness/jobs-worker.js';

const { start } = useJobsWorkers(forgetRuns);

interface Debt {
  name: string;
  system: string;
  /** Negative: already past. Without it nobody has tried. */
  nextTryInSeconds?: number;
}

const payerOptions = { thing: { system: ({ system }: { system: string }) => system } };

/** Runs that have failed, each with what it owes, oldest first. */
async function owing(api: JobsWorker, runs: readonly (readonly Debt[])[]): Promise<string[]> {
  const ids: string[] = [];
  for (const debts of runs) {
    const { id } = await backup(api);
    ids.push(id);
    await api.sql(`UPDATE runs SET state = 'failed', ended_at = now() WHERE id = $1`, [id]);
    for (const { nextTryInSeconds, ...terms } of debts) {
      await api.sql(
        `INSERT INTO obligations (id, run_id, kind, terms, next_try_at) VALUES ($1, $2, 'thing', $3, now() + $4 * interval '1 second')`,
        [newId(), id, terms, nextTryInSeconds ?? null],
      );
    }
  }
  return ids;
}

async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 20_000; !isSo(); await sleep(20)) {
    if (performance.now() > deadline) throw new Error(`Still waiting: ${what}`);
  }
}

describe('debts that are due', () => {
  it('are paid although another system hangs, of which two runs wait at once', async () => {
    const api = await start({ worker: false });
    const hanging = ['one', 'two', 'three', 'four'].map((name) => [{ name, system: 'hangs' }]);
    await owing(api, [...hanging, [{ name: 'well', system: 'answers' }]]);
    const paid: unknown[] = [];
    let now = 0;
    let most = 0;
    const thing: Payer = async ({ name, system }, signal) => {
      if (system === 'hangs') {
        now += 1;
        most = Math.max(most, now);
        await sleep(60_000, signal).finally(() => (now -= 1));
      }
      paid.push(name);
    };
    await start({ payers: { thing }, payerOptions });
    await eventually('the other system', () => paid.length > 0 && most > 1);
    expect(paid).toEqual(['well']);
    expect(most).toBe(2);
  });

  it('wait behind those that were tried longer ago', async () => {
    const api = await start({ worker: false });
    const system = 'busy';
    await owing(api, [
      [{ name: 'lately', system, nextTryInSeconds: -60 }],
      [
        { name: 'with one that is waited for', system, nextTryInSeconds: 3_600 },
        { name: 'of the same run', system },
      ],
      [{ name: 'long ago', system, nextTryInSeconds: -3_600 }],
      [{ name: 'never', system }],
    ]);
    const begun: unknown[] = [];
    const release = new AbortController();
    const thing: Payer = async ({ name }) => {
      begun.push(name);
      await sleep(60_000, release.signal).catch(() => undefined);
    };
    const worker = await start({ payers: { thing }, payerOptions });
    await eventually('two that are tried', () => begun.length === 2);
    expect(begun.toSorted()).toEqual(['long ago', 'never']);
    release.abort();
    await eventually('the others', () => begun.length === 4);
    await worker.close();
  });

  it('of a system that lets one run out of time are left alone, and those of the same runs at others are not', async () => {
    const api = await start({ worker: false });
    const snapshots = ['1', '2', '3'].map((name) => ({ name, system: 'vCenter' }));
    const maintenance = { name: 'maintenance mode', system: 'VCD' };
    await owing(
      api,
      [1, 2, 3].map(() => [maintenance, ...snapshots]),
    );
    const asked: unknown[] = [];
    const thing: Payer = async ({ system }, signal) => {
      asked.push(system);
      if (system === 'vCenter') await sleep(60_000, signal);
    };
    await start({ payers: { thing }, payerOptions, settings: { payTimeoutMs: 300 } });
    const left = () => asked.filter((system) => system === 'VCD').length;
    await eventually('three maintenance modes', () => left() === 3);
    const before = asked.slice(0, asked.lastIndexOf('VCD')).filter((system) => system === 'vCenter');
    expect(before.length).toBeLessThanOrEqual(2);
  });

  it('are paid once by two workers, and the newest of a run first', async () => {
    const api = await start({ worker: false });
    const debts = ['oldest', 'middle', 'newest'];
    const runs = Array.from({ length: 6 }, (_, run) => debts.map((name) => ({ name: `${name} of ${run}`, system: 'one' })));
    const ids = await owing(api, runs);
    const paid: string[] = [];
    const thing: Payer = async ({ name }) => {
      await sleep(10);
      paid.push(String(name));
    };
    await start({ payers: { thing }, payerOptions });
    await start({ payers: { thing }, payerOptions });
    for (const id of ids) await until(api, id, (view) => view.openObligations.length === 0, 30_000);
    expect(paid.toSorted()).toEqual(
      runs
        .flat()
        .map(({ name }) => name)
        .toSorted(),
    );
    for (const debtsOfRun of runs) {
      const names = debtsOfRun.map(({ name }) => name);
      expect(paid.filter((name) => names.includes(name))).toEqual(names.toReversed());
    }
  });
});

describe('what a run owes at its end', () => {
  it('to a system that lets one run out of time is left for later, and the rest is paid', async () => {
    const asked: unknown[] = [];
    const thing: Payer = async ({ name, system }, signal) => {
      asked.push(name);
      if (system === 'vCenter') await sleep(60_000, signal);
    };
    const worker = await start({
      payers: { thing },
      payerOptions,
      backup: async (_payload, { obligations }) => {
        await obligations.owe('thing', { name: 'maintenance mode', system: 'VCD' });
        for (const name of ['first', 'second']) await obligations.owe('thing', { name, system: 'vCenter' });
        throw new Error('the copy failed');
      },
      settings: { payTimeoutMs: 300, sweepMs: 60_000 },
    });
    const view = await ended(worker, (await backup(worker)).id);
    expect(asked).toEqual(['second', 'maintenance mode']);
    expect(view).toMatchObject({ state: 'failed', openObligations: [{ attempts: 0 }, { attempts: 1 }] });
    expect(view.warnings).toEqual([expect.stringMatching(/^"thing" is still owed: .*did not finish within/)]);
  });
});
