import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { z } from 'zod';
import { Public } from '../access/index.js';
import { type Readiness, ReadinessService } from './readiness.js';

const state = z.enum(['ok', 'unavailable']);
const livenessSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });
const readinessSchema = z.object({ status: state, checks: z.record(z.string(), state) }).meta({ id: 'Readiness' });

@ApiTags('service')
@Public()
@Controller('api/health')
export class HealthController {
  constructor(private readonly readiness: ReadinessService) {}

  @Get('live')
  @ApiOperation({ operationId: 'live', summary: 'Tells that the process answers' })
  @ApiOkResponse({ description: 'It does', standardSchema: livenessSchema })
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ operationId: 'ready', summary: 'Tells whether the service can do its work now' })
  @ApiOkResponse({ description: 'It can', standardSchema: readinessSchema })
  @ApiServiceUnavailableResponse({ description: 'It cannot; the checks say why', standardSchema: readinessSchema })
  async ready(@Res({ passthrough: true }) response: Response): Promise<Readiness> {
    const readiness = await this.readiness.check();
    response.status(readiness.status === 'ok' ? 200 : 503);
    return readiness;
  }
}
