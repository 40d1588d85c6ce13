import { Module } from '@nestjs/common';
import { CatalogModule } from '../catalog/index.js';
import { ExportController } from './export.controller.js';
import { ExportService } from './export.service.js';

@Module({ imports: [CatalogModule], controllers: [ExportController], providers: [ExportService] })
export class ExportModule {}
