import { Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type RunView, runViewSchema } from '../jobs/index.js';
import { RebuildCatalogService } from './rebuild-catalog.service.js';

@ApiTags('repository')
@Controller('api/v1/repository')
export class RebuildCatalogController {
  constructor(private readonly rebuilding: RebuildCatalogService) {}

  @Post('rebuild-catalog')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'rebuildCatalog',
    summary: 'Brings the restore points of the repository that the catalog does not know into it',
  })
  @ApiAcceptedResponse({ description: 'The run, queued', standardSchema: runViewSchema })
  async rebuild(): Promise<RunView> {
    return this.rebuilding.request();
  }
}
