import { MIB, sleep } from '../common/index.js';
import { badAnswer, VcdError } from './error.js';
import type { VcdHttp } from './http.js';
import { type ByteExchange, bytesOf, shortAnswer } from './stream-exchange.js';

/**
 * Bytes of media, through the addresses under /transfer/ that VCD makes for one upload or download. They are streamed,
 * as fast as both ends are, and a connection that breaks is gone on from where it broke.
 */
export interface Transfer {
  http: Pick<VcdHttp, 'transfer' | 'host' | 'requestTimeoutMs' | 'failureOf' | 'patience'>;
  /** Out of the File's link. */
  href: string;
  sizeBytes: number;
  operation: string;
  subject?: string;
  signal?: AbortSignal;
}

/** What a broken connection costs at most where VCD does not count what came before it broke. A piece sent twice is the same as once. */
const PIECE_BYTES = 32 * MIB;

/** The bytes of a download, in order; exactly `sizeBytes`. @throws VcdError also when the server's file has another size */
export async function* downloadBytes(transfer: Transfer): AsyncGenerator<Buffer> {
  const { http, sizeBytes } = transfer;
  const patience = new TransferPatience(transfer);
  for (let offsetBytes = 0; offsetBytes < sizeBytes; ) {
    try {
      for await (const bytes of downloadFrom(transfer, offsetBytes)) {
        offsetBytes += bytes.length;
        if (offsetBytes > sizeBytes) throw badAnswer(transfer.operation, `more than the ${sizeBytes} bytes of the file came`);
        yield bytes;
      }
      if (offsetBytes < sizeBytes) throw endedEarly(http.host, transfer, offsetBytes);
    } catch (error) {
      await patience.goOnAfter(error, offsetBytes);
    }
  }
}

async function* downloadFrom(transfer: Transfer, offsetBytes: number): AsyncGenerator<Buffer> {
  const { http, href, operation, subject, signal } = transfer;
  const headers: Record<string, string> = offsetBytes === 0 ? {} : { range: `bytes=${offsetBytes}-` };
  const answer = await http.transfer({ method: 'GET', href, headers, operation, subject, signal });
  // A server that takes no ranges begins anew; what is here already is passed over.
  let surplusBytes = answer.statusCode === 206 ? 0 : offsetBytes;
  const first = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
  if (answer.statusCode === 206 && Number(first) !== offsetBytes) {
    answer.destroy();
    throw badAnswer(operation, `bytes from ${offsetBytes} on were asked for, and bytes from ${first ?? 'nowhere'} on came`);
  }
  for await (const bytes of bytesOf(answer, exchangeOf(transfer))) {
    const passed = Math.min(surplusBytes, bytes.length);
    surplusBytes -= passed;
    if (passed < bytes.length) yield bytes.subarray(passed);
  }
}

function exchangeOf(transfer: Transfer): Omit<ByteExchange, 'body'> {
  const { http, operation, signal } = transfer;
  return { operation, timeoutMs: http.requestTimeoutMs, signal, failureOf: http.failureOf(transfer) };
}

function endedEarly(host: string, { operation, subject }: Transfer, offsetBytes: number): VcdError {
  return new VcdError(`${operation} failed: ${host} ended the file after ${offsetBytes} bytes.`, {
    code: 'CONNECTION_LOST',
    retryable: true,
    subject,
    operation,
  });
}

/**
 * Sends `sizeBytes` in pieces with a Content-Range. After a broken connection it asks how many bytes VCD has, and
 * goes on from there with bytes opened anew.
 * @param receivedBytes how many bytes from the beginning VCD has (File@bytesTransferred)
 */
