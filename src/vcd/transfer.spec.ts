import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { VcdError } from './error.js';
import type { TransferRequest } from './http.js';
import { downloadBytes, type Transfer, uploadBytes } from './transfer.js';

/** What a server may do that the simulated cell does not: no ranges, wrong sizes, a login that is refused for good. */

const FILE = Buffer.from(Array.from({ length: 1_000 }, (_, n) => n % 251));
const lost = () => new VcdError('It broke.', { code: 'CONNECTION_LOST', retryable: true });

function answer(statusCode: number, parts: readonly Buffer[], headers: Record<string, string> = {}, failure?: Error): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  message.statusCode = statusCode;
  Object.assign(message.headers, headers);
  for (const part of parts) message.push(part);
  if (failure === undefined) message.push(null);
  else setImmediate(() => message.destroy(failure));
  return message;
}

type Answer = (request: TransferRequest) => IncomingMessage | Promise<IncomingMessage>;
/** Answers in order; the last one stays. */
function transferWith(answers: Answer[], sizeBytes = FILE.length): { transfer: Transfer; requests: TransferRequest[] } {
  const requests: TransferRequest[] = [];
  const http: Transfer['http'] = {
    host: 'vcd.test',
    requestTimeoutMs: 5_000,
    failureOf: () => lost,
    patience: () => ({ attempts: 4, baseDelayMs: 1, maxDelayMs: 2, deadlineMs: 5_000 }),
    transfer: async (request) => {
      requests.push(request);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      if (next === undefined) throw new Error('nothing is scripted');
      return next(request);
    },
  };
  return { transfer: { http, href: 'https://vcd.test/transfer/1/file', sizeBytes, operation: 'Downloading medium "x"' }, requests };
}

async function collected(bytes: AsyncIterable<Buffer> | Buffer[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}
const failing =
  (error: Error): Answer =>
  async () => {
    throw error;
  };

describe('downloadBytes', () => {
  it('asks for the rest by range', async () => {
    const { transfer, requests } = transferWith([
      () => answer(200, [FILE.subarray(0, 300)], {}, new Error('cut')),
      () => answer(206, [FILE.subarray(300)], { 'content-range': 'bytes 300-999/1000' }),
    ]);
    expect(await collected(downloadBytes(transfer))).toEqual(FILE);
    expect(requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=300-']);
  });

  it('passes over what it has where the server begins anew, and takes a file that ends early for a broken one', async () => {
    const { transfer } = transferWith([
      () => answer(200, [FILE.subarray(0, 300)]),
      () => answer(200, [FILE.subarray(0, 100), FILE.subarray(100, 700), FILE.subarray(700)]),
    ]);
    expect(await collected(downloadBytes(transfer))).toEqual(FILE);
  });

  it.each<[string, Answer[]]>([
    ['more bytes than the medium has', [() => answer(200, [FILE, FILE])]],
    [
      'another range than was asked for',
      [
        () => answer(200, [FILE.subarray(0, 300)], {}, new Error('cut')),
        () => answer(206, [FILE.subarray(200)], { 'content-range': 'bytes 200-999/1000' }),
      ],
    ],
  ])('refuses %s', async (_, answers) => {
    await expect(collected(downloadBytes(transferWith(answers).transfer))).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });

  it('gives up when nothing more comes, with the reason', async () => {
    const { transfer, requests } = transferWith([failing(lost())]);
    await expect(collected(downloadBytes(transfer))).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(requests).toHaveLength(4);
  });

  it('gives up where VCD wants a longer pause than there is patience for', async () => {
    const overloaded = new VcdError('Later.', { code: 'OVERLOADED', retryable: true, retryAfterMs: 3_600_000 });
    const { transfer, requests } = transferWith([failing(overloaded)]);
    await expect(collected(downloadBytes(transfer))).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(requests).toHaveLength(1);
  });

  it('does not log in again and again', async () => {
    const ended = new VcdError('The session has ended.', { code: 'SESSION_ENDED', retryable: true });
    const { transfer, requests } = transferWith([failing(ended)]);
    await expect(collected(downloadBytes(transfer))).rejects.toMatchObject({ code: 'SESSION_ENDED' });
    expect(requests).toHaveLength(2);
  });

  it('does not repeat what was refused for good', async () => {
    const { transfer, requests } = transferWith([failing(new VcdError('Gone.', { code: 'NOT_FOUND' }))]);
    await expect(collected(downloadBytes(transfer))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(requests).toHaveLength(1);
  });
});

describe('uploadBytes', () => {
  it('sends pieces that tell where they belong, cut out of buffers of any length', async () => {
    const pieces: Buffer[] = [];
    const { transfer, requests } = transferWith(
      [
        async ({ body }) => {
          pieces.push(await collected(body ?? []));
          return answer(200, []);
        },
      ],
      700,
    );
    async function* body(): AsyncGenerator<Buffer> {
      for (let n = 0; n < 10; n += 1) yield Buffer.alloc(70, n);
    }
    await uploadBytes(transfer, body, async () => 0, 320);
    expect(requests.map(({ headers }) => [headers['content-range'], headers['content-length']])).toEqual([
      ['bytes 0-319/700', '320'],
      ['bytes 320-639/700', '320'],
      ['bytes 640-699/700', '60'],
    ]);
    expect(Buffer.concat(pieces).equals(await collected(body()))).toBe(true);
  });

  it('takes what VCD says it has, also when the lost piece had arrived, and closes every source', async () => {
    const offsets: number[] = [];
    let open = 0;
    const { transfer, requests } = transferWith([failing(lost()), failing(lost()), () => answer(200, [])]);
    async function* body(offsetBytes: number): AsyncGenerator<Buffer> {
      offsets.push(offsetBytes);
      open += 1;
      try {
        yield FILE.subarray(offsetBytes);
      } finally {
        open -= 1;
      }
    }
    const taking: Transfer['http']['transfer'] = transfer.http.transfer;
    transfer.http = {
      ...transfer.http,
      transfer: async (request) => {
        await collected(request.body ?? []);
        return taking(request);
      },
    };
    const received = [0, 400];
    await uploadBytes(transfer, body, async () => received.shift() ?? 0);
    expect(offsets).toEqual([0, 0, 400]);
    expect(requests.at(-1)?.headers['content-range']).toBe('bytes 400-999/1000');
    expect(open).toBe(0);
  });
});
