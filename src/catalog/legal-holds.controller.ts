import { Body, Controller, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import { z } from 'zod';
import type { Principal } from '../access/index.js';
import { LegalHoldService, type LegalHoldView } from './legal-hold.service.js';

const time = z.iso.datetime();
const reason = z.string().trim().min(1).max(1000);
const holdRequestSchema = z
  .strictObject({ reason: reason.meta({ description: 'Why it must stay: the case, the order, the person who asked' }) })
  .meta({ id: 'LegalHoldRequest' });
const releaseRequestSchema = z
  .strictObject({ releaseReason: reason.meta({ description: 'Why it may go' }) })
  .meta({ id: 'LegalHoldReleaseRequest' });
const holdSchema = z
  .object({
    id: z.string(),
    restorePointId: z.string(),
    reason: z.string(),
    placedAt: time,
    placedBy: z.string().meta({ description: 'Name of the API key; "the repository" where only that knew of the hold' }),
    releasedAt: time.nullable(),
    releasedBy: z.string().nullable(),
    releaseReason: z.string().nullable(),
  })
  .meta({ id: 'LegalHold' });
const holdListSchema = z.object({ items: z.array(holdSchema) }).meta({ id: 'LegalHoldList' });

@ApiTags('restore points')
@Controller('api/v1')
export class LegalHoldsController {
  constructor(private readonly holds: LegalHoldService) {}

  @Get('restore-points/:id/legal-holds')
  @ApiOperation({ operationId: 'listLegalHolds', summary: 'Lists the legal holds of a restore point, released ones too' })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'Oldest first; also of a restore point that is gone', standardSchema: holdListSchema })
  async list(@Param('id') id: string): Promise<{ items: LegalHoldView[] }> {
    return { items: await this.holds.list(id) };
  }

  @Post('restore-points/:id/legal-holds')
  @ApiOperation({
    operationId: 'placeLegalHold',
    summary: 'Puts a legal hold on a restore point: nobody can delete it until all its holds are released',
  })
  @ApiParam({ name: 'id', description: 'Id of the restore point', schema: { type: 'string' } })
  @ApiCreatedResponse({ description: 'The hold', standardSchema: holdSchema })
  async place(
    @Param('id') id: string,
    @Body({ schema: holdRequestSchema }) body: z.output<typeof holdRequestSchema>,
    @Req() request: Request & { principal?: Principal },
  ): Promise<LegalHoldView> {
    return await this.holds.place(id, body.reason, request.principal?.name ?? '');
  }

  @Post('legal-holds/:id/release')
  @HttpCode(200)
  @ApiOperation({ operationId: 'releaseLegalHold', summary: 'Releases a legal hold; it stays in the list' })
  @ApiParam({ name: 'id', description: 'Id of the hold', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The hold', standardSchema: holdSchema })
  async release(
    @Param('id') id: string,
    @Body({ schema: releaseRequestSchema }) body: z.output<typeof releaseRequestSchema>,
    @Req() request: Request & { principal?: Principal },
  ): Promise<LegalHoldView> {
    return await this.holds.release(id, request.principal?.name ?? '', body.releaseReason);
  }
}
