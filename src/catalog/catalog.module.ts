import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CatalogController } from './catalog.controller.js';
import { CatalogService } from './catalog.service.js';
import { catalogEntities } from './entities.js';
import { IdentityService } from './identity.service.js';
import { InventoryService } from './inventory.service.js';
import { RestorePointService } from './restore-point.service.js';
import { RestorePointRemoval } from './restore-point-removal.js';
import { RestorePointsController } from './restore-points.controller.js';
import { ResourceQueryService } from './resource-query.service.js';
import { VappQueryService } from './vapp-query.service.js';

@Module({
  imports: [TypeOrmModule.forFeature(catalogEntities)],
  controllers: [CatalogController, RestorePointsController],
  providers: [
    IdentityService,
    InventoryService,
    RestorePointService,
    RestorePointRemoval,
    ResourceQueryService,
    VappQueryService,
    CatalogService,
  ],
  exports: [CatalogService],
})
export class CatalogModule {}
