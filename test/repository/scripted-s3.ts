import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLogger } from '../../src/common/index.js';
import { S3Store, type S3StoreOptions } from '../../src/repository/index.js';

export const SECRET = 'wJalrXUtnFEMI-secret';
export const ACCESS_KEY = 'AKIASCRIPTED';

export interface S3Request {
  method: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface S3Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** The connection breaks after the body, whatever length was announced. */
  cut?: boolean;
  /** No answer at all. */
  silent?: boolean;
  /** Not answered before. */
  after?: Promise<void>;
}

/**
 * An endpoint that answers what a test tells it to: for the answers no healthy server gives on demand. It proves how we read an
 * error, never that we speak S3; that is shown on a real server (test/interop/s3).
 */
export class ScriptedS3 {
  readonly requests: S3Request[] = [];
  /** Undefined: as an empty bucket would. */
  answer: (request: S3Request) => S3Answer | undefined = () => undefined;

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    readonly endpoint: string,
  ) {}

  static async start(): Promise<ScriptedS3> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const scripted = new ScriptedS3(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void scripted.handle(request, response));
    return scripted;
  }

  open(options: Partial<S3StoreOptions> = {}): Promise<S3Store> {
    return S3Store.open({
      endpoint: this.endpoint,
      bucket: 'vault',
      region: 'us-east-1',
      pathStyle: true,
      credentials: async () => ({ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET }),
      requestTimeoutMs: 10_000,
      log: silentLogger,
      ...options,
    });
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // it was aborted
    }
    const url = new URL(request.url as string, this.endpoint);
    const seen: S3Request = {
      method: request.method as string,
      key: decodeURIComponent(url.pathname.split('/').slice(2).join('/')),
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(parts),
    };
    this.requests.push(seen);
    const answer = this.answer(seen) ?? asEmptyBucket(seen);
    if (answer.silent) return;
    await answer.after;
    const length = answer.body !== undefined && !answer.cut && answer.headers?.['transfer-encoding'] === undefined;
    const announced = length ? { 'content-length': String(Buffer.byteLength(answer.body as string | Buffer)) } : {};
    response.writeHead(answer.status, { 'content-type': 'application/xml', ...announced, ...answer.headers });
    if (!answer.cut) {
      response.end(answer.body);
      return;
    }
    response.write(answer.body ?? '');
    setTimeout(() => response.destroy(), 50);
  }
}

export function s3Error(status: number, code: string, message = `about ${ACCESS_KEY}`): S3Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message><AWSAccessKeyId>${ACCESS_KEY}</AWSAccessKeyId></Error>`;
  return { status, body };
}

function asEmptyBucket({ method, key, query }: S3Request): S3Answer {
  if (query.has('versioning')) return { status: 200, body: '<VersioningConfiguration/>' };
  if (query.has('uploads'))
    return { status: 200, body: '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>' };
  if (key === '') return { status: 200, body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' };
  if (method === 'PUT') return { status: 200, headers: { etag: '"e"' } };
  if (method === 'DELETE') return { status: 204 };
  return method === 'HEAD' ? { status: 404 } : s3Error(404, 'NoSuchKey');
}
