import { createHash } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { withTimeout } from '../../common/index.js';
import { RepositoryError } from '../errors.js';
import type { S3Credentials } from './s3-credentials.js';
import { mapS3Error, type S3Call } from './s3-errors.js';

export interface S3ConnectionOptions {
  /** `https://host[:port]`; without it, Amazon's of the region. */
  endpoint?: string | undefined;
  bucket: string;
  region: string;
  /** The bucket in the path, not in the host name: most servers but Amazon's want it. */
  pathStyle: boolean;
  /** PEM of the authorities of the server; without it the system's. */
  caPem?: string | undefined;
  credentials: () => Promise<S3Credentials>;
  /** One request with its answer, body included. */
  requestTimeoutMs: number;
}

export interface Asked {
  verb: string;
  /** As a caller knows it, without the prefix. */
  name?: string | undefined;
  signal?: AbortSignal | undefined;
}

const CONNECTION_TIMEOUT_MS = 10_000;
const SOCKETS = 32;

/** A bucket behind one client: every request has a time limit, an abort signal, and errors of ours. */
export class S3Connection {
  readonly bucket: string;
  readonly endpoint: string;
  private readonly client: S3Client;
  private readonly agents: { httpAgent: HttpAgent; httpsAgent: HttpsAgent };

  constructor(private readonly options: S3ConnectionOptions) {
    this.bucket = options.bucket;
    this.endpoint = options.endpoint ?? `Amazon S3 in ${options.region}`;
    const agent = { keepAlive: true, maxSockets: SOCKETS };
    // Agents, not their options: for large bodies the client would make others, which know nothing of our authority.
    this.agents = {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...(options.caPem === undefined ? {} : { ca: options.caPem }) }),
    };
    this.client = new S3Client(clientConfig(options, this.agents));
  }

  /**
   * @param work sends what it must and reads the answer to its end; the signal fires at the time limit too.
   * @throws RepositoryError, or CancelledError.
   */
  async ask<T>(asked: Asked, work: (client: S3Client, signal: AbortSignal) => Promise<T>): Promise<T> {
    const call: S3Call = { ...asked, bucket: this.bucket, endpoint: this.endpoint };
    try {
      return await withTimeout(`The request to ${this.endpoint}`, this.options.requestTimeoutMs, asked.signal, (signal) =>
        work(this.client, signal),
      );
    } catch (error) {
      throw mapS3Error(error, call);
    }
  }

  /**
   * Whether the bucket is there and may be listed. By a listing, because the answer to a HEAD has no body to tell a bucket that is
   * not there from a key that is not known.
   */
  async askForBucket(verb: string, signal?: AbortSignal): Promise<void> {
    const question = { Bucket: this.bucket, MaxKeys: 1 };
    await this.ask({ verb, signal }, (client, abortSignal) => client.send(new ListObjectsV2Command(question), { abortSignal }));
  }

  close(): void {
    this.client.destroy();
    for (const agent of Object.values(this.agents)) agent.destroy();
  }
}

function clientConfig(options: S3ConnectionOptions, agents: { httpAgent: HttpAgent; httpsAgent: HttpsAgent }): S3ClientConfig {
  return {
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    forcePathStyle: options.pathStyle,
    credentials: options.credentials,
    // Ours retries (retrying-store.ts), with one deadline; both together would multiply.
    maxAttempts: 1,
    // Whatever has a body of ours carries a SHA-256 already; for the rest the client adds what a request must have.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
      ...agents,
    },
  };
}

/** The digest that the server holds the body against, and signs by: computed once for both. */
export function sha256Of(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}

interface SignedCommand {
  middlewareStack: { add(middleware: (next: (args: never) => unknown) => (args: never) => unknown, options: { step: 'build' }): void };
}

/** Spares the signer a second pass over the body: it takes the digest from this header where it stands. */
export function signedBy<C>(command: C, digest: Buffer): C {
  const addHeader = (next: (args: never) => unknown) => (args: { request: { headers: Record<string, string> } }) => {
    args.request.headers['x-amz-content-sha256'] = digest.toString('hex');
    return next(args as never);
  };
  (command as unknown as SignedCommand).middlewareStack.add(addHeader as never, { step: 'build' });
  return command;
}

/**
 * The body, read into one buffer of the length the server announced.
 * @throws RepositoryError BLOB_TRUNCATED when it brings less, or more.
 */
export async function readBody(body: AsyncIterable<Uint8Array>, length: number, name: string, signal: AbortSignal): Promise<Buffer> {
  const stop = () => (body as unknown as { destroy?: (error?: Error) => void }).destroy?.(new Error('aborted'));
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const buffer = Buffer.allocUnsafeSlow(length);
  let done = 0;
  try {
    for await (const part of body) {
      done += part.length;
      if (done > length) break;
      buffer.set(part, done - part.length);
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (done === length) return buffer;
  throw new RepositoryError(`${name} came with ${done} bytes instead of ${length}: the answer was damaged on its way`, {
    code: 'BLOB_TRUNCATED',
    retryable: true,
    subject: name,
  });
}
