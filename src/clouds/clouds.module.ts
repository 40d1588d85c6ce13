import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CatalogModule } from '../catalog/index.js';
import { CloudEntity } from './cloud.entity.js';
import { CloudService } from './cloud.service.js';
import { CloudLoginService } from './cloud-login.service.js';
import { CloudsController } from './clouds.controller.js';
import { PreflightController } from './preflight/preflight.controller.js';
import { PreflightService } from './preflight/preflight.service.js';
import { ServiceAccountTokens } from './service-account-tokens.js';

@Module({
  imports: [TypeOrmModule.forFeature([CloudEntity]), CatalogModule],
  controllers: [CloudsController, PreflightController],
  providers: [CloudService, CloudLoginService, PreflightService, ServiceAccountTokens],
  exports: [CloudService],
})
export class CloudsModule {}
