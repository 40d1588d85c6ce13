import { Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { OpenToOrganizations } from '../access/index.js';
import { EventStream } from './event-stream.js';
import { RunRetry } from './run-retry.js';
import { runNotFound, RunService } from './run.service.js';
import { RunEvents } from './run-events.js';
import { isFinal } from './run-view.js';
import { type RunQuery, runPageSchema, runQuerySchema, runViewSchema } from './runs.dto.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { RunView } from './types.js';

const CURSOR = /^\d{1,19}$/;

/** A key of an organization sees and stops the runs of that organization; others are to it as if they were not. */
@ApiTags('runs')
@OpenToOrganizations()
@Controller('api/v1/runs')
export class RunsController {
  constructor(
    private readonly runs: RunService,
    private readonly events: RunEvents,
    private readonly retries: RunRetry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listRuns', summary: 'Lists runs, newest first' })
  @ApiOkResponse({ description: 'One page of runs', standardSchema: runPageSchema })
  async list(
    @Query({ schema: runQuerySchema }) query: RunQuery,
    @Req() request: Request,
  ): Promise<{ items: RunView[]; nextCursor: string | null }> {
    const organizationId = organizationOf(request);
    return await this.runs.list({ ...query, ...(organizationId !== undefined && { organizationId }) });
  }

  // Before ':id': the first route that fits is taken.
  @Get('events')
  @ApiOperation({
    operationId: 'watchRuns',
    summary: 'Streams the changes of all runs as server-sent events',
    description:
      'First `ready`: from then on every change comes as a `run` event with the whole run. With the header Last-Event-ID what was missed comes before it; ' +
      '`reset` instead of `ready` says that too much was missed, and the list is to be read again.',
  })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ description: 'Events of the form `id: …`, `event: run`, `data: {…}`', schema: { type: 'string' } })
  async streamAll(
    @Req() request: Request,
    @Res() response: Response,
    @Headers('last-event-id') lastEventId: string | undefined,
  ): Promise<void> {
    const stream = this.open(response);
    try {
      const since = lastEventId !== undefined && CURSOR.test(lastEventId) ? lastEventId : undefined;
      for await (const event of this.events.follow(organizationOf(request), since, stream.signal)) {
        const data = event.kind === 'run' ? event.run : {};
        await stream.send({ event: event.kind, data, id: event.cursor });
      }
    } finally {
      // It has no end of its own: whoever is cut off comes back and goes on.
      stream.cut();
    }
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getRun', summary: 'Shows one run' })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The run', standardSchema: runViewSchema })
  async view(@Param('id') id: string, @Req() request: Request): Promise<RunView> {
    const view = await this.runs.view(id);
    const organizationId = organizationOf(request);
    if (organizationId !== undefined && view.organizationId !== organizationId) throw runNotFound(id);
    return view;
  }

  @Post(':id/cancel')
  @HttpCode(202)
  @ApiOperation({ operationId: 'cancelRun', summary: 'Asks a run to stop and clean up after itself' })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiAcceptedResponse({ description: 'The run; it becomes cancelled when it has cleaned up', standardSchema: runViewSchema })
  async cancel(@Param('id') id: string, @Req() request: Request): Promise<RunView> {
    await this.view(id, request);
    return await this.runs.cancel(id);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({ operationId: 'retryRun', summary: 'Does again what failed of a run, as a new run' })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiAcceptedResponse({ description: 'The new run, queued', standardSchema: runViewSchema })
  async retry(@Param('id') id: string, @Req() request: Request): Promise<RunView> {
    await this.view(id, request);
    return await this.retries.retry(id);
  }

  @Get(':id/events')
  @ApiOperation({
    operationId: 'watchRun',
    summary: 'Streams a run as server-sent events until it has ended',
    description:
      'Each `run` event carries the whole run; its id counts the changes. A comment is sent now and then so that proxies keep the connection. ' +
      'Answers 204 when the header Last-Event-ID says that the end was seen.',
  })
  @ApiParam({ name: 'id', description: 'Id of the run', schema: { type: 'string' } })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ description: 'Events of the form `event: run`, `data: {…}`', schema: { type: 'string' } })
  async stream(
    @Param('id') id: string,
    @Req() request: Request,
    @Res() response: Response,
    @Headers('last-event-id') lastEventId: string | undefined,
  ): Promise<void> {
    // Before the first byte: an unknown run is an ordinary 404, not a stream.
    const known = await this.view(id, request);
    if (isFinal(known.state) && lastEventId === `${known.revision}`) {
      // What keeps an EventSource from coming back for ever.
      response.status(204).end();
      return;
    }
    const stream = this.open(response);
    try {
      // Not in `finally`: a stream that fails, or that the service's own end ends, is cut, so that nobody takes it for complete.
      if (await this.sendRun(id, organizationOf(request), lastEventId, stream)) stream.end();
    } finally {
      stream.cut();
    }
  }

  private open(response: Response): EventStream {
    const { eventHeartbeatMs, eventStallMs } = this.environment.settings;
    return new EventStream(response, { heartbeatMs: eventHeartbeatMs, stallMs: eventStallMs });
  }

  /** @returns whether the run's end was sent. */
  private async sendRun(
    id: string,
    organizationId: string | undefined,
    lastEventId: string | undefined,
    stream: EventStream,
  ): Promise<boolean> {
    let sent = lastEventId;
    for await (const view of this.events.watch(id, organizationId, stream.signal)) {
      if (`${view.revision}` !== sent) await stream.send({ event: 'run', data: view, id: `${view.revision}` });
      sent = `${view.revision}`;
      if (isFinal(view.state)) return true;
    }
    return false;
  }
}

function organizationOf({ principal }: Request): string | undefined {
  return principal?.organizationId ?? undefined;
}
