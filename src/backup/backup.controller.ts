import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { runViewSchema, type RunView } from '../jobs/index.js';
import { type Scope, scopeSchema } from '../policy/index.js';
import { BackupService, type ScopeBackups } from './backup.service.js';
import { backupSettingsSchema } from './backup-settings.js';

const backupRequestSchema = z
  .object({
    vappId: z.string().optional().describe('Id of a vApp, standalone VM, vApp template or medium in the catalog (GET /api/v1/vapps)'),
    scope: scopeSchema.optional().describe('Instead of one: all that a scope means today'),
    settings: backupSettingsSchema.prefault({}),
  })
  .strict()
  .refine(({ vappId, scope }) => (vappId === undefined) !== (scope === undefined), {
    message: 'Either `vappId` or `scope` says what to back up, not both and not neither',
  })
  .meta({ id: 'BackupRequest' });

type BackupRequest = z.infer<typeof backupRequestSchema>;

const scopeBackupsSchema = z
  .object({
    runs: z.array(runViewSchema),
    skipped: z.array(z.object({ name: z.string(), reason: z.string() })).describe('Meant by the scope, and not backed up now'),
    warnings: z.array(z.string()).describe('Conditions of the scope that nothing in the inventory meets'),
  })
  .meta({ id: 'ScopeBackups' });

@ApiTags('backups')
@Controller('api/v1/backups')
export class BackupController {
  constructor(private readonly backups: BackupService) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'startBackup',
    summary: 'Backs up a vApp, standalone VM, vApp template or medium, or all that a scope means, now',
  })
  @ApiAcceptedResponse({
    description: 'For one object its run, queued; for a scope one run for each object',
    standardSchema: z.union([runViewSchema, scopeBackupsSchema]),
  })
  async start(@Body({ schema: backupRequestSchema }) { vappId, scope, settings }: BackupRequest): Promise<RunView | ScopeBackups> {
    // The schema lets exactly one of them through.
    return vappId === undefined ? this.backups.requestScope(scope as Scope, settings) : this.backups.request(vappId, settings);
  }
}
