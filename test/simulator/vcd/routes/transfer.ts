import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { VcdCloud } from '../cloud.js';
import { badRequest, VcdFault } from '../faults.js';
import { bytesArrived } from '../operations/media.js';
import { readMediaBytes, withReceived, writeMediaBytes } from '../operations/media-bytes.js';
import type { Media } from '../state.js';

export interface TransferRequest {
  method: string;
  /** /transfer/{id}/{file} */
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: AsyncIterable<Buffer>;
}
export interface TransferReply {
  status: number;
  headers: Record<string, string>;
  body?: Readable;
}

/**
 * The cell's door for bytes: an address that enableDownload or an upload made, for as long as that lasts.
 * @throws VcdFault 404 for an address that is none (any more), 400 for a wrong range, 416 for one outside the file.
 */
export async function transfer(cloud: VcdCloud, request: TransferRequest): Promise<TransferReply> {
  const transferId = /^\/transfer\/([0-9a-f-]{36})\/file$/.exec(request.path)?.[1];
  const ofTransfer = (id: string | undefined): boolean => id !== undefined && id === transferId;
  const upload = cloud.state.media.find((media) => ofTransfer(media.uploadTransferId));
  if (upload) {
    if (request.method !== 'PUT') throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${request.method} is not allowed here.`);
    return receive(cloud, upload, request);
  }
  const download = cloud.state.media.find((media) => ofTransfer(media.downloadTransferId));
  if (!download) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${request.path} was not found.`);
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${request.method} is not allowed here.`);
  return send(cloud, download, request);
}

/**
 * A piece with Content-Range, or the whole file without. What came before a connection broke is kept and counted
 * (File@bytesTransferred), so that the client goes on from there.
 */
async function receive(cloud: VcdCloud, media: Media, { headers, body }: TransferRequest): Promise<TransferReply> {
  const { startByte, endByteExclusive } = contentRange(headers['content-range'], media.sizeBytes);
  const wantedBytes = endByteExclusive - startByte;
  const announced = headers['content-length'];
  if (announced !== undefined && Number(announced) > wantedBytes) {
    for await (const _ of body); // read to its end, so that the client gets its answer
    throw badRequest(`The request has ${String(announced)} bytes; ${wantedBytes} bytes belong to the range of file "${media.name}".`);
  }
  const { writtenBytes, sentBytes, broken } = await writeMediaBytes(cloud, media, startByte, wantedBytes, body);
  if (sentBytes !== wantedBytes && !broken) {
    throw badRequest(`The request had ${sentBytes} bytes; ${wantedBytes} bytes belong to the range of file "${media.name}".`);
  }
  media.receivedRanges = withReceived(media.receivedRanges, { startByte, endByteExclusive: startByte + writtenBytes });
  bytesArrived(cloud, media);
  return { status: 200, headers: { 'Content-Length': '0' } };
}

function contentRange(header: string | string[] | undefined, sizeBytes: number): { startByte: number; endByteExclusive: number } {
  if (header === undefined) return { startByte: 0, endByteExclusive: sizeBytes };
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(header));
  if (!match) throw badRequest(`The Content-Range "${String(header)}" is not valid.`);
  const [startByte, lastByte, total] = match.slice(1).map(Number) as [number, number, number];
  if (total !== sizeBytes)
    throw badRequest(`The Content-Range "${String(header)}" is of a file of ${total} bytes; this one has ${sizeBytes}.`);
  if (lastByte < startByte || lastByte >= sizeBytes) throw outside(String(header), sizeBytes);
  return { startByte, endByteExclusive: lastByte + 1 };
}

function send(cloud: VcdCloud, media: Media, { method, headers }: TransferRequest): TransferReply {
  const range = requestedRange(headers.range, media.sizeBytes);
  const { startByte, endByteExclusive } = range ?? { startByte: 0, endByteExclusive: media.sizeBytes };
  const answered = {
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(endByteExclusive - startByte),
    ...(range ? { 'Content-Range': `bytes ${startByte}-${endByteExclusive - 1}/${media.sizeBytes}` } : {}),
  };
  const status = range ? 206 : 200;
  if (method === 'HEAD') return { status, headers: answered };
  return { status, headers: answered, body: readMediaBytes(cloud, media, startByte, endByteExclusive) };
}

/** One range; several, or other units, are answered as if none was asked for (RFC 9110 lets a server do so). */
function requestedRange(
  header: string | string[] | undefined,
  sizeBytes: number,
): { startByte: number; endByteExclusive: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(String(header ?? ''));
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [first, last] = [match[1] ?? '', match[2] ?? ''];
  const startByte = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const endByteExclusive = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (startByte >= endByteExclusive) throw outside(String(header), sizeBytes);
  return { startByte, endByteExclusive };
}

function outside(range: string, sizeBytes: number): VcdFault {
  return new VcdFault(416, 'REQUESTED_RANGE_NOT_SATISFIABLE', `The range "${range}" is outside the file of ${sizeBytes} bytes.`);
}

/** The bytes, until so many have passed: then the connection is cut in the middle of them. */
export async function* cutAfter(bytes: AsyncIterable<Buffer>, limitBytes: number | undefined, socket: Socket): AsyncGenerator<Buffer> {
  let passedBytes = 0;
  for await (const piece of bytes) {
    const kept = limitBytes === undefined ? piece : piece.subarray(0, limitBytes - passedBytes);
    passedBytes += kept.length;
    if (kept.length > 0) yield kept;
    if (kept.length === piece.length) continue;
    // What was handed on is on its way before the connection ends.
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    throw new Error(`The connection was cut after ${passedBytes} bytes, as a fault ordered.`);
  }
}
