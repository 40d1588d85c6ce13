import { hostname } from 'node:os';
import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { newId } from '../common/index.js';
import { LeaseKeeper } from './lease-keeper.js';
import { ObligationEntity } from './obligation.entity.js';
import { ObligationService } from './obligation.service.js';
import { PermitService } from './permit.service.js';
import { PutBackDatabase } from './put-back-database.js';
import { RunEntity } from './run.entity.js';
import { RunService } from './run.service.js';
import { RunChanges } from './run-changes.js';
import { RunEvents } from './run-events.js';
import { RunHealthService } from './run-health.service.js';
import { RunHistory } from './run-history.js';
import { RunQueue } from './run-queue.js';
import { RunRegistry } from './run-registry.js';
import { RunRetry } from './run-retry.js';
import { RunStore } from './run-store.js';
import { RunSweep } from './run-sweep.js';
import { RunWorker } from './run-worker.js';
import { RunsController } from './runs.controller.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment, type JobsOptions, resolveJobsSettings } from './settings.js';

/** Global: every room that makes runs needs the same registry and queue. */
@Module({})
export class JobsModule implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    private readonly queue: RunQueue,
    private readonly worker: RunWorker,
    private readonly sweep: RunSweep,
    private readonly keeper: LeaseKeeper,
    private readonly events: RunEvents,
    private readonly permits: PermitService,
    private readonly putBack: PutBackDatabase,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  static forRootAsync(options: Pick<FactoryProvider<JobsOptions>, 'inject' | 'useFactory'>): DynamicModule {
    return {
      module: JobsModule,
      global: true,
      imports: [ScheduleModule.forRoot(), TypeOrmModule.forFeature([RunEntity, ObligationEntity])],
      controllers: [RunsController],
      providers: [
        {
          provide: JOBS_ENVIRONMENT,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]) => toEnvironment(await options.useFactory(...dependencies)),
        },
        RunRegistry,
        RunQueue,
        RunStore,
        LeaseKeeper,
        PermitService,
        ObligationService,
        PutBackDatabase,
        RunWorker,
        RunHistory,
        RunSweep,
        RunChanges,
        RunEvents,
        RunRetry,
        RunService,
        RunHealthService,
      ],
      exports: [RunService, ObligationService, PermitService, RunHealthService],
    };
  }

  async onModuleInit(): Promise<void> {
    await this.queue.start();
  }

  /** After every room has registered its handlers and payers. */
  async onApplicationBootstrap(): Promise<void> {
    await this.putBack.notice();
    if (!this.environment.worker) return;
    this.worker.start();
    this.sweep.start();
  }

  /**
   * Before the rooms below close what clean-ups need: Nest destroys in the order of distance, so
   * service.ts calls this first; a second call does nothing.
   */
  async onModuleDestroy(): Promise<void> {
    this.stopped ??= this.stop();
    await this.stopped;
  }

  private stopped: Promise<void> | undefined;

  private async stop(): Promise<void> {
    await Promise.all([this.worker.stop(), this.sweep.stop()]);
    await this.events.stop();
    await this.permits.stop();
    await this.keeper.stop();
    await this.queue.stop();
  }
}

function toEnvironment(options: JobsOptions): JobsEnvironment {
  return {
    worker: options.worker,
    databaseUrl: options.databaseUrl,
    logger: options.logger,
    settings: resolveJobsSettings(options.settings),
    workerId: `${hostname()}:${process.pid}:${newId()}`,
  };
}
