import { type DynamicModule, type FactoryProvider, Module, type ModuleMetadata, type OnModuleInit } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CatalogModule, CatalogService } from '../catalog/index.js';
import { type Clock, systemClock } from '../common/index.js';
import { PolicyAlerts } from './alerts/policy-alerts.js';
import { PolicyClockStore } from './clock-store.js';
import { CoverageService } from './coverage.service.js';
import { MetadataAlerts } from './alerts/metadata-alerts.js';
import { MetadataReadStore } from './metadata-read-store.js';
import { MetadataRefresh } from './metadata-refresh.service.js';
import { PolicyObjectStore } from './object-store.js';
import { OccurrenceStore } from './occurrence-store.js';
import { PoliciesController } from './policies.controller.js';
import { PolicyEntity } from './policy.entity.js';
import { CLOCK, PolicyService } from './policy.service.js';
import { PolicyProtection } from './policy-protection.service.js';
import { PolicyRounds } from './policy-rounds.js';
import { PolicyRuns } from './policy-runs.service.js';
import { PolicyTicks } from './policy-ticks.js';
import { PolicyViews } from './policy-views.service.js';
import { RetentionService } from './retention.service.js';
import { CLOUD_ACCESS, type CloudAccess, ScopeService } from './scope.service.js';
import { ScopesController } from './scopes.controller.js';
import { TenantPolicies } from './tenant-policies.js';
import { VanishedAlerts } from './alerts/vanished-alerts.js';

@Module({})
export class PolicyModule implements OnModuleInit {
  constructor(
    private readonly catalog: CatalogService,
    private readonly protection: PolicyProtection,
  ) {}

  /**
   * Global: whoever starts runs may ask what a scope means.
   * @param options how this room reaches a cloud, and what time it is where that is not the machine's.
   */
  static forRootAsync(
    options: Pick<FactoryProvider<CloudAccess>, 'inject' | 'useFactory'> & Pick<ModuleMetadata, 'imports'> & { clock?: Clock | undefined },
  ): DynamicModule {
    return {
      module: PolicyModule,
      global: true,
      imports: [CatalogModule, TypeOrmModule.forFeature([PolicyEntity]), ...(options.imports ?? [])],
      controllers: [ScopesController, PoliciesController],
      providers: [
        { provide: CLOUD_ACCESS, inject: options.inject ?? [], useFactory: options.useFactory },
        { provide: CLOCK, useValue: options.clock ?? systemClock },
        ScopeService,
        PolicyService,
        PolicyClockStore,
        PolicyObjectStore,
        OccurrenceStore,
        CoverageService,
        MetadataReadStore,
        MetadataRefresh,
        MetadataAlerts,
        PolicyRuns,
        RetentionService,
        PolicyRounds,
        PolicyTicks,
        PolicyViews,
        TenantPolicies,
        PolicyAlerts,
        PolicyProtection,
        VanishedAlerts,
      ],
      exports: [ScopeService, MetadataAlerts, PolicyAlerts, PolicyProtection, PolicyRounds, PolicyService, VanishedAlerts],
    };
  }

  /** A legal hold of a policy keeps a restore point from people, too. */
  onModuleInit(): void {
    this.catalog.registerRestorePointKeeper(({ vappId }) => this.protection.whyHeld(vappId));
  }
}
