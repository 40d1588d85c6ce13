import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CatalogModule } from '../catalog/index.js';
import { CloudEntity } from './cloud.entity.js';
import { CloudService } from './cloud.service.js';
import { CloudsController } from './clouds.controller.js';

@Module({
  imports: [TypeOrmModule.forFeature([CloudEntity]), CatalogModule],
  controllers: [CloudsController],
  providers: [CloudService],
  exports: [CloudService],
})
export class CloudsModule {}
