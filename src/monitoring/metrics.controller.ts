import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { AlertService } from '../alerts/index.js';
import { RunHealthService } from '../jobs/index.js';
import { Metrics } from './metrics.js';
import { RepositorySpace } from './repository-space.js';

@ApiTags('service')
@Controller('metrics')
export class MetricsController {
  private readonly metrics: Metrics;

  constructor(health: RunHealthService, alerts: AlertService, space: RepositorySpace) {
    this.metrics = new Metrics(health, alerts, space);
  }

  @Get()
  @ApiOperation({ operationId: 'readMetrics', summary: 'Figures of the whole service for Prometheus' })
  @ApiProduces('text/plain')
  @ApiOkResponse({ description: 'The text format of Prometheus', schema: { type: 'string' } })
  async read(@Res() response: Response): Promise<void> {
    const text = await this.metrics.text();
    response.setHeader('Content-Type', this.metrics.contentType);
    response.setHeader('Cache-Control', 'no-store');
    response.send(text);
  }
}
