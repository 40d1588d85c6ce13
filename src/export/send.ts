import { once } from 'node:events';
import type { Request, Response } from 'express';
import { TimeoutError, withTimeout } from '../common/index.js';
import { readAhead } from '../image/index.js';
import type { Deliverable } from './deliverable.js';
import { ExportError } from './errors.js';
import { contentDisposition } from './file-names.js';
import { isUnchanged, requestedRange } from './http-range.js';

/** Who takes nothing for so long is gone, or holds a place that others wait for. */
const STALL_TIMEOUT_MS = 5 * 60_000;

export interface Sent {
  status: number;
  bytes: number;
}

/**
 * Answers one request for a file: headers, conditions, the part that is asked for, as fast as it is taken. What fails before
 * the first byte is thrown with nothing sent; afterwards the connection is cut, so that nobody takes a part for the whole.
 * @param signal ends it.
 * @throws ExportError RANGE_NOT_SATISFIABLE, EXPORT_STALLED; whatever the content throws.
 */
export async function send(file: Deliverable, request: Request, response: Response, signal: AbortSignal): Promise<Sent> {
  const { content, etag } = file;
  response.setHeader('ETag', etag);
  response.setHeader('Accept-Ranges', content.sizeBytes === undefined ? 'none' : 'bytes');
  if (isUnchanged(request.headers['if-none-match'], etag)) return finish(response, 304);
  response.setHeader('Cache-Control', 'private, no-store, no-transform');
  let pieces: AsyncIterable<Buffer>;
  let status = 200;
  if (content.sizeBytes === undefined) pieces = content.stream(signal);
  else {
    const { sizeBytes } = content;
    const range = requestedRange(request.headers.range, header(request, 'if-range'), { sizeBytes, etag });
    if (range === 'unsatisfiable') throw unsatisfiable(file, sizeBytes, response);
    const { startBytes, endBytes } = range === 'whole' ? { startBytes: 0, endBytes: sizeBytes } : range;
    if (range !== 'whole') {
      status = 206;
      response.setHeader('Content-Range', `bytes ${startBytes}-${endBytes - 1}/${sizeBytes}`);
    }
    response.setHeader('Content-Length', String(endBytes - startBytes));
    pieces = content.read(startBytes, endBytes, signal);
  }
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Disposition', contentDisposition(file.fileName));
  return request.method === 'HEAD' ? finish(response, status) : pour(file, pieces, response, { status, signal });
}

async function pour(
  file: Deliverable,
  pieces: AsyncIterable<Buffer>,
  response: Response,
  { status, signal }: { status: number; signal: AbortSignal },
): Promise<Sent> {
  let bytes = 0;
  try {
    for await (const piece of readAhead(pieces)) {
      // Set with the first piece that is right: until then an error can still be told.
      if (!response.headersSent) response.status(status);
      signal.throwIfAborted();
      bytes += piece.length;
      if (!response.write(piece)) await taken(file, response, 'drain', signal);
    }
    response.status(status).end();
    await taken(file, response, 'finish', signal);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else forgetHeaders(response);
    throw error;
  }
  return { status, bytes };
}

async function taken(file: Deliverable, response: Response, event: 'drain' | 'finish', signal: AbortSignal): Promise<void> {
  if (event === 'finish' && response.writableFinished) return;
  try {
    await withTimeout('Sending', STALL_TIMEOUT_MS, signal, (either) => once(response, event, { signal: either }));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    throw new ExportError('EXPORT_STALLED', `The export of ${file.what} was ended, because nothing of it was taken for 5 minutes.`);
  }
}

function finish(response: Response, status: number): Sent {
  response.status(status).end();
  return { status, bytes: 0 };
}

function unsatisfiable(file: Deliverable, sizeBytes: number, response: Response): ExportError {
  forgetHeaders(response);
  response.setHeader('Content-Range', `bytes */${sizeBytes}`);
  return new ExportError(
    'RANGE_NOT_SATISFIABLE',
    `${file.fileName} has ${sizeBytes} bytes; no byte of the range that was asked for is there.`,
  );
}

/** They are of the file, and the answer is an error. */
function forgetHeaders(response: Response): void {
  for (const name of ['ETag', 'Content-Length', 'Content-Range', 'Content-Type', 'Content-Disposition', 'Cache-Control'])
    response.removeHeader(name);
}

function header(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
