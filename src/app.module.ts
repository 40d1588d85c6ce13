import { type DynamicModule, Module, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AccessModule, type AccessOptions } from './access/index.js';
import { AlertService, AlertsModule, type AlertTimes } from './alerts/index.js';
import { BackupModule } from './backup/index.js';
import { CatalogModule, CatalogService, knowsRestorePoints } from './catalog/index.js';
import { CloudService, CloudsModule, cloudPayers, InventoryAlerts, payerOptions } from './clouds/index.js';
import type { Clock, Logger } from './common/index.js';
import { ConfigModule, type VaultConfig } from './config/index.js';
import { DatabaseModule } from './database/index.js';
import { ExportModule } from './export/index.js';
import { HttpModule, type ReadinessCheck } from './http/index.js';
import { JobsModule, type JobsOptions, type JobsSettings, ObligationService, RunHealthService, RunService } from './jobs/index.js';
import { DamageAlerts, MaintenanceModule, MaintenanceSchedule } from './maintenance/index.js';
import { MonitoringModule } from './monitoring/index.js';
import { MetadataAlerts, PolicyAlerts, PolicyModule, VanishedAlerts } from './policy/index.js';
import { REPOSITORY, type RepositoryApi, RepositoryModule } from './repository/index.js';
import { RestoreModule } from './restore/index.js';

const DAY_MS = 24 * 60 * 60_000;

/** What is settled before Nest begins. */
export interface Settled {
  config: VaultConfig;
  log: Logger;
  masterKey: Buffer;
  formerMasterKey?: Buffer | undefined;
  databaseUrl: string;
  access: AccessOptions;
  jobs?: Partial<JobsSettings>;
  alerts?: Partial<AlertTimes> | undefined;
  /** What time it is for policies; the machine's where nothing is said. */
  clock?: Clock | undefined;
}

/** The one place that knows every room. */
@Module({})
export class AppModule implements OnModuleInit {
  constructor(
    private readonly obligations: ObligationService,
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    private readonly clouds: CloudService,
    private readonly alerts: AlertService,
    private readonly policyAlerts: PolicyAlerts,
    private readonly vanishedAlerts: VanishedAlerts,
    private readonly metadataAlerts: MetadataAlerts,
    private readonly inventoryAlerts: InventoryAlerts,
    private readonly damageAlerts: DamageAlerts,
    private readonly health: RunHealthService,
    private readonly maintenance: MaintenanceSchedule,
  ) {}

  static forRoot(settled: Settled): DynamicModule {
    const { config, log, masterKey, formerMasterKey, databaseUrl } = settled;
    const edge = [
      AccessModule.forRoot(settled.access),
      HttpModule.forRootAsync({
        inject: [REPOSITORY],
        useFactory: (repository: RepositoryApi): ReadinessCheck[] => [{ name: 'repository', check: (signal) => repository.check(signal) }],
      }),
    ];
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({ config, log, masterKey, formerMasterKey }),
        DatabaseModule.forRoot({ url: databaseUrl, poolSize: config.database.poolSize }),
        JobsModule.forRootAsync({ useFactory: () => jobsOptions(settled) }),
        AlertsModule.forRootAsync({ useFactory: () => ({ logger: log, ...alertsOptions(settled) }) }),
        RepositoryModule.forRootAsync({
          inject: [DataSource],
          useFactory: (dataSource: DataSource) => ({ wasUsed: () => knowsRestorePoints(dataSource) }),
        }),
        CatalogModule,
        CloudsModule,
        PolicyModule.forRootAsync({
          imports: [CloudsModule],
          inject: [CloudService],
          useFactory: (clouds: CloudService) => clouds,
          clock: settled.clock,
        }),
        BackupModule,
        RestoreModule,
        MaintenanceModule,
        ExportModule,
        MonitoringModule.forRoot({ listens: config.role !== 'worker' }),
        ...(config.role === 'worker' ? [] : edge),
      ],
    };
  }

  /** Both ways through the data incur the same debts, and neither may know the other: they are paid from here. */
  onModuleInit(): void {
    const payers = cloudPayers({
      sessions: (cloudId) => this.clouds.sessions(cloudId),
      vddk: () => this.clouds.vddkSettings(),
    });
    for (const [kind, payer] of payers) this.obligations.registerPayer(kind, payer, payerOptions(kind));
    // Restore points and half written disks name the run that made them, and neither room knows the other.
    this.runs.registerReferences((runIds) => this.catalog.runsNamed(runIds));
    this.health.registerAwaited(() => this.policyAlerts.awaited());
    this.health.registerAwaited(async () => this.maintenance.awaited());
    this.alerts.registerSource('rpo-missed', () => this.policyAlerts.missedRpo());
    this.alerts.registerSource('protection-lost', () => this.policyAlerts.protectionLost());
    this.alerts.registerSource('objects-vanished', (signal) => this.vanishedAlerts.firing(signal));
    this.alerts.registerSource('policies-stalled', () => this.policyAlerts.stalled(), { mustLast: true });
    this.alerts.registerSource('metadata-stale', () => this.metadataAlerts.firing());
    this.alerts.registerSource('inventory-stale', () => this.inventoryAlerts.firing());
    this.alerts.registerSource('repository-damaged', () => this.damageAlerts.firing());
  }
}

function alertsOptions({ config, alerts }: Settled) {
  const { webhook, email, lookMs } = config.alerts;
  return { webhook, email, times: { lookMs, ...alerts } };
}

function jobsOptions({ config, log, databaseUrl, jobs }: Settled): JobsOptions {
  return {
    worker: config.role !== 'api',
    databaseUrl,
    logger: log,
    settings: {
      concurrency: config.limits.runsPerWorker,
      leaseExpiryMs: config.lease.durationMs,
      leaseRenewMs: config.lease.renewMs,
      sweepMs: config.lease.sweepMs,
      lateRequestMs: config.lease.lateRequestMs,
      runsPerOrganization: config.limits.runsPerOrganization,
      rememberMs: config.runs.rememberDays * DAY_MS,
      drainMs: config.shutdown.drainMs,
      ...jobs,
    },
  };
}
