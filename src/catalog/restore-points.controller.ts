import { Controller, Delete, Get, HttpCode, Param, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { restorePointDetailSchema, restorePointPageSchema, type RestorePointQueryDto, restorePointQuerySchema } from './catalog.dto.js';
import { CatalogService } from './catalog.service.js';
import type { Page } from './cursor.js';
import { CatalogError } from './errors.js';
import { RestorePointRemoval } from './restore-point-removal.js';
import type { RestorePointSummary } from './restore-point.service.js';
import type { RestorePointRow } from './types.js';

@ApiTags('restore points')
@Controller('api/v1/restore-points')
export class RestorePointsController {
  constructor(
    private readonly catalog: CatalogService,
    private readonly removal: RestorePointRemoval,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listRestorePoints', summary: 'Lists restore points, newest first' })
  @ApiOkResponse({ description: 'One page', standardSchema: restorePointPageSchema })
  async list(@Query({ schema: restorePointQuerySchema }) query: RestorePointQueryDto): Promise<Page<RestorePointSummary>> {
    return await this.catalog.listRestorePoints(query);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getRestorePoint', summary: 'Shows one restore point with its VMs and disks' })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The restore point', standardSchema: restorePointDetailSchema })
  async view(@Param('id') id: string): Promise<RestorePointRow> {
    const point = await this.catalog.restorePoint(id);
    if (point === undefined) throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, `restore point ${id}`);
    return point;
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteRestorePoint', summary: 'Deletes a restore point for good; other restore points stay whole' })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiNoContentResponse({ description: 'It cannot be restored any more. Refused with 409 while it is read, held or locked' })
  async remove(@Param('id') id: string): Promise<void> {
    await this.removal.remove(id);
  }
}
