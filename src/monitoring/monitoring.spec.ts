import { describe, expect, it } from 'vitest';
import type { VaultConfig } from '../config/index.js';
import type { FailedRun, RunFigures } from '../jobs/index.js';
import { degradedBackups, failedRuns, nearlyFull, stalledQueue, stuckObligations } from './alert-sources.js';
import { Metrics } from './metrics.js';
import { RepositorySpace } from './repository-space.js';

const alerts = { repositoryFreePercent: 10, stuckObligationMinutes: 60, stalledQueueMinutes: 30 } as VaultConfig['alerts'];
const none = { secondSite: { kind: 'none' } };
const repository = (settings: object) => new RepositorySpace({ ...none, ...settings } as VaultConfig['repository']);
const folder = (path: string) => repository({ kind: 'folder', path });
const run: FailedRun = {
  ...{ runId: 'r1', objectKey: 'vapp:7', kind: 'backup', state: 'failed', subject: 'vApp "shop"', organizationId: 'org-1' },
  endedAt: new Date('2026-11-21T20:00:00Z'),
  error: { code: 'VIX_FILE_LOCKED', message: 'A disk is locked.', subject: null, retryable: false },
  failedVms: [],
  notCopied: 0,
};

describe('alert sources', () => {
  it('tell of an object, not of a run, what its last run came to', async () => {
    const partial: FailedRun = {
      ...run,
      objectKey: 'vapp:8',
      state: 'warning',
      error: null,
      failedVms: [
        { name: 'db', reason: 'A disk is locked.' },
        { name: 'web', reason: 'Its host is away.' },
      ],
    };
    const lacking: FailedRun = { ...run, ...{ kind: 'copy', objectKey: 'repository:copy', subject: 'copies', error: null, notCopied: 3 } };
    expect(await failedRuns({ failedRuns: async () => [run, partial, lacking] })).toMatchObject([
      {
        ...{ key: 'backup:vapp:7', severity: 'warning', organizationId: 'org-1', subject: 'vApp "shop"' },
        message: 'The backup of vApp "shop" failed at 2026-11-21T20:00:00.000Z: A disk is locked.',
        details: { runId: 'r1', code: 'VIX_FILE_LOCKED' },
      },
      {
        key: 'backup:vapp:8',
        message:
          'The backup of vApp "shop" ended at 2026-11-21T20:00:00.000Z without VM "db", "web": A disk is locked (of "db"); retry the run for what failed.',
        details: { failedVms: ['db', 'web'] },
      },
      { key: 'copy:repository:copy', message: expect.stringMatching(/^The copy of copies ended at .* without 3 restore points; /) },
    ]);
  });

  it('tell of a backup after which something is wrong all the same', async () => {
    const { runId, objectKey, subject, organizationId, endedAt } = run;
    const of = (wrong: object) => ({
      runId,
      objectKey,
      subject,
      organizationId,
      endedAt,
      consolidationFailed: [],
      halfWritten: [],
      ...wrong,
    });
    const degradedRuns = async () => [of({ consolidationFailed: ['db', 'web'], halfWritten: ['Hard disk 1 of VM "db"'] }), of({})];
    expect(await degradedBackups({ degradedRuns })).toMatchObject([
      {
        ...{ key: 'consolidation:vapp:7', severity: 'critical', organizationId: 'org-1', subject: 'vApp "shop"' },
        message: expect.stringMatching(/^The disks of VM "db", "web" of vApp "shop" need consolidation, and it failed at 2026-11-21T20/),
        details: { runId: 'r1', consolidationFailed: ['db', 'web'] },
      },
      {
        ...{ key: 'half-written:vapp:7', severity: 'critical' },
        message: expect.stringMatching(/ has Hard disk 1 of VM "db" as a restore that came to nothing left it; restore the VM again/),
      },
    ]);
  });

  it('tell of debts and of a queue with the times that are set', async () => {
    const asked: number[] = [];
    const debts = {
      runId: 'r1',
      subject: 'vApp "shop"',
      organizationId: 'o',
      kinds: ['vcd.maintenance'],
      oldestAt: run.endedAt,
      lastError: null,
    };
    const stuckDebts = async (olderThanMs: number) => {
      asked.push(olderThanMs);
      return [debts];
    };
    expect(await stuckObligations({ stuckDebts }, alerts)).toMatchObject([
      {
        ...{ key: 'r1', severity: 'critical' },
        message:
          '"vcd.maintenance" of vApp "shop" is owed to the cloud since 2026-11-21T20:00:00.000Z: nobody has paid it yet; see in VCD why the vApp cannot leave maintenance mode, or end it there.',
      },
    ]);
    const stalledSince = async (olderThanMs: number) => {
      asked.push(olderThanMs);
      return { waiting: 5, since: run.endedAt };
    };
    expect(await stalledQueue({ stalledSince }, alerts)).toMatchObject([
      { severity: 'critical', organizationId: '', details: { waiting: 5 } },
    ]);
    expect(await stalledQueue({ stalledSince: async () => undefined }, alerts)).toEqual([]);
    expect(asked).toEqual([3_600_000, 1_800_000]);
  });

  it('tell of a repository that is nearly full, by the share that is free', async () => {
    const of = async (repositoryFreePercent: number) => await nearlyFull('first', folder('/'), { repositoryFreePercent });
    const [fact] = await of(100);
    const { freeBytes, sizeBytes } = (fact?.details ?? {}) as { freeBytes: number; sizeBytes: number };
    expect(freeBytes).toBeLessThanOrEqual(sizeBytes);
    expect(fact).toMatchObject({ key: 'repository', severity: freeBytes / sizeBytes < 0.5 ? 'critical' : 'warning' });
    expect(await of(0)).toEqual([]);
    expect(await nearlyFull('first', repository({ kind: 's3' }), alerts)).toEqual([]);
  });

  it('tell of a second site that is nearly full, whatever the first is', async () => {
    const all = { repositoryFreePercent: 100 };
    expect(await nearlyFull('second', folder('/'), all)).toEqual([]);
    const copies = repository({ kind: 's3', secondSite: { kind: 'folder', path: '/' } });
    expect(await nearlyFull('first', copies, all)).toEqual([]);
    expect(await nearlyFull('second', copies, all)).toMatchObject([
      {
        key: 'second site',
        message: expect.stringMatching(/^Only [\d.]+ % \(.*\) of the file system of the repository's second site is free; /),
      },
    ]);
  });
});

describe('the space of a repository', () => {
  it('is asked for once at a time, and not waited for where the share hangs', async () => {
    let asked = 0;
    let answer: () => void = () => undefined;
    const hangs = () => {
      asked += 1;
      return new Promise<{ bavail: number; blocks: number; bsize: number }>((resolve) => {
        answer = () => resolve({ bavail: 1, blocks: 2, bsize: 512 });
      });
    };
    const space = new RepositorySpace({ kind: 'folder', path: '/share' } as VaultConfig['repository'], hangs);
    await expect(space.read('first', AbortSignal.timeout(10))).rejects.toThrow();
    const second = space.read('first');
    answer();
    expect(await second).toEqual({ freeBytes: 512, sizeBytes: 1024 });
    expect(asked).toBe(1);
    const third = space.read('first');
    answer();
    await third;
    expect(asked).toBe(2);
  });
});

describe('metrics', () => {
  const figures: RunFigures = {
    now: [{ kind: 'backup', state: 'queued', runs: 7 }],
    ...{
      oldestWaitSeconds: 12.5,
      waitingOrganizations: 3,
      openObligations: 2,
      oldestObligationSeconds: 60,
      permitsHeld: 4,
      permitsWaiting: 1,
    },
    ended: [
      { kind: 'backup', state: 'failed', runs: 1, seconds: 5, buckets: [1, 1] },
      { kind: 'backup', state: 'succeeded', runs: 2, seconds: 80, buckets: [0, 1] },
    ],
    boundsSeconds: [10, 60],
    totals: { bytes_read: 2 ** 50, leases_lost: 3 },
  };
  const sources = {
    countFiring: async () => [{ kind: 'run-failed', severity: 'warning' as const, count: 4 }],
    countMessages: async () => [{ channel: 'webhook', waiting: 5, givenUp: 6, refused: 2 }],
    sourceStates: () => [
      { kind: 'run-failed', isFailing: false },
      { kind: 'repository-nearly-full', isFailing: true },
    ],
  };

  it('are Prometheus’s text, the same however often they are asked for', async () => {
    const metrics = new Metrics(
      { figures: async () => figures },
      sources,
      repository({ kind: 's3', secondSite: { kind: 'folder', path: '/' } }),
    );
    await metrics.text();
    const lines = (await metrics.text()).split('\n');
    for (const line of [
      'vapp_vault_runs{kind="backup",state="queued"} 7',
      'vapp_vault_runs_ended_total{kind="backup",state="succeeded"} 2',
      '# TYPE vapp_vault_run_duration_seconds histogram',
      'vapp_vault_run_duration_seconds_bucket{le="10",kind="backup"} 1',
      'vapp_vault_run_duration_seconds_bucket{le="60",kind="backup"} 2',
      'vapp_vault_run_duration_seconds_bucket{le="+Inf",kind="backup"} 3',
      'vapp_vault_run_duration_seconds_sum{kind="backup"} 85',
      'vapp_vault_run_duration_seconds_count{kind="backup"} 3',
      `vapp_vault_bytes_read_total ${2 ** 50}`,
      'vapp_vault_bytes_stored_total 0',
      'vapp_vault_leases_lost_total 3',
      'vapp_vault_queue_oldest_seconds 12.5',
      'vapp_vault_obligations_open 2',
      'vapp_vault_disk_permits{state="held"} 4',
      'vapp_vault_alerts_firing{kind="run-failed",severity="warning"} 4',
      'vapp_vault_alert_messages{channel="webhook",state="given_up"} 6',
      'vapp_vault_alert_messages{channel="webhook",state="refused"} 2',
      'vapp_vault_alert_source_failing{kind="run-failed"} 0',
      'vapp_vault_alert_source_failing{kind="repository-nearly-full"} 1',
    ])
      expect(lines).toContain(line);
    expect(lines.some((line) => /^vapp_vault_repository_free_bytes\{site="second"\} \d+$/.test(line))).toBe(true);
    expect(lines.filter((line) => line.includes('site="first"'))).toEqual([]);
    expect(metrics.contentType).toContain('text/plain');
  });

  it('are there without the repository, which may be away', async () => {
    const text = await new Metrics({ figures: async () => figures }, sources, folder('/nowhere/at/all')).text();
    expect(text).toContain('vapp_vault_obligations_open 2');
    expect(text).not.toMatch(/^vapp_vault_repository_free_bytes\{/m);
  });
});
