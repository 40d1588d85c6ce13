import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { runViewSchema, type RunView } from '../jobs/index.js';
import type { RestorePlanView } from './plan-types.js';
import { restorePlanSchema } from './restore.dto.js';
import { RestoreService } from './restore.service.js';
import { type RestoreRequest, restoreRequestSchema } from './restore-request.js';

@ApiTags('restores')
@Controller('api/v1/restores')
export class RestoreController {
  constructor(private readonly restores: RestoreService) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'startRestore',
    summary: 'Restores a vApp, VMs, a disk, a vApp template, a medium or a first class disk from a restore point',
  })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async start(@Body({ schema: restoreRequestSchema }) request: RestoreRequest): Promise<RunView> {
    return await this.restores.request(request);
  }

  @Post('plan')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'planRestore',
    summary: 'What a restore would do, attribute by attribute, with the choices there are; changes nothing',
  })
  @ApiOkResponse({ description: 'The plan', standardSchema: restorePlanSchema })
  async plan(@Body({ schema: restoreRequestSchema }) request: RestoreRequest): Promise<RestorePlanView> {
    return await this.restores.plan(request);
  }
}
