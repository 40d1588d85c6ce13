import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type PreflightQuery, preflightQuerySchema, preflightSchema } from './preflight.dto.js';
import { PreflightService } from './preflight.service.js';
import type { PreflightReport } from './report.js';

@ApiTags('clouds')
@Controller('api/v1/clouds')
export class PreflightController {
  constructor(private readonly preflight: PreflightService) {}

  @Get(':id/preflight')
  @ApiOperation({
    operationId: 'preflightCloud',
    summary: 'Looks at everything that backups and restores of a cloud need, and names what is missing',
  })
  @ApiParam({ name: 'id', description: 'Id of the cloud', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'What was found; nothing is changed anywhere', standardSchema: preflightSchema })
  async examine(@Param('id') id: string, @Query({ schema: preflightQuerySchema }) query: PreflightQuery): Promise<PreflightReport> {
    return await this.preflight.examine(id, { hostPorts: query.hostPorts === 'true' });
  }
}
