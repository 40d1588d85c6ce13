import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import { CancelledError, sleep } from '../common/index.js';
import type { Deliverable } from './deliverable.js';
import { type Sent, send } from './send.js';

const MIB = 2 ** 20;
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Serves one file. @returns where, and how it went each time. */
async function serve(file: Deliverable): Promise<{ url: string; outcomes: Promise<Sent>[] }> {
  const outcomes: Promise<Sent>[] = [];
  const application = express();
  application.use((request: Request, response: Response) => {
    const gone = new AbortController();
    response.on('close', () => response.writableFinished || gone.abort(new CancelledError('gone')));
    const outcome = send(file, request, response, gone.signal);
    outcome.catch(() => response.headersSent || response.status(500).end());
    outcomes.push(outcome);
  });
  const listening = createServer(application);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}/`, outcomes };
}

const begin = (url: string) => new Promise<IncomingMessage>((resolve, reject) => get(url, resolve).on('error', reject));

describe('a file that is sent', () => {
  it('is made no faster than it is taken, and no longer than somebody takes it', async () => {
    let madeBytes = 0;
    let ended = false;
    const stream = async function* (signal: AbortSignal) {
      try {
        for (;;) {
          signal.throwIfAborted();
          await sleep(0);
          madeBytes += MIB;
          yield Buffer.alloc(MIB, 7);
        }
      } finally {
        ended = true;
      }
    };
    const { url, outcomes } = await serve({ fileName: 'x.vmdk', what: 'x', etag: '"1"', content: { stream } });
    const response = await begin(url);
    let settledBytes = -1;
    for (let looks = 0; looks < 200 && settledBytes !== madeBytes; looks += 1) {
      settledBytes = madeBytes;
      await sleep(100);
    }
    // What the two sockets hold, and two pieces.
    expect(madeBytes).toBeLessThan(64 * MIB);
    expect(ended).toBe(false);
    response.destroy();
    await expect(outcomes[0]).rejects.toThrow('gone');
    expect(ended).toBe(true);
  });

  it('is cut where it breaks off, after every right byte and without an end', async () => {
    const stream = async function* () {
      yield Buffer.alloc(MIB, 1);
      yield Buffer.alloc(MIB, 2);
      await sleep(50);
      throw new Error('chunk 17 is damaged');
    };
    const { url, outcomes } = await serve({ fileName: 'x.vmdk', what: 'x', etag: '"1"', content: { stream } });
    const response = await begin(url);
    let bytes = 0;
    const reading = (async () => {
      for await (const piece of response) bytes += (piece as Buffer).length;
    })();
    await expect(reading).rejects.toThrow('aborted');
    expect(bytes).toBeLessThanOrEqual(2 * MIB);
    await expect(outcomes[0]).rejects.toThrow('chunk 17 is damaged');
  });

  it('says nothing of itself where it fails before its first byte', async () => {
    const content = {
      sizeBytes: 10,
      read: async function* (): AsyncGenerator<Buffer> {
        yield await Promise.reject(new Error('chunk 0 is damaged'));
      },
    };
    const { url } = await serve({ fileName: 'x.raw', what: 'x', etag: '"1"', content });
    const response = await fetch(url, { headers: { range: 'bytes=2-5' } });
    expect(response.status).toBe(500);
    for (const name of ['content-range', 'content-disposition', 'etag']) expect(response.headers.get(name)).toBeNull();
  });
});
