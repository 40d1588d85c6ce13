import { once } from 'node:events';
import type { Response } from 'express';
import { joinSignals, sleep } from '../common/index.js';

/** After a cut, browsers come back after so long. */
const RECONNECT_MS = 3_000;

export interface ServerEvent {
  event: string;
  data: unknown;
  /** What a reader sends as Last-Event-ID when it comes back. */
  id?: string | undefined;
}

/**
 * Server-sent events to one client (HTML Standard, "Server-sent events"). Nothing piles up here: the next event waits until
 * the socket has taken the one before, and a client that takes nothing for `stallMs` is cut off.
 */
export class EventStream {
  private readonly gone = new AbortController();
  private readonly heartbeat: NodeJS.Timeout;

  constructor(
    private readonly response: Response,
    private readonly times: { heartbeatMs: number; stallMs: number },
  ) {
    response.on('close', () => this.gone.abort());
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx would hold events back until its buffer is full.
      'X-Accel-Buffering': 'no',
    });
    response.write(`retry: ${RECONNECT_MS}\n\n`);
    this.heartbeat = setInterval(() => {
      if (!response.writableNeedDrain) response.write(': still here\n\n');
    }, times.heartbeatMs);
  }

  /** Fires when the client has gone or was cut off. */
  get signal(): AbortSignal {
    return this.gone.signal;
  }

  async send({ event, data, id }: ServerEvent): Promise<void> {
    if (this.signal.aborted) return;
    const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    if (this.response.write(text)) return;
    const timer = new AbortController();
    const { signal: either, letGo } = joinSignals(this.signal, timer.signal);
    const taken = once(this.response, 'drain', { signal: either }).then(
      () => true,
      () => true,
    );
    const stalled = sleep(this.times.stallMs, either).then(
      () => false,
      () => true,
    );
    const inTime = await Promise.race([taken, stalled]);
    timer.abort();
    letGo();
    if (!inTime) this.response.destroy();
  }

  /** The stream is complete: an end without it is a cut, and the client comes back. */
  end(): void {
    clearInterval(this.heartbeat);
    this.response.end();
  }

  /** After an end this does nothing. */
  cut(): void {
    clearInterval(this.heartbeat);
    if (!this.response.writableEnded) this.response.destroy();
  }
}
