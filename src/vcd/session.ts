import { errorFromAnswer, VcdError } from './error.js';
import type { Transport, TransportAnswer } from './transport.js';
import type { VcdConnection } from './types.js';
import { type ApiVersion, chooseVersion, notAVcd, parseVersions } from './versions.js';

/** The token of one login; `generation` tells whether somebody has logged in again since. */
export interface SessionToken {
  generation: number;
  headers: Readonly<Record<string, string>>;
}

const LOGIN_TIMEOUT_MS = 60_000;
const LOGOUT_TIMEOUT_MS = 5_000;
const PROVIDER = 'system';

/**
 * One login to one VCD, made when first needed and shared by all requests. Sessions expire at a
 * time the provider sets (nothing in the API says when), so a 401 simply means: log in again.
 */
export class VcdSession {
  readonly isProvider: boolean;
  readonly #transport: Transport;
  readonly #connection: VcdConnection;
  readonly #version: ApiVersion;
  #generation = 0;
  #token: SessionToken | undefined;
  #pending: Promise<SessionToken> | undefined;
  #sessionId: string | undefined;

  private constructor(transport: Transport, connection: VcdConnection, version: ApiVersion) {
    this.#transport = transport;
    this.#connection = connection;
    this.#version = version;
    this.isProvider = connection.organization.trim().toLowerCase() === PROVIDER;
  }

  /** Agrees on a version; nothing secret is sent before that. */
  static async negotiate(transport: Transport, connection: VcdConnection, signal?: AbortSignal): Promise<VcdSession> {
    const operation = `Reading the API versions of ${transport.host}`;
    const answer = await transport.send({
      method: 'GET',
      target: '/api/versions',
      headers: { accept: 'application/*+xml' },
      timeoutMs: connection.requestTimeoutMs ?? LOGIN_TIMEOUT_MS,
      operation,
      signal,
    });
    // A cell that starts, or a load balancer without a cell: a VCD that is not there yet.
    if (answer.status === 429 || answer.status >= 500) throw errorFromAnswer({ ...answer, operation, subject: transport.host });
    if (answer.status !== 200) throw notAVcd(transport.host, `/api/versions answers HTTP ${answer.status}`);
    return new VcdSession(
      transport,
      connection,
      chooseVersion(parseVersions(answer.text, transport.host), connection.apiVersion, transport.host),
    );
  }

  get apiVersion(): string {
    return this.#version.version;
  }

  /** The present token, logging in when there is none. */
  async token(): Promise<SessionToken> {
    return this.#token ?? this.#logInOnce();
  }

  /** A token newer than the one that was refused. Concurrent callers share one login. */
  async renew(refused: SessionToken): Promise<SessionToken> {
    if (this.#token !== undefined && this.#token.generation > refused.generation) return this.#token;
    this.#token = undefined;
    return this.#logInOnce();
  }

  async logOut(): Promise<void> {
    const token = this.#token;
    this.#token = undefined;
    if (token === undefined) return;
    await this.#transport
      .send({
        method: 'DELETE',
        target: this.#logoutTarget(),
        headers: { accept: `application/*;version=${this.apiVersion}`, ...token.headers },
        timeoutMs: LOGOUT_TIMEOUT_MS,
        operation: `Logging out of ${this.#transport.host}`,
      })
      // An unused session ends by itself; leaving must not fail because VCD is away.
      .catch(() => undefined);
  }

  #logInOnce(): Promise<SessionToken> {
    this.#pending ??= this.#logIn().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #logIn(): Promise<SessionToken> {
    const { userName, organization, password } = this.#connection;
    const operation = `Logging in to ${this.#transport.host} as "${userName}" of organization "${organization}"`;
    const target = this.#loginTarget();
    const cloudapi = target.startsWith('/cloudapi/');
    // One caller's abort must not take the login away from the others: it has a time limit of its own.
    const answer = await this.#transport.send({
      method: 'POST',
      target,
      headers: {
        accept: `application/${cloudapi ? '*' : '*+xml'};version=${this.apiVersion}`,
        authorization: `Basic ${Buffer.from(`${userName}@${organization}:${password}`, 'utf8').toString('base64')}`,
      },
      timeoutMs: this.#connection.requestTimeoutMs ?? LOGIN_TIMEOUT_MS,
      operation,
      harmless: true,
    });
    if (answer.status === 401 || answer.status === 403) throw this.#refused(operation, answer);
    if (answer.status < 200 || answer.status > 299) throw errorFromAnswer({ ...answer, operation, subject: this.#transport.host });
    const headers = tokenHeaders(answer);
    if (headers === undefined) throw notAVcd(this.#transport.host, 'it accepted the login and gave no token');
    this.#sessionId = cloudapi ? sessionId(answer.text) : undefined;
    this.#generation += 1;
    this.#token = { generation: this.#generation, headers };
    return this.#token;
  }

  #refused(operation: string, answer: TransportAnswer): VcdError {
    const { userName, organization } = this.#connection;
    return new VcdError(
      `${this.#transport.host} refused the login of "${userName}" of organization "${organization}"; check user name, password and organization.`,
      {
        code: 'LOGIN_REFUSED',
        subject: this.#transport.host,
        operation,
        httpStatus: answer.status,
        requestId: answer.header('x-vmware-vcloud-request-id'),
      },
    );
  }

  #loginTarget(): string {
    const { providerLoginUrl, loginUrl } = this.#version;
    const login = pathOf(loginUrl) ?? '/api/sessions';
    if (!this.isProvider) return login;
    const provider = pathOf(providerLoginUrl);
    if (provider !== undefined) return provider;
    return login.startsWith('/cloudapi/') ? `${login.replace(/\/+$/, '')}/provider` : login;
  }

  #logoutTarget(): string {
    const login = this.#loginTarget();
    if (!login.startsWith('/cloudapi/')) return '/api/session';
    return this.#sessionId === undefined ? login : `/cloudapi/1.0.0/sessions/${encodeURIComponent(this.#sessionId)}`;
  }
}

/** cloudapi answers with a JWT, /api/sessions with an opaque 32-character token in a header of its own. */
function tokenHeaders(answer: TransportAnswer): Record<string, string> | undefined {
  const bearer = answer.header('x-vmware-vcloud-access-token');
  if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
  const opaque = answer.header('x-vcloud-authorization');
  return opaque === undefined ? undefined : { 'x-vcloud-authorization': opaque };
}

function sessionId(text: string): string | undefined {
  try {
    const id = (JSON.parse(text) as { id?: unknown }).id;
    return typeof id === 'string' && id !== '' ? id : undefined;
  } catch {
    return undefined;
  }
}

function pathOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url, 'https://vcd')) return undefined;
  return new URL(url, 'https://vcd').pathname;
}
