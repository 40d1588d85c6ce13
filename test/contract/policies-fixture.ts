import { Global, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { CatalogModule, CatalogService, RestorePointRemoval, type RestorePointRow } from '../../src/catalog/index.js';
import { type Clock, newId, silentLogger, sleep, VaultError } from '../../src/common/index.js';
import { CONFIG, LOGGER } from '../../src/config/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, type RunContext, RunService, type RunView } from '../../src/jobs/index.js';
import { type BackupPayload, PolicyModule, PolicyRounds, PolicyService } from '../../src/policy/index.js';
import { policyRequestSchema } from '../../src/policy/policy.dto.js';
import { PolicyViews } from '../../src/policy/policy-views.service.js';
import { REPOSITORY } from '../../src/repository/index.js';
import type { MetadataEntry, VcdClientApi } from '../../src/vcd/index.js';
import { startTestDatabase } from '../harness/database.js';
import { ORG, point, source, vapp } from './catalog-fixture.js';

export const CLOUD = 'cloud-of-policies';
const signal = new AbortController().signal;

/** What time it is for all services of a vault. */
export class TestClock implements Clock {
  constructor(private at: Date) {}
  now(): Date {
    return this.at;
  }
  set(text: string): void {
    this.at = new Date(text);
  }
  forward(ms: number): void {
    this.at = new Date(this.at.getTime() + ms);
  }
}

/** One process of the service, as far as policies, the catalog and runs are concerned. */
export interface PolicyService1 {
  rounds: PolicyRounds;
  policies: PolicyService;
  views: PolicyViews;
  runs: RunService;
  catalog: CatalogService;
  removal: RestorePointRemoval;
}

const DAY_MS = 24 * 3_600_000;

export type Backup = (payload: BackupPayload, run: RunContext) => Promise<void>;

/** Several services on one database, with an inventory, a clock, a VCD that knows metadata, and backups that only make rows. */
export class PolicyVault {
  readonly deleted: string[] = [];
  readonly held: string[] = [];
  readonly metadata = new Map<string, MetadataEntry[]>();
  vcdAnswers = true;
  /** Clouds that are registered; those beside the first have nothing in them. */
  readonly registered = new Set([CLOUD]);
  /** Clouds of which nothing can be found out. */
  readonly broken = new Set<string>();
  backup: Backup = async () => undefined;
  /** Whether what backups leave is complete. */
  complete = true;
  failDeletion: Error | undefined;
  /** Restore points that cannot be deleted, whatever is tried. */
  readonly undeletable = new Set<string>();

  private constructor(
    readonly clock: TestClock,
    private readonly tickMs: number,
    private readonly stopDatabase: () => Promise<void>,
  ) {}

  services: PolicyService1[] = [];
  private modules: TestingModule[] = [];
  private dataSource!: DataSource;

  /** @param options.tickMs the services' own ticks are off; still it says how long a pause is, and how often a round gives a sign of life. */
  static async start(options: { now: string; services: number; vapps: number; tickMs?: number }): Promise<PolicyVault> {
    const database = await startTestDatabase();
    const vault = new PolicyVault(new TestClock(new Date(options.now)), options.tickMs ?? 3_600_000, () => database.stop());
    for (let index = 0; index < options.services; index += 1) await vault.startService(database.url);
    await vault.inventory(options.vapps);
    return vault;
  }

  get one(): PolicyService1 {
    return this.services[0] as PolicyService1;
  }

  async inventory(count: number): Promise<void> {
    await this.one.catalog.saveInventory(CLOUD, source(Array.from({ length: count }, (_, index) => vapp(index + 1))), { full: true });
  }

  async vappIds(): Promise<string[]> {
    return (await this.one.catalog.listVapps({ cloudId: CLOUD, limit: 500 })).items.map(({ id }) => id);
  }

  policy(over: Record<string, unknown>) {
    return policyRequestSchema.parse({ name: newId(), ...over, scope: { cloudId: CLOUD, ...(over.scope as object) } });
  }

  create(over: Record<string, unknown>) {
    return this.one.policies.create(this.policy(over));
  }

  /** A round of every service, at one moment. */
  async rounds(): Promise<void> {
    await Promise.all(this.services.map(({ rounds }) => rounds.round(signal)));
  }

  /** As if their lock did not keep them apart. */
  async roundsTogether(): Promise<void> {
    await Promise.all(
      this.services.map(({ rounds }) => (rounds as unknown as { alone(signal: AbortSignal): Promise<void> }).alone(signal)),
    );
  }

  refreshMetadata(): Promise<void> {
    return this.one.rounds.refreshMetadata(signal);
  }

  async runsOf(kind: RunView['kind'] = 'backup'): Promise<RunView[]> {
    return (await this.one.runs.list({ kind, limit: 200 })).items.toReversed();
  }

  async ended(kind: RunView['kind'] = 'backup', count = 1): Promise<RunView[]> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const runs = await this.runsOf(kind);
      if (runs.length >= count && runs.every(({ endedAt }) => endedAt !== null)) return runs;
      if (performance.now() > deadline) throw new Error(`Still waiting: ${JSON.stringify(runs.map(({ state, error }) => [state, error]))}`);
      await sleep(30);
    }
  }

  async running(count = 1): Promise<RunView[]> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const runs = (await this.runsOf()).filter(({ state }) => state === 'running');
      if (runs.length >= count) return runs;
      if (performance.now() > deadline) throw new Error('No run has begun');
      await sleep(30);
    }
  }

  async addPoint(
    vappId: string,
    createdAt: string,
    over: Partial<Pick<RestorePointRow, 'complete' | 'lockedUntil' | 'vms'>> = {},
  ): Promise<string> {
    const id = newId();
    await this.one.catalog.recordRestorePoint({ ...point(id, vappId, createdAt, []), cloudId: CLOUD, organizationId: ORG, ...over });
    return id;
  }

  /** One a day, from 2026-11-10 on. */
  async addDailyPoints(vappId: string, count: number): Promise<string[]> {
    const made: string[] = [];
    for (let day = 0; day < count; day += 1)
      made.push(await this.addPoint(vappId, new Date(Date.parse('2026-11-10T02:00:00Z') + day * DAY_MS).toISOString()));
    return made;
  }

  async pointIds(vappId: string): Promise<string[]> {
    return (await this.one.catalog.listRestorePoints({ vappId, limit: 500 })).items.map(({ id }) => id);
  }

  /** What the first service has of it. */
  service<T>(type: new (...parts: never[]) => T): T {
    return (this.modules[0] as TestingModule).get(type as never);
  }

  /** Keeps every worker busy until `free`. */
  async occupy(lanes: number): Promise<void> {
    const gate = new Promise<void>((resolve) => {
      this.release = resolve;
    });
    this.backup = () => gate;
    for (let lane = 0; lane < lanes; lane += 1) {
      const payload = { vappId: (await this.vappIds())[0], restorePointId: newId(), settings: {} };
      await this.one.runs.create('backup', 'vApp "busy"', payload, { organizationId: ORG });
    }
    await this.running(lanes);
  }

  free(): void {
    this.release();
  }

  private release: () => void = () => undefined;

  query<T>(sql: string, parameters?: unknown[]): Promise<T[]> {
    return this.dataSource.query(sql, parameters);
  }

  /** Nothing of policies is left, and every run has ended; the inventory stays. */
  async reset(now: string): Promise<void> {
    this.backup = async () => undefined;
    this.complete = true;
    this.failDeletion = undefined;
    this.undeletable.clear();
    this.vcdAnswers = true;
    this.metadata.clear();
    this.broken.clear();
    this.registered.clear();
    this.registered.add(CLOUD);
    for (const run of await this.runsOf()) if (run.endedAt === null) await this.one.runs.cancel(run.id).catch(() => undefined);
    await this.ended('backup', 0);
    await this.ended('retention', 0);
    await this.query('TRUNCATE policies, policy_objects, policy_occurrences, policy_clock, metadata_reads, vanished_objects, legal_holds');
    await this.query('DELETE FROM restore_points');
    await this.query(`DELETE FROM obligations`);
    await this.query(`DELETE FROM runs`);
    this.deleted.length = 0;
    this.clock.set(now);
  }

  async close(): Promise<void> {
    for (const module of this.modules) await module.close();
    await this.stopDatabase();
  }

  private async startService(databaseUrl: string): Promise<void> {
    const assertDeletable = async ({ restorePointId }: { restorePointId: string }) => {
      if (this.failDeletion !== undefined) throw this.failDeletion;
      if (this.undeletable.has(restorePointId)) throw new TestError('Its key file is damaged', { code: 'KEY_FILE_DAMAGED' });
    };
    const repository = {
      assertDeletable,
      deleteManifest: async (ref: { restorePointId: string }) => {
        await assertDeletable(ref);
        this.deleted.push(ref.restorePointId);
      },
      heldRestorePoints: async () => [],
      setLegalHold: async ({ restorePointId }: { restorePointId: string }, on: boolean) => void this.held.push(`${restorePointId} ${on}`),
    };
    const policies = { tickMs: this.tickMs, metadataKey: 'vapp-vault.policy', metadataRefreshMinutes: 1, retentionMinutes: 60 };

    @Global()
    @Module({
      providers: [
        { provide: REPOSITORY, useValue: repository },
        { provide: LOGGER, useValue: silentLogger },
        { provide: CONFIG, useValue: { role: 'api', policies, alerts: { stalledQueueMinutes: 30 } } },
      ],
      exports: [REPOSITORY, LOGGER, CONFIG],
    })
    class Settled {}

    const module = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRoot({ url: databaseUrl, poolSize: 8 }),
        Settled,
        JobsModule.forRootAsync({
          useFactory: () => ({
            worker: true,
            databaseUrl,
            logger: silentLogger,
            settings: { concurrency: 4, queuePollMs: 50, cancelPollMs: 50, runsPerOrganization: 100 },
          }),
        }),
        CatalogModule,
        PolicyModule.forRootAsync({ useFactory: () => ({ sessions: async (cloudId) => this.cloud(cloudId) }), clock: this.clock }),
      ],
    }).compile();
    module.get(RunService).registerHandler('backup', async (payload: BackupPayload, run) => {
      await this.backup(payload, run);
      const createdAt = this.clock.now().toISOString();
      const made = { ...point(payload.restorePointId, payload.vappId, createdAt, []), cloudId: CLOUD, organizationId: ORG };
      await module.get(CatalogService).recordRestorePoint({ ...made, complete: this.complete });
      return { restorePointId: payload.restorePointId };
    });
    await module.init();
    this.modules.push(module);
    this.dataSource ??= module.get(DataSource);
    this.services.push({
      rounds: module.get(PolicyRounds),
      policies: module.get(PolicyService),
      views: module.get(PolicyViews),
      runs: module.get(RunService),
      catalog: module.get(CatalogService),
      removal: module.get(RestorePointRemoval),
    });
  }

  private cloud(cloudId: string) {
    if (this.broken.has(cloudId)) throw new TestError('Its row cannot be read', { code: 'BROKEN' });
    if (!this.registered.has(cloudId)) throw new TestError('There is no such cloud', { code: 'CLOUD_NOT_FOUND' });
    return { cloudName: 'production', vcd: async () => this.vcd() };
  }

  private vcd(): VcdClientApi {
    if (!this.vcdAnswers) throw new TestError('The VCD does not answer', { code: 'HOST_UNREACHABLE', retryable: true });
    const carriers = (filter: string) => {
      const [, key, value] = /^metadata:(.*)==(.*)$/.exec(filter) ?? [];
      return [...this.metadata].filter(([, entries]) =>
        entries.some((entry) => entry.key === key && (value === '*' || entry.value.toLowerCase() === value?.toLowerCase())),
      );
    };
    async function* list(filter = '') {
      for (const [id] of carriers(filter)) yield { id, vappId: id };
    }
    const empty = async function* () {};
    return {
      vapps: list,
      vms: empty,
      vappTemplates: empty,
      media: empty,
      metadataFilter: ({ key, value }: { key: string; value: string }) => `metadata:${key}==${value}`,
      readMetadata: async (href: string) => this.metadata.get(`urn:vcloud:vapp:${href.split('vapp-').at(-1)}`) ?? [],
    } as unknown as VcdClientApi;
  }
}

export class TestError extends VaultError {}

/** The vApp with this number, as VCD calls it. */
export const urnOf = (n: number) => vapp(n).id;
export const last = (keepLast: number) => ({ retention: { keepLast, timeZone: 'UTC' } });

export const choice = (value: string): MetadataEntry[] => [
  { key: 'vapp-vault.policy', type: 'MetadataStringValue', value, domain: 'GENERAL', visibility: 'READWRITE' },
];
