import type { ClientRequest, IncomingMessage } from 'node:http';
import { abortReason, throwIfAborted, withTimeout } from '../common/index.js';
import { retryAfterMs, type VcdError } from './error.js';

/** The longest text that is read of an answer to a transfer. */
const MAX_TEXT_BYTES = 1_048_576;

export interface ByteExchange {
  body?: AsyncIterable<Buffer>;
  /** How long the other side may stand still. Our own side may take its time: only waits for the other count. */
  timeoutMs: number;
  operation: string;
  signal?: AbortSignal;
  failureOf: (error: unknown) => VcdError;
}

/**
 * Sends a request with its streamed body and answers once the head of the answer is there. What the source of
 * the body throws is thrown as it is; what the connection does becomes a VcdError.
 */
export async function exchangeBytes(outgoing: ClientRequest, exchange: ByteExchange): Promise<IncomingMessage> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    // Stays, so that a connection that breaks after the answer's head is no unhandled event: the reader is told anyway.
    outgoing.on('error', reject);
  });
  // It is awaited below; until then a failure must not count as unhandled.
  answered.catch(() => undefined);
  try {
    const early = exchange.body === undefined ? false : await sendBody(outgoing, exchange.body, answered, exchange);
    // A server that answers before the end has refused; it needs no more bytes.
    if (!early) outgoing.end();
    return await waiting(exchange, () => answered);
  } catch (error) {
    outgoing.destroy();
    throw error;
  }
}

/** @returns whether the answer came before the end of the body. */
async function sendBody(
  outgoing: ClientRequest,
  body: AsyncIterable<Buffer>,
  answered: Promise<IncomingMessage>,
  exchange: ByteExchange,
): Promise<boolean> {
  let early = false;
  answered.then(
    () => {
      early = true;
    },
    () => undefined,
  );
  for await (const bytes of body) {
    throwIfAborted(exchange.signal);
    if (early) return true;
    if (outgoing.write(bytes)) continue;
    await waiting(exchange, () => Promise.race([drained(outgoing), answered]));
  }
  return early;
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => void outgoing.once('drain', () => resolve()));
}

async function waiting<T>(exchange: ByteExchange, work: () => Promise<T>): Promise<T> {
  const { operation, timeoutMs, signal } = exchange;
  try {
    return await withTimeout(operation, timeoutMs, signal, work);
  } catch (error) {
    if (signal?.aborted) throw abortReason(signal);
    throw exchange.failureOf(error);
  }
}

/** The body of an answer, as fast as it is taken. @throws VcdError as `failureOf` says, also where it stands still */
export async function* bytesOf(answer: IncomingMessage, exchange: Omit<ByteExchange, 'body'>): AsyncGenerator<Buffer> {
  const reader = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const next = await waiting(exchange, () => reader.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Whoever stops early, or is stopped, leaves the rest of the answer on the wire.
    answer.destroy();
  }
}

export interface ShortAnswer {
  status: number;
  text: string;
  requestId?: string;
  retryAfterMs?: number;
}

/**
 * A whole answer to a transfer. A connection that breaks or stands still meanwhile leaves what there is: the status says enough.
 * @throws what the caller's signal was aborted with
 */
export async function shortAnswer(answer: IncomingMessage, exchange: Omit<ByteExchange, 'body'>): Promise<ShortAnswer> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of bytesOf(answer, exchange)) {
      length += part.length;
      if (length > MAX_TEXT_BYTES) break;
      parts.push(part);
    }
  } catch {
    throwIfAborted(exchange.signal);
  }
  const requestId = answer.headers['x-vmware-vcloud-request-id'];
  const pauseMs = retryAfterMs(answer.headers['retry-after'], Date.now());
  return {
    status: answer.statusCode ?? 0,
    text: Buffer.concat(parts).toString('utf8'),
    ...(typeof requestId === 'string' ? { requestId } : {}),
    ...(pauseMs === undefined ? {} : { retryAfterMs: pauseMs }),
  };
}
