import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CatalogModule } from '../catalog/index.js';
import { CloudEntity } from './cloud.entity.js';
import { CloudService } from './cloud.service.js';
import { CloudLoginService } from './cloud-login.service.js';
import { CloudsController } from './clouds.controller.js';
import { InventoryAlerts } from './inventory-alerts.js';
import { InventoryRefresh } from './inventory-refresh.js';
import { PreflightController } from './preflight/preflight.controller.js';
import { PreflightService } from './preflight/preflight.service.js';
import { CredentialResealing } from './reseal-credentials.js';
import { ServiceAccountTokens } from './service-account-tokens.js';

@Module({
  imports: [TypeOrmModule.forFeature([CloudEntity]), CatalogModule],
  controllers: [CloudsController, PreflightController],
  providers: [
    CloudService,
    CloudLoginService,
    CredentialResealing,
    InventoryAlerts,
    InventoryRefresh,
    PreflightService,
    ServiceAccountTokens,
  ],
  exports: [CloudService, InventoryAlerts, InventoryRefresh],
})
export class CloudsModule {}
