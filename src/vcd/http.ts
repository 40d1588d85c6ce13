import { type Logger, newId, parseXml, retry, Semaphore, sleep, throwIfAborted, type XmlElement, XmlError } from '../common/index.js';
import { badAnswer, errorFromAnswer, VcdError } from './error.js';
import { writeVcloudXml } from './namespaces.js';
import { type SessionToken, VcdSession } from './session.js';
import { Transport, type TransportAnswer } from './transport.js';
import type { VcdConnection } from './types.js';

export interface VcdRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** An href out of an answer, or a path under the registered host. */
  href: string;
  /** Begins the sentence of an error: `Reading vApp "shop"`. */
  operation: string;
  /** What the request is about, for VcdError.subject. */
  subject?: string;
  body?: XmlElement;
  contentType?: string;
  /** May be sent again although the first may have been carried out. GET, PUT and DELETE may unless said otherwise. */
  idempotent?: boolean;
  signal?: AbortSignal;
}

export interface VcdAnswer {
  status: number;
  text: string;
  location: string | undefined;
  requestId: string | undefined;
  /** @throws VcdError BAD_ANSWER when the body is not XML. */
  root(): XmlElement;
}

export const DEFAULTS = {
  requestTimeoutMs: 120_000,
  retryDeadlineMs: 300_000,
  retryBaseDelayMs: 500,
  retryMaxDelayMs: 15_000,
  retryAttempts: 60,
  maxConcurrentRequests: 8,
} as const;

const MAX_RETRY_AFTER_MS = 60_000;

/** Authenticated requests to one VCD: tokens, retries, limits, and errors that say what failed. */
export class VcdHttp {
  readonly session: VcdSession;
  readonly #transport: Transport;
  readonly #connection: VcdConnection;
  readonly #limit: Semaphore;
  readonly #logger: Logger;
  #closed = false;

  private constructor(transport: Transport, session: VcdSession, connection: VcdConnection, logger: Logger) {
    this.#transport = transport;
    this.session = session;
    this.#connection = connection;
    this.#logger = logger;
    this.#limit = new Semaphore(connection.maxConcurrentRequests ?? DEFAULTS.maxConcurrentRequests);
  }

  /** Negotiates the version and logs in, so that a wrong URL, certificate or password shows here and now. */
  static async connect(connection: VcdConnection, logger: Logger, signal?: AbortSignal): Promise<VcdHttp> {
    const transport = new Transport(connection.url, connection.trust);
    try {
      throwIfAborted(signal);
      const session = await VcdSession.negotiate(transport, connection, signal);
      await session.token();
      return new VcdHttp(transport, session, connection, logger);
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  get host(): string {
    return this.#transport.host;
  }

  async get(href: string, operation: string, signal?: AbortSignal, subject?: string): Promise<VcdAnswer> {
    return this.request({ method: 'GET', href, operation, subject, signal });
  }

  /**
   * Sends until it is answered: what VCD refused before beginning (busy, over a limit) is repeated for
   * every method, what may have been done only where doing it twice is the same as once.
   */
  async request(request: VcdRequest): Promise<VcdAnswer> {
    const idempotent = request.idempotent ?? request.method !== 'POST';
    let pauseMs = 0;
    return retry(
      {
        attempts: DEFAULTS.retryAttempts,
        baseDelayMs: this.#connection.retryBaseDelayMs ?? DEFAULTS.retryBaseDelayMs,
        maxDelayMs: DEFAULTS.retryMaxDelayMs,
        deadlineMs: this.#connection.retryDeadlineMs ?? DEFAULTS.retryDeadlineMs,
        signal: request.signal,
        retryIf: (error) => error instanceof VcdError && error.retryable && (idempotent || !error.answerLost),
        onRetry: (error, attempt) => {
          const failure = error as VcdError;
          pauseMs = failure.retryAfterMs ?? 0;
          this.#logger.debug({ host: this.host, operation: request.operation, code: failure.code, attempt }, 'vCloud request is repeated');
        },
      },
      async () => {
        if (pauseMs > 0) await sleep(pauseMs, request.signal);
        return this.#once(request);
      },
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.session.logOut();
    this.#closed = true;
    this.#transport.close();
  }

  /** One try; a refused token is renewed once. 403 is an answer, not a reason to log in again. */
  async #once(request: VcdRequest): Promise<VcdAnswer> {
    if (this.#closed) {
      throw new VcdError(`${request.operation} failed: the session to ${this.host} is closed.`, {
        code: 'CLIENT_CLOSED',
        operation: request.operation,
      });
    }
    const release = await this.#limit.acquire(request.signal);
    try {
      const token = await this.session.token();
      let answer = await this.#send(request, token);
      if (answer.status === 401) answer = await this.#send(request, await this.session.renew(token));
      return this.#read(request, answer);
    } finally {
      release();
    }
  }

  #send(request: VcdRequest, token: SessionToken): Promise<TransportAnswer> {
    const headers: Record<string, string> = {
      accept: `application/*+xml;version=${this.session.apiVersion}`,
      'x-vmware-vcloud-client-request-id': `vapp-vault-${newId()}`,
      ...token.headers,
    };
    if (request.body !== undefined && request.contentType !== undefined) headers['content-type'] = request.contentType;
    return this.#transport.send({
      method: request.method,
      target: targetOf(request.href),
      headers,
      body: request.body === undefined ? undefined : writeVcloudXml(request.body),
      timeoutMs: this.#connection.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
      operation: request.operation,
      signal: request.signal,
    });
  }

  #read(request: VcdRequest, answer: TransportAnswer): VcdAnswer {
    const { operation, subject } = request;
    const requestId = answer.header('x-vmware-vcloud-request-id');
    if (answer.status < 200 || answer.status > 299) {
      const retryAfterMs = retryAfter(answer.header('retry-after'));
      throw errorFromAnswer({ status: answer.status, text: answer.text, operation, subject, requestId, retryAfterMs });
    }
    return {
      status: answer.status,
      text: answer.text,
      location: answer.header('location'),
      requestId,
      root: () => rootOf(answer.text, operation, requestId),
    };
  }
}

function rootOf(text: string, operation: string, requestId: string | undefined): XmlElement {
  try {
    return parseXml(text);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const shape = /^\s*<(!doctype\s+)?html/i.test(text) ? 'an HTML page' : 'something that is not well-formed XML';
    throw badAnswer(operation, `vCloud Director answered with ${shape}`, requestId);
  }
}

function targetOf(href: string): string {
  const url = new URL(href, 'https://vcd');
  return `${url.pathname}${url.search}`;
}

function retryAfter(header: string | undefined): number | undefined {
  const seconds = Number(header);
  if (header === undefined || !Number.isFinite(seconds) || seconds <= 0) return undefined;
  return Math.min(seconds * 1000, MAX_RETRY_AFTER_MS);
}
