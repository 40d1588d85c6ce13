import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AdoptionService } from './adoption.service.js';
import { CatalogController } from './catalog.controller.js';
import { CatalogService } from './catalog.service.js';
import { catalogEntities } from './entities.js';
import { FirstClassDiskService } from './first-class-disk.service.js';
import { HalfWrittenDisks } from './half-written-disks.js';
import { IdentityService } from './identity.service.js';
import { InventoryService } from './inventory.service.js';
import { LegalHoldService } from './legal-hold.service.js';
import { LegalHoldsController } from './legal-holds.controller.js';
import { RestorePointService } from './restore-point.service.js';
import { RestorePointHolds } from './restore-point-holds.js';
import { RestorePointRemoval } from './restore-point-removal.js';
import { RestorePointsController } from './restore-points.controller.js';
import { ResourceQueryService } from './resource-query.service.js';
import { RetentionQueryService } from './retention-query.service.js';
import { VappQueryService } from './vapp-query.service.js';

@Module({
  imports: [TypeOrmModule.forFeature(catalogEntities)],
  controllers: [CatalogController, RestorePointsController, LegalHoldsController],
  providers: [
    AdoptionService,
    FirstClassDiskService,
    HalfWrittenDisks,
    IdentityService,
    InventoryService,
    RestorePointService,
    RestorePointHolds,
    LegalHoldService,
    RestorePointRemoval,
    RetentionQueryService,
    ResourceQueryService,
    VappQueryService,
    CatalogService,
  ],
  exports: [CatalogService, RestorePointRemoval, RetentionQueryService, RestorePointHolds],
})
export class CatalogModule {}