export async function uploadBytes(
  transfer: Transfer,
  body: (offsetBytes: number) => AsyncIterable<Buffer>,
  receivedBytes: () => Promise<number>,
  maxPieceBytes = PIECE_BYTES,
): Promise<void> {
  const { sizeBytes } = transfer;
  const patience = new TransferPatience(transfer);
  for (let offsetBytes = 0; offsetBytes < sizeBytes; ) {
    const source = new ByteSource(body(offsetBytes));
    try {
      while (offsetBytes < sizeBytes) {
        const pieceBytes = Math.min(maxPieceBytes, sizeBytes - offsetBytes);
        await sendPiece(transfer, offsetBytes, source.take(pieceBytes));
        offsetBytes += pieceBytes;
      }
    } catch (error) {
      if (!mayGoOn(error)) throw error;
      offsetBytes = await receivedBytes();
      await patience.goOnAfter(error, offsetBytes);
    } finally {
      await source.close();
    }
  }
}

async function sendPiece(transfer: Transfer, offsetBytes: number, piece: AsyncIterable<Buffer> & { lengthBytes: number }): Promise<void> {
  const { http, href, sizeBytes, operation, subject, signal } = transfer;
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(piece.lengthBytes),
    'content-range': `bytes ${offsetBytes}-${offsetBytes + piece.lengthBytes - 1}/${sizeBytes}`,
  };
  const answer = await http.transfer({ method: 'PUT', href, headers, body: piece, operation, subject, signal });
  await shortAnswer(answer, exchangeOf(transfer));
}

/** A stream of buffers of any length, taken in pieces of exact length. */
class ByteSource {
  readonly #buffers: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(buffers: AsyncIterable<Buffer>) {
    this.#buffers = buffers[Symbol.asyncIterator]();
  }

  /** @throws VcdError MEDIUM_TOO_SHORT when the bytes end before; not retryable: they would end there again */
  take(lengthBytes: number): AsyncIterable<Buffer> & { lengthBytes: number } {
    return { lengthBytes, [Symbol.asyncIterator]: () => this.#take(lengthBytes) };
  }

  async *#take(lengthBytes: number): AsyncGenerator<Buffer> {
    for (let leftBytes = lengthBytes; leftBytes > 0; ) {
      if (this.#rest.length === 0) {
        const next = await this.#buffers.next();
        if (next.done) {
          throw new VcdError(`The bytes to upload ended ${leftBytes} bytes before the size that was announced.`, {
            code: 'MEDIUM_TOO_SHORT',
          });
        }
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, leftBytes);
      this.#rest = this.#rest.subarray(part.length);
      leftBytes -= part.length;
      if (part.length > 0) yield part;
    }
  }

  async close(): Promise<void> {
    await this.#buffers.return?.();
  }
}

function mayGoOn(error: unknown): boolean {
  return error instanceof VcdError && error.retryable;
}

/** As much patience as a request has, begun anew whenever bytes have come through. */
class TransferPatience {
  readonly #transfer: Transfer;
  #reachedBytes = 0;
  #failures = 0;
  #sinceMs = performance.now();
  #sessionEnded = false;

  constructor(transfer: Transfer) {
    this.#transfer = transfer;
  }

  /** Waits a little. @throws what broke the transfer when it is no broken connection, or patience is at its end */
  async goOnAfter(error: unknown, offsetBytes: number): Promise<void> {
    if (!(error instanceof VcdError && mayGoOn(error))) throw error;
    if (offsetBytes > this.#reachedBytes) {
      this.#reachedBytes = offsetBytes;
      this.#failures = 0;
      this.#sinceMs = performance.now();
      this.#sessionEnded = false;
    }
    const { attempts, baseDelayMs, maxDelayMs, deadlineMs } = this.#transfer.http.patience();
    this.#failures += 1;
    const secondRefusal = error.code === 'SESSION_ENDED' && this.#sessionEnded;
    this.#sessionEnded ||= error.code === 'SESSION_ENDED';
    const delayMs = Math.min(maxDelayMs, baseDelayMs * 2 ** (this.#failures - 1)) * (0.5 + Math.random() / 2);
    const pauseMs = Math.max(delayMs, error.retryAfterMs ?? 0);
    const late = performance.now() - this.#sinceMs + pauseMs > deadlineMs;
    if (secondRefusal || late || this.#failures >= attempts) throw error;
    await sleep(pauseMs, this.#transfer.signal);
  }
}
