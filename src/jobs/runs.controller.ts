import { once } from 'node:events';
import { Controller, Get, HttpCode, Inject, Param, Post, Query, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { RunService } from './run.service.js';
import { RunEvents } from './run-events.js';
import { type RunQuery, runPageSchema, runQuerySchema, runViewSchema } from './runs.dto.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { RunView } from './types.js';

@ApiTags('runs')
@Controller('api/v1/runs')
export class RunsController {
  constructor(
    private readonly runs: RunService,
    private readonly events: RunEvents,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listRuns', summary: 'Lists runs, newest first' })
  @ApiOkResponse({ description: 'One page of runs', standardSchema: runPageSchema })
  async list(@Query({ schema: runQuerySchema }) query: RunQuery): Promise<{ items: RunView[]; nextCursor: string | null }> {
    return await this.runs.list(query);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getRun', summary: 'Shows one run' })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The run', standardSchema: runViewSchema })
  async view(@Param('id') id: string): Promise<RunView> {
    return await this.runs.view(id);
  }

  @Post(':id/cancel')
  @HttpCode(202)
  @ApiOperation({ operationId: 'cancelRun', summary: 'Asks a run to stop and clean up after itself' })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiAcceptedResponse({ description: 'The run; it becomes cancelled when it has cleaned up', standardSchema: runViewSchema })
  async cancel(@Param('id') id: string): Promise<RunView> {
    return await this.runs.cancel(id);
  }

  @Get(':id/events')
  @ApiOperation({
    operationId: 'watchRun',
    summary: 'Streams a run as server-sent events until it has ended',
    description: 'Each `run` event carries the whole run. A comment is sent now and then so that proxies keep the connection.',
  })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ description: 'Events of the form `event: run`, `data: {…}`', schema: { type: 'string' } })
  async stream(@Param('id') id: string, @Res() response: Response): Promise<void> {
    // Before the first byte: an unknown run is an ordinary 404, not a stream.
    await this.runs.view(id);
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx would hold events back until its buffer is full.
      'X-Accel-Buffering': 'no',
    });
    const heartbeat = setInterval(() => response.write(': still here\n\n'), this.environment.settings.eventHeartbeatMs);
    try {
      await this.send(id, response, gone.signal);
      // Not in `finally`: a stream that fails is cut by the problem filter, so that nobody takes it for complete.
      response.end();
    } finally {
      clearInterval(heartbeat);
    }
  }

  private async send(id: string, response: Response, signal: AbortSignal): Promise<void> {
    let sent = '';
    for await (const view of this.events.watch(id, signal)) {
      const data = JSON.stringify(view);
      if (data === sent || signal.aborted) continue;
      sent = data;
      if (!response.write(`event: run\ndata: ${data}\n\n`)) {
        await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).catch(() => undefined);
      }
    }
  }
}
