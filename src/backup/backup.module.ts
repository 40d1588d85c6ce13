import { Module } from '@nestjs/common';
import { CatalogModule } from '../catalog/index.js';
import { CloudsModule } from '../clouds/index.js';
import { BackupController } from './backup.controller.js';
import { BackupService } from './backup.service.js';

@Module({ imports: [CatalogModule, CloudsModule], controllers: [BackupController], providers: [BackupService] })
export class BackupModule {}
