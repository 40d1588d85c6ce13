import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Cron } from 'croner';
import { DataSource, type EntityManager } from 'typeorm';
import { CatalogService, RestorePointRemoval } from '../catalog/index.js';
import { CancelledError, describeError, latestCredible, type Logger, withTimeout } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import { type AwaitedRun, RunService } from '../jobs/index.js';
import { exclusiveKeyOf, MaintenanceService } from './maintenance.service.js';
import { RestorePointLocksService } from './restore-point-locks.service.js';
import { CATCH_UP_KEY, SecondSiteService } from './second-site.service.js';

const INTERVAL = 'maintenance-schedule';
const TICK_MS = 15_000;
/** A store that hangs keeps what falls due waiting no longer. */
const REMOVALS_TIMEOUT_MS = 60_000;
/** A request for each organization: at the start, and then not more often than that. */
const HOLDS_EVERY_MS = 60 * 60_000;
const HOLDS_TIMEOUT_MS = 10 * 60_000;

interface Task {
  name: string;
  /** A cron expression in UTC, or 'off'. */
  schedule: string;
  run: AwaitedRun;
  /** @returns undefined while the one before is under way: then it is asked again. */
  make: (manager: EntityManager) => Promise<string | undefined>;
}

/**
 * What falls due without anybody asking: verification, collection, copies. Every instance looks; whoever raises the row of a task to its
 * due time makes the run in the same transaction, so that there is exactly one. A time that was missed is made up for once. Each look
 * also finishes deletions that ended in the middle, and now and then brings in legal holds of which only the repository knows.
 */
@Injectable()
export class MaintenanceSchedule implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly tasks: readonly Task[];
  private current: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  private holdsDueMs = 0;

  constructor(
    private readonly dataSource: DataSource,
    private readonly scheduler: SchedulerRegistry,
    private readonly runs: RunService,
    private readonly locks: RestorePointLocksService,
    private readonly secondSite: SecondSiteService,
    private readonly removal: RestorePointRemoval,
    private readonly catalog: CatalogService,
    maintenance: MaintenanceService,
    @Inject(CONFIG) private readonly config: VaultConfig,
    @Inject(LOGGER) private readonly log: Logger,
  ) {
    this.tasks = tasksOf(config, maintenance, secondSite);
  }

  onApplicationBootstrap(): void {
    if (this.config.role === 'api') return;
    this.scheduler.addInterval(
      INTERVAL,
      setInterval(() => void this.tick(), TICK_MS),
    );
    void this.tick();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    if (this.scheduler.doesExist('interval', INTERVAL)) this.scheduler.deleteInterval(INTERVAL);
    await this.current;
  }

  /** One look; never two at once in a process. Never throws. */
  async tick(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.current ??= this.look()
      .catch((error: unknown) => this.log.warn({ reason: describeError(error) }, 'what is due in the repository could not be looked for'))
      .finally(() => {
        this.current = undefined;
      });
    await this.current;
  }

  /** What is done by schedule, and so again. */
  awaited(): AwaitedRun[] {
    return this.tasks.filter(({ schedule }) => schedule !== 'off').map(({ run }) => run);
  }

  private async look(): Promise<void> {
    // One clock for all instances.
    const [{ now }]: [{ now: Date }] = await this.dataSource.query('SELECT now() AS now');
    for (const task of this.tasks) if (task.schedule !== 'off') await this.makeIfDue(task, now);
    const { secondSite } = this.config.repository;
    if (secondSite.kind !== 'none' && secondSite.copyAfterBackup) await this.secondSite.requestNew();
    await this.locks.requestHolds();
    await withTimeout('Finishing deletions of restore points', REMOVALS_TIMEOUT_MS, this.stopping.signal, (signal) =>
      this.removal.finishBegun(signal),
    );
    if (performance.now() < this.holdsDueMs) return;
    await withTimeout('Looking for legal holds in the repository', HOLDS_TIMEOUT_MS, this.stopping.signal, (signal) =>
      this.catalog.adoptLegalHolds(signal),
    );
    this.holdsDueMs = performance.now() + HOLDS_EVERY_MS;
  }

  private async makeIfDue({ name, schedule, make }: Task, now: Date): Promise<void> {
    const due = lastDue(schedule, now);
    if (due === undefined) return;
    // A task that is new has missed nothing.
    await this.dataSource.query('INSERT INTO maintenance_schedule (task, scheduled_at) VALUES ($1, $2) ON CONFLICT (task) DO NOTHING', [
      name,
      due,
    ]);
    const made = await this.dataSource.transaction(async (manager) => {
      const [claimed]: [unknown[], number] = await manager.query(
        // Far ahead of now it is where the clock went back since: waiting for that time again could mean a year without a collection.
        // A little ahead it is what another process, which looked a moment later, has just made.
        'UPDATE maintenance_schedule SET scheduled_at = $2 WHERE task = $1 AND (scheduled_at < $2 OR scheduled_at > $3) RETURNING task',
        [name, due, latestCredible(now)],
      );
      if (claimed.length === 0) return false;
      const runId = await make(manager);
      if (runId === undefined) {
        // One that somebody asked for is under way; this one follows it.
        await manager.query(`UPDATE maintenance_schedule SET scheduled_at = $2::timestamptz - interval '1 second' WHERE task = $1`, [
          name,
          due,
        ]);
        return false;
      }
      await manager.query('UPDATE maintenance_schedule SET run_id = $2 WHERE task = $1', [name, runId]);
      return true;
    });
    if (made) this.runs.ring();
  }
}

/** The last time at or before `now` at which the expression was true, in UTC. */
export function lastDue(schedule: string, now: Date): Date | undefined {
  const [due] = new Cron(schedule, { paused: true, timezone: 'UTC', mode: '5-part' }).previousRuns(1, new Date(now.getTime() + 1));
  return due;
}

function tasksOf(config: VaultConfig, maintenance: MaintenanceService, secondSite: SecondSiteService): Task[] {
  const { verifySchedule, gcSchedule, gcGraceHours, copySchedule } = config.maintenance;
  const ofSite = (site: 'first' | 'second'): Task[] => [
    {
      name: `gc:${site}`,
      schedule: gcSchedule,
      run: { kind: 'gc', exclusiveKey: exclusiveKeyOf('gc', site) },
      make: (manager) => maintenance.collectWithin(manager, { graceHours: gcGraceHours, site }),
    },
    {
      name: `verify:${site}`,
      schedule: verifySchedule,
      run: { kind: 'verify', exclusiveKey: exclusiveKeyOf('verify', site) },
      make: (manager) => maintenance.verifyWithin(manager, { mode: 'rolling', samplePercent: 100, site }),
    },
  ];
  if (config.repository.secondSite.kind === 'none') return ofSite('first');
  const copy: Task = {
    name: 'copy',
    schedule: copySchedule,
    run: { kind: 'copy', exclusiveKey: CATCH_UP_KEY },
    make: (manager) => secondSite.catchUpWithin(manager),
  };
  return [...ofSite('first'), ...ofSite('second'), copy];
}
