import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { AlertService } from '../alerts/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { RunHealthService } from '../jobs/index.js';
import { degradedBackups, failedRuns, nearlyFull, stalledQueue, stuckObligations } from './alert-sources.js';
import { MetricsController } from './metrics.controller.js';
import { RepositorySpace } from './repository-space.js';

@Module({})
export class MonitoringModule implements OnModuleInit {
  constructor(
    private readonly alerts: AlertService,
    private readonly health: RunHealthService,
    private readonly space: RepositorySpace,
    @Inject(CONFIG) private readonly config: VaultConfig,
  ) {}

  /** @param options.listens whether there is anybody to ask: a worker alone does not listen. */
  static forRoot({ listens }: { listens: boolean }): DynamicModule {
    return {
      module: MonitoringModule,
      controllers: listens ? [MetricsController] : [],
      providers: [
        { provide: RepositorySpace, inject: [CONFIG], useFactory: ({ repository }: VaultConfig) => new RepositorySpace(repository) },
      ],
    };
  }

  onModuleInit(): void {
    const { health, space, config } = this;
    this.alerts.registerSource('run-failed', () => failedRuns(health));
    this.alerts.registerSource('backup-degraded', () => degradedBackups(health));
    this.alerts.registerSource('obligation-stuck', () => stuckObligations(health, config.alerts));
    this.alerts.registerSource('repository-nearly-full', (signal) => nearlyFull('first', space, config.alerts, signal));
    this.alerts.registerSource('second-site-nearly-full', (signal) => nearlyFull('second', space, config.alerts, signal));
    this.alerts.registerSource('queue-stalled', () => stalledQueue(health, config.alerts), { mustLast: true });
  }
}
