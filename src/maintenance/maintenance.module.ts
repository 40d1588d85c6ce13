import { Module } from '@nestjs/common';
import { CatalogModule } from '../catalog/index.js';
import { DamageAlerts } from './damage-alerts.js';
import { MaintenanceController } from './maintenance.controller.js';
import { MaintenanceSchedule } from './maintenance-schedule.js';
import { MaintenanceState } from './maintenance-state.js';
import { MaintenanceService } from './maintenance.service.js';
import { RebuildCatalogController } from './rebuild-catalog.controller.js';
import { RebuildCatalogService } from './rebuild-catalog.service.js';
import { RestorePointLocksController } from './restore-point-locks.controller.js';
import { RestorePointLocksService } from './restore-point-locks.service.js';
import { RollingVerification } from './rolling-verification.js';
import { SecondSiteService } from './second-site.service.js';

@Module({
  imports: [CatalogModule],
  controllers: [MaintenanceController, RestorePointLocksController, RebuildCatalogController],
  providers: [
    MaintenanceState,
    DamageAlerts,
    RollingVerification,
    MaintenanceService,
    SecondSiteService,
    RestorePointLocksService,
    MaintenanceSchedule,
    RebuildCatalogService,
  ],
  exports: [DamageAlerts, MaintenanceSchedule],
})
export class MaintenanceModule {}
