import { Body, Controller, Param, Put } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type LockRequest, lockRequestSchema, type LockView, lockViewSchema } from './maintenance.dto.js';
import { RestorePointLocksService } from './restore-point-locks.service.js';

@ApiTags('restore points')
@Controller('api/v1/restore-points')
export class RestorePointLocksController {
  constructor(private readonly locks: RestorePointLocksService) {}

  @Put(':id/lock')
  @ApiOperation({
    operationId: 'lockRestorePoint',
    summary: 'Keeps a restore point until a date, against everybody; a lock can be extended, never shortened',
  })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The lock as it is now', standardSchema: lockViewSchema })
  async extend(@Param('id') id: string, @Body({ schema: lockRequestSchema }) request: LockRequest): Promise<LockView> {
    return this.locks.extend(id, request);
  }
}
