import { type DynamicModule, Module, type OnModuleInit } from '@nestjs/common';
import { AccessModule, type AccessOptions } from './access/index.js';
import { BackupModule } from './backup/index.js';
import { CatalogModule } from './catalog/index.js';
import { CloudService, CloudsModule, cloudPayers } from './clouds/index.js';
import type { Logger } from './common/index.js';
import { ConfigModule, type VaultConfig } from './config/index.js';
import { DatabaseModule } from './database/index.js';
import { HttpModule, type ReadinessCheck } from './http/index.js';
import { JobsModule, type JobsOptions, type JobsSettings, ObligationService } from './jobs/index.js';
import { MaintenanceModule } from './maintenance/index.js';
import { PolicyModule } from './policy/index.js';
import { REPOSITORY, type RepositoryApi, RepositoryModule } from './repository/index.js';
import { RestoreModule } from './restore/index.js';

/** What is settled before Nest begins. */
export interface Settled {
  config: VaultConfig;
  log: Logger;
  masterKey: Buffer;
  databaseUrl: string;
  access: AccessOptions;
  jobs?: Partial<JobsSettings>;
}

/** The one place that knows every room. */
@Module({})
export class AppModule implements OnModuleInit {
  constructor(
    private readonly obligations: ObligationService,
    private readonly clouds: CloudService,
  ) {}

  static forRoot(settled: Settled): DynamicModule {
    const { config, log, masterKey, databaseUrl } = settled;
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
        ConfigModule.forRoot({ config, log, masterKey }),
        DatabaseModule.forRoot({ url: databaseUrl, poolSize: config.database.poolSize }),
        JobsModule.forRootAsync({ useFactory: () => jobsOptions(settled) }),
        RepositoryModule,
        CatalogModule,
        CloudsModule,
        PolicyModule.forRootAsync({ imports: [CloudsModule], inject: [CloudService], useFactory: (clouds: CloudService) => clouds }),
        BackupModule,
        RestoreModule,
        MaintenanceModule,
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
    for (const [kind, payer] of payers) this.obligations.registerPayer(kind, payer);
  }
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
      ...jobs,
    },
  };
}
