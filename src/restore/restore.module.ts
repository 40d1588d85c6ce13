import { Module } from '@nestjs/common';
import { CatalogModule } from '../catalog/index.js';
import { CloudsModule } from '../clouds/index.js';
import { RestoreController } from './restore.controller.js';
import { RestoreService } from './restore.service.js';

@Module({ imports: [CatalogModule, CloudsModule], controllers: [RestoreController], providers: [RestoreService] })
export class RestoreModule {}
