import { Controller, Get, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import { z } from 'zod';
import { OpenToOrganizations } from '../access/index.js';
import { AlertService } from './alert.service.js';
import type { AlertView } from './types.js';

const time = z.iso.datetime();
const alertSchema = z
  .object({
    id: z.string(),
    kind: z.string().meta({ description: 'Such as run-failed or rpo-missed' }),
    severity: z.enum(['warning', 'critical']),
    organizationId: z.string().meta({ description: 'Empty where it is the provider’s matter alone' }),
    subject: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
    firstAt: time,
    lastAt: time.meta({ description: 'When it was last seen to hold' }),
    resolvedAt: time.nullable(),
  })
  .meta({ id: 'Alert' });
const alertPageSchema = z.object({ items: z.array(alertSchema), nextCursor: z.string().nullable() }).meta({ id: 'AlertPage' });

const alertQuerySchema = z.strictObject({
  state: z.enum(['firing', 'resolved', 'all']).default('firing'),
  kind: z.string().max(64).optional(),
  severity: z.enum(['warning', 'critical']).optional(),
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

@ApiTags('alerts')
@OpenToOrganizations()
@Controller('api/v1/alerts')
export class AlertsController {
  constructor(private readonly alerts: AlertService) {}

  @Get()
  @ApiOperation({ operationId: 'listAlerts', summary: 'Lists what is wrong now, or was, newest first' })
  @ApiOkResponse({ description: 'One page of alerts', standardSchema: alertPageSchema })
  async list(
    @Query({ schema: alertQuerySchema }) query: z.output<typeof alertQuerySchema>,
    @Req() request: Request,
  ): Promise<{ items: AlertView[]; nextCursor: string | null }> {
    // A key of an organization sees that organization alone; what is the provider's matter has none.
    const organizationId = request.principal?.organizationId ?? undefined;
    return await this.alerts.list({ ...query, ...(organizationId !== undefined && { organizationId }) });
  }
}
