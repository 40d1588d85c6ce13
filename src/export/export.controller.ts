import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { AdministratorsOnly, OpenToOrganizations } from '../access/index.js';
import { CancelledError } from '../common/index.js';
import { type DiskExportQuery, diskExportQuerySchema, type PointExportQuery, pointExportQuerySchema } from './export.dto.js';
import { type ExportRequest, ExportService } from './export.service.js';
import { send } from './send.js';

const BYTES = 'application/octet-stream';

/** A disk's content is what a tenant keeps secret: reading it takes more than looking at lists. */
@ApiTags('exports')
@AdministratorsOnly()
@OpenToOrganizations()
@Controller('api/v1/restore-points')
export class ExportController {
  constructor(private readonly exports: ExportService) {}

  @Get(':id/disks/:diskId/export')
  @ApiOperation({ operationId: 'exportDisk', summary: 'Streams one disk of a restore point as an image' })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiParam({ name: 'diskId', description: 'Id of the disk, as the restore point names it', schema: { type: 'string' } })
  @ApiProduces(BYTES)
  @ApiOkResponse({ description: 'The image, whole', content: { [BYTES]: { schema: { type: 'string', format: 'binary' } } } })
  @ApiResponse({ status: 206, description: 'The part that Range asks for; not of vmdk-stream-optimized' })
  @ApiResponse({ status: 416, description: 'Nothing of the range is there' })
  async disk(
    @Param('id') restorePointId: string,
    @Param('diskId') diskId: string,
    @Query({ schema: diskExportQuerySchema }) { format }: DiskExportQuery,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await this.answer({ restorePointId, diskId, format }, request, response);
  }

  @Get(':id/export')
  @ApiOperation({ operationId: 'exportRestorePoint', summary: 'Streams a whole vApp, VM or template as OVA, or a medium as it was' })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiProduces(BYTES)
  @ApiOkResponse({ description: 'The package or medium, whole', content: { [BYTES]: { schema: { type: 'string', format: 'binary' } } } })
  @ApiResponse({ status: 206, description: 'The part that Range asks for' })
  @ApiResponse({ status: 416, description: 'Nothing of the range is there' })
  async point(
    @Param('id') restorePointId: string,
    @Query({ schema: pointExportQuerySchema }) { format }: PointExportQuery,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await this.answer({ restorePointId, format }, request, response);
  }

  private async answer(
    wanted: Pick<ExportRequest, 'restorePointId' | 'diskId' | 'format'>,
    request: Request,
    response: Response,
  ): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) gone.abort(new CancelledError('The connection was closed'));
    });
    const { principal } = request;
    try {
      await this.exports.run({ ...wanted, principal, range: request.headers.range, gone: gone.signal }, (file, signal) =>
        send(file, request, response, signal),
      );
    } catch (error) {
      // Told to nobody any more, and written down already.
      if (response.destroyed || response.headersSent) return;
      throw error;
    }
  }
}
