import { errorFromAnswer, faultFromBody, retryAfterMs } from './error.js';
import { isProvider, logIn } from './login.js';
import type { Transport } from './transport.js';
import type { VcdConnection } from './types.js';
import { type ApiVersion, chooseVersion, notAVcd, parseVersions } from './versions.js';

/** The token of one login; `generation` tells whether somebody has logged in again since. */
export interface SessionToken {
  generation: number;
  headers: Readonly<Record<string, string>>;
  logoutTarget: string;
  /** On the monotonic clock, a little early; Infinity where VCD tells no time. */
  renewAtMs: number;
}

const LOGIN_TIMEOUT_MS = 60_000;
const LOGOUT_TIMEOUT_MS = 5_000;
/** A request that is sent in the last moment must still find its token good. */
const RENEW_EARLY_MS = 60_000;

/**
 * One login to one VCD, made when first needed and shared by all requests. A password's session expires at a
 * time the provider sets (nothing in the API says when), so a 401 simply means: log in again.
 */
export class VcdSession {
  readonly isProvider: boolean;
  readonly #transport: Transport;
  readonly #connection: VcdConnection;
  #version: ApiVersion;
  #generation = 0;
  #token: SessionToken | undefined;
  #login: Promise<SessionToken> | undefined;
  #negotiation: Promise<ApiVersion> | undefined;

  private constructor(transport: Transport, connection: VcdConnection, version: ApiVersion) {
    this.#transport = transport;
    this.#connection = connection;
    this.#version = version;
    this.isProvider = isProvider(connection);
  }

  /** Agrees on a version; nothing secret is sent before that. */
  static async negotiate(transport: Transport, connection: VcdConnection, signal?: AbortSignal): Promise<VcdSession> {
    return new VcdSession(transport, connection, await agreeOnVersion(transport, connection, signal));
  }

  get apiVersion(): string {
    return this.#version.version;
  }

  /** The present token, logging in when there is none or its time is over. */
  async token(): Promise<SessionToken> {
    const token = this.#token;
    return token !== undefined && performance.now() < token.renewAtMs ? token : this.#logInOnce();
  }

  /** A token newer than the one that was refused. Concurrent callers share one login. */
  async renew(refused: SessionToken): Promise<SessionToken> {
    if (this.#token !== undefined && this.#token.generation > refused.generation) return this.token();
    this.#token = undefined;
    return this.#logInOnce();
  }

  /**
   * For a version that was refused (406): VCD may have been upgraded under us.
   * @returns whether another version is spoken now, and the request is worth repeating.
   * @throws VcdError VERSION_UNSUPPORTED when no version fits any more.
   */
  async renegotiate(refused: string): Promise<boolean> {
    if (this.apiVersion !== refused) return true;
    this.#negotiation ??= agreeOnVersion(this.#transport, this.#connection).finally(() => {
      this.#negotiation = undefined;
    });
    this.#version = await this.#negotiation;
    return this.apiVersion !== refused;
  }

  async logOut(): Promise<void> {
    // A login under way would open a session that nobody closes.
    await this.#login?.catch(() => undefined);
    const token = this.#token;
    this.#token = undefined;
    if (token === undefined) return;
    await this.#transport
      .send({
        method: 'DELETE',
        target: token.logoutTarget,
        headers: { accept: `application/*;version=${this.apiVersion}`, ...token.headers },
        timeoutMs: LOGOUT_TIMEOUT_MS,
        operation: `Logging out of ${this.#transport.host}`,
      })
      // An unused session ends by itself; leaving must not fail because VCD is away.
      .catch(() => undefined);
  }

  #logInOnce(): Promise<SessionToken> {
    this.#login ??= this.#logIn().finally(() => {
      this.#login = undefined;
    });
    return this.#login;
  }

  async #logIn(): Promise<SessionToken> {
    const timeoutMs = this.#connection.requestTimeoutMs ?? LOGIN_TIMEOUT_MS;
    const door = { transport: this.#transport, connection: this.#connection, version: this.#version, timeoutMs };
    const startedMs = performance.now();
    const { headers, logoutTarget, expiresInMs } = await logIn(door);
    const lifeMs = expiresInMs === undefined ? Number.POSITIVE_INFINITY : expiresInMs - Math.min(RENEW_EARLY_MS, expiresInMs / 10);
    this.#generation += 1;
    this.#token = { generation: this.#generation, headers, logoutTarget, renewAtMs: startedMs + lifeMs };
    return this.#token;
  }
}

async function agreeOnVersion(transport: Transport, connection: VcdConnection, signal?: AbortSignal): Promise<ApiVersion> {
  const { host } = transport;
  const operation = `Reading the API versions of ${host}`;
  const answer = await transport.send({
    method: 'GET',
    target: '/api/versions',
    headers: { accept: 'application/*+xml' },
    timeoutMs: connection.requestTimeoutMs ?? LOGIN_TIMEOUT_MS,
    operation,
    harmless: true,
    signal,
  });
  // A cell that starts, or a load balancer without a cell: a VCD that is not there yet.
  if (answer.status === 429 || answer.status >= 500) {
    const pauseMs = retryAfterMs(answer.header('retry-after'), Date.now());
    throw errorFromAnswer({ status: answer.status, text: answer.text, operation, subject: host, retryAfterMs: pauseMs });
  }
  if (answer.status !== 200) throw notAVcd(host, `/api/versions answers HTTP ${answer.status}`);
  return chooseVersion(parseVersions(answer.text, host), connection.apiVersion, host);
}

/**
 * A 401, or the 403 by which other releases say the same ("the session expired"; the guides' editions differ).
 * Both are answered by one new login, and never by a second.
 */
export function saysSessionEnded(answer: { status: number; text: string }): boolean {
  if (answer.status === 401) return true;
  if (answer.status !== 403) return false;
  const fault = faultFromBody(answer.text);
  if (fault === undefined) return false;
  // What stands in quotation marks is a name: a vApp may be called "session expired".
  return ENDED_CODE.test(fault.minorErrorCode ?? '') || ENDED_SENTENCE.test(fault.message.replace(/"[^"]*"/g, ''));
}

const ENDED_CODE = /^(SESSION_EXPIRED|SESSION_TIMED_OUT|INVALID_SESSION|TOKEN_EXPIRED|INVALID_TOKEN|UNAUTHENTICATED|UNAUTHORIZED)$/;
const ENDED_SENTENCE = /\b(session|token)\b.{0,40}\b(expired|timed out|has ended|no longer valid|is invalid)\b/i;
