import { type DynamicModule, type FactoryProvider, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from '../common/index.js';
import type { EmailSettings, WebhookSettings } from '../config/index.js';
import { AlertDelivery } from './alert-delivery.js';
import { AlertStore } from './alert-store.js';
import { AlertService } from './alert.service.js';
import { AlertsController } from './alerts.controller.js';
import { ALERTS_ENVIRONMENT, type AlertsEnvironment, defaultAlertTimes } from './settings.js';
import type { AlertTimes } from './types.js';

export interface AlertsOptions {
  logger: Logger;
  webhook?: WebhookSettings | undefined;
  email?: EmailSettings | undefined;
  times?: Partial<AlertTimes>;
}

/** Global: every room that finds something wrong registers a source. */
@Module({})
export class AlertsModule implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    private readonly alerts: AlertService,
    private readonly delivery: AlertDelivery,
  ) {}

  static forRootAsync(options: Pick<FactoryProvider<AlertsOptions>, 'inject' | 'useFactory'>): DynamicModule {
    return {
      module: AlertsModule,
      global: true,
      controllers: [AlertsController],
      providers: [
        {
          provide: ALERTS_ENVIRONMENT,
          inject: options.inject ?? [],
          useFactory: async (...dependencies: unknown[]) => toEnvironment(await options.useFactory(...dependencies)),
        },
        AlertStore,
        AlertDelivery,
        AlertService,
      ],
      exports: [AlertService],
    };
  }

  /** After every room has registered its sources. */
  onApplicationBootstrap(): void {
    this.alerts.start();
    this.delivery.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.alerts.stop();
    await this.delivery.stop();
  }
}

function toEnvironment({ logger, webhook, email, times }: AlertsOptions): AlertsEnvironment {
  return { logger, webhook, email, times: { ...defaultAlertTimes, ...times } };
}
