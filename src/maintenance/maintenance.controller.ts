import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { runViewSchema, type RunView } from '../jobs/index.js';
import {
  type CollectRequest,
  collectRequestSchema,
  type CopyRequest,
  copyRequestSchema,
  type VerifyRequest,
  verifyRequestSchema,
} from './maintenance.dto.js';
import { MaintenanceService } from './maintenance.service.js';
import { SecondSiteService } from './second-site.service.js';

@ApiTags('repository')
@Controller('api/v1/repository')
export class MaintenanceController {
  constructor(
    private readonly maintenance: MaintenanceService,
    private readonly secondSite: SecondSiteService,
  ) {}

  @Post('verify')
  @HttpCode(202)
  @ApiOperation({ operationId: 'verifyRepository', summary: 'Looks for damage in the repository and names what it costs' })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async verify(@Body({ schema: verifyRequestSchema }) request: VerifyRequest): Promise<RunView> {
    return this.maintenance.requestVerify(request);
  }

  @Post('gc')
  @HttpCode(202)
  @ApiOperation({ operationId: 'collectGarbage', summary: 'Gives back the space of what no restore point refers to any more' })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async collect(@Body({ schema: collectRequestSchema }) request: CollectRequest): Promise<RunView> {
    return this.maintenance.requestCollection(request);
  }

  @Post('copies')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'copyToSecondSite',
    summary: 'Copies what the second site lacks, and removes there what was deleted long enough ago',
  })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async copy(@Body({ schema: copyRequestSchema }) request: CopyRequest): Promise<RunView> {
    return this.secondSite.request(request);
  }
}
