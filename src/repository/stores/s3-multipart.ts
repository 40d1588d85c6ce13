import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import { inParallel, throwIfAborted, withGrace } from '../../common/index.js';
import { type Asked, type S3Connection, sha256Of, signedBy } from './s3-connection.js';

const PARALLEL_PARTS = 3;
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;
/** For the server to say which upload it has begun, when the caller gives up meanwhile. */
const BEGIN_GRACE_MS = 5_000;

export interface MultipartTarget {
  key: string;
  /** How and as what the object is made: condition and lock. */
  condition: { IfNoneMatch?: string };
  lock: { ObjectLockMode?: 'GOVERNANCE' | 'COMPLIANCE'; ObjectLockRetainUntilDate?: Date };
}

/**
 * One object in parts. The name appears with the last request only, all at once; what fails before is taken back, and what cannot be
 * taken back (the process is killed) is taken back by `abortLeftovers` of a later start.
 */
export async function putInParts(connection: S3Connection, target: MultipartTarget, parts: readonly Buffer[], asked: Asked): Promise<void> {
  const place = { Bucket: connection.bucket, Key: target.key };
  const begin = { ...place, ...target.lock, ChecksumAlgorithm: 'SHA256', ContentType: 'application/octet-stream' } as const;
  const { UploadId } = await withGrace(BEGIN_GRACE_MS, asked.signal, (signal) =>
    connection.ask({ ...asked, signal }, (client, abortSignal) => client.send(new CreateMultipartUploadCommand(begin), { abortSignal })),
  );
  try {
    throwIfAborted(asked.signal);
    const signal = asked.signal ?? new AbortController().signal;
    const done = await inParallel([...parts.entries()], PARALLEL_PARTS, signal, async ([index, body], partSignal) => {
      const digest = sha256Of(body);
      const checksum = digest.toString('base64');
      const part = { ...place, UploadId, PartNumber: index + 1, Body: body, ContentLength: body.length, ChecksumSHA256: checksum };
      const { ETag } = await connection.ask({ ...asked, signal: partSignal }, (client, abortSignal) =>
        client.send(signedBy(new UploadPartCommand(part), digest), { abortSignal }),
      );
      return { ETag, PartNumber: index + 1, ChecksumSHA256: checksum } satisfies CompletedPart;
    });
    await connection.ask(asked, (client, abortSignal) =>
      client.send(new CompleteMultipartUploadCommand({ ...place, ...target.condition, UploadId, MultipartUpload: { Parts: done } }), {
        abortSignal,
      }),
    );
  } catch (error) {
    // Not under the caller's signal, which may be why we are here. An upload that was completed after all has no such id any more.
    await connection
      .ask({ verb: 'taken back', name: asked.name }, (client, abortSignal) =>
        client.send(new AbortMultipartUploadCommand({ ...place, UploadId }), { abortSignal }),
      )
      .catch(() => undefined);
    throw error;
  }
}

/** Frees what uploads of dead processes hold: a day old, as nothing of ours takes so long. @returns how many there were. */
export async function abortLeftovers(connection: S3Connection, prefix: string, signal?: AbortSignal): Promise<number> {
  const asked: Asked = { verb: 'listed', signal };
  let aborted = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (;;) {
    const page = await connection.ask(asked, (client, abortSignal) =>
      client.send(new ListMultipartUploadsCommand({ Bucket: connection.bucket, Prefix: prefix, ...marker }), { abortSignal }),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || !Initiated || Date.now() - Initiated.getTime() < LEFTOVER_AGE_MS) continue;
      await connection.ask({ ...asked, verb: 'taken back' }, (client, abortSignal) =>
        client.send(new AbortMultipartUploadCommand({ Bucket: connection.bucket, Key, UploadId }), { abortSignal }),
      );
      aborted += 1;
    }
    if (!page.IsTruncated || page.NextKeyMarker === undefined) return aborted;
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

/** Cuts an object into parts without copying, but where a part spans two pieces. */
export function cutIntoParts(pieces: readonly Buffer[], partBytes: number): Buffer[] {
  const parts: Buffer[] = [];
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;
  const close = () => {
    if (gatheredBytes > 0) parts.push(gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered, gatheredBytes));
    gathered = [];
    gatheredBytes = 0;
  };
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + partBytes - gatheredBytes);
      gathered.push(taken);
      gatheredBytes += taken.length;
      at += taken.length;
      if (gatheredBytes === partBytes) close();
    }
  }
  close();
  return parts;
}
