import { createServer, request, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TimeoutError } from '../common/index.js';
import { VcdError } from './error.js';
import { type ByteExchange, bytesOf, exchangeBytes, shortAnswer } from './stream-exchange.js';

/** Against a server that misbehaves as no simulated cell does. */

let server: Server | undefined;

afterEach(async () => {
  vi.useRealTimers();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

async function listen(answer: RequestListener): Promise<number> {
  const started = createServer(answer);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  return (started.address() as AddressInfo).port;
}

const failureOf = (error: unknown) => new VcdError('It broke.', { code: error instanceof TimeoutError ? 'STALLED' : 'BROKEN' });
const about = (changes: Partial<ByteExchange> = {}): ByteExchange => ({ timeoutMs: 10_000, operation: 'Sending', failureOf, ...changes });
const outgoing = (port: number, method: 'GET' | 'PUT') => request({ port, host: '127.0.0.1', method, agent: false });

const CHUNK = Buffer.alloc(256 * 1024, 7);
/** Counts how much was taken of it. */
function endless(limit = 4_000) {
  const taken = { chunks: 0 };
  const body = (async function* () {
    for (; taken.chunks < limit; taken.chunks += 1) yield CHUNK;
  })();
  return { taken, body };
}

describe('exchangeBytes', () => {
  it('takes no more of the body than the other side takes, and ends when that stands still', async () => {
    const port = await listen((incoming) => void incoming.pause());
    const { taken, body } = endless();
    await expect(exchangeBytes(outgoing(port, 'PUT'), about({ body, timeoutMs: 300 }))).rejects.toMatchObject({ code: 'STALLED' });
    // What the kernel's buffers on both sides hold, and not the gigabyte there would be.
    expect(taken.chunks * CHUNK.length).toBeLessThan(64 * 2 ** 20);
  });

  it('does not hold its own side to that time', async () => {
    const port = await listen((incoming, answer) => void incoming.resume().on('end', () => answer.end('taken')));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    async function* slow(): AsyncGenerator<Buffer> {
      yield CHUNK;
      await vi.advanceTimersByTimeAsync(3_600_000);
      yield CHUNK;
    }
    const answer = await exchangeBytes(outgoing(port, 'PUT'), about({ body: slow() }));
    expect((await shortAnswer(answer, about())).text).toBe('taken');
  });

  it('answers with a refusal that comes before the end of the body', async () => {
    const port = await listen((_, answer) => {
      answer.statusCode = 403;
      answer.end('no');
    });
    const { taken, body } = endless();
    const answer = await exchangeBytes(outgoing(port, 'PUT'), about({ body }));
    expect(await shortAnswer(answer, about())).toEqual({ status: 403, text: 'no' });
    expect(taken.chunks).toBeLessThan(4_000);
  });

  it('tells a connection that is cut, and what the source of the body throws as it is', async () => {
    const port = await listen((incoming) => void incoming.once('data', () => incoming.socket.destroy()));
    await expect(exchangeBytes(outgoing(port, 'PUT'), about({ body: endless().body }))).rejects.toMatchObject({ code: 'BROKEN' });
    const reason = new Error('the disk is gone');
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(0);
      throw reason;
    }
    await expect(exchangeBytes(outgoing(port, 'PUT'), about({ body: failing() }))).rejects.toBe(reason);
  });
});

describe('bytesOf', () => {
  it('ends when the answer stands still, and not when its reader does', async () => {
    const port = await listen((_, answer) => void answer.write('some'));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const answer = await exchangeBytes(outgoing(port, 'GET'), about());
    const reader = bytesOf(answer, about());
    expect((await reader.next()).value?.toString()).toBe('some');
    await vi.advanceTimersByTimeAsync(3_600_000);
    const stalled = expect(reader.next()).rejects.toMatchObject({ code: 'STALLED' });
    await vi.advanceTimersByTimeAsync(10_000);
    await stalled;
  });

  it('ends with its caller', async () => {
    const port = await listen((_, answer) => void answer.write('some'));
    const controller = new AbortController();
    const exchange = about({ signal: controller.signal });
    const answer = await exchangeBytes(outgoing(port, 'GET'), exchange);
    const reading = async () => {
      for await (const _ of bytesOf(answer, exchange)) controller.abort();
    };
    await expect(reading()).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(answer.destroyed).toBe(true);
  });
});

describe('shortAnswer', () => {
  it('tells how long to wait, and has what came before the answer stood still', async () => {
    const port = await listen((_, answer) => {
      answer.writeHead(503, { 'retry-after': '7', 'x-vmware-vcloud-request-id': 'r-1' });
      answer.write('some');
    });
    const answer = await exchangeBytes(outgoing(port, 'GET'), about());
    expect(await shortAnswer(answer, about({ timeoutMs: 200 }))).toEqual({
      ...{ status: 503, text: 'some' },
      ...{ requestId: 'r-1', retryAfterMs: 7_000 },
    });
    expect(answer.destroyed).toBe(true);
  });

  it('ends with its caller', async () => {
    const port = await listen((_, answer) => void answer.write('some'));
    const answer = await exchangeBytes(outgoing(port, 'GET'), about());
    await expect(shortAnswer(answer, about({ signal: AbortSignal.timeout(50) }))).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
