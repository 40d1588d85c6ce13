import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { runViewSchema, type RunView } from '../jobs/index.js';
import { BackupService } from './backup.service.js';
import { backupSettingsSchema } from './backup-settings.js';

const backupRequestSchema = z
  .object({
    vappId: z.string().describe('Id of the vApp in the catalog (GET /api/v1/vapps)'),
    settings: backupSettingsSchema.prefault({}),
  })
  .strict()
  .meta({ id: 'BackupRequest' });

type BackupRequest = z.infer<typeof backupRequestSchema>;

@ApiTags('backups')
@Controller('api/v1/backups')
export class BackupController {
  constructor(private readonly backups: BackupService) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({ operationId: 'startBackup', summary: 'Backs up a vApp now' })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async start(@Body({ schema: backupRequestSchema }) request: BackupRequest): Promise<RunView> {
    return await this.backups.request(request.vappId, request.settings);
  }
}
