import { fileURLToPath } from 'node:url';
import * as soap from 'soap';
import {
  type Logger,
  parseXml,
  retry,
  silentLogger,
  TimeoutError,
  throwIfAborted,
  withoutLogFields,
  withTimeout,
  type XmlElement,
} from '../common/index.js';
import { faultError, readSoapFault, type VimFault, VsphereError } from './errors.js';
import { type HttpRequest, type HttpResponse, VcenterTransport } from './transport.js';
import type { VsphereConnection } from './types.js';
import { type ManagedObject, referenceOf, soapReference } from './vim-xml.js';

const WSDL_FILE = fileURLToPath(new URL('./wsdl/vim25-vadp.wsdl', import.meta.url));
/** Every vCenter since 6.5 answers it; the session then goes on in the server's own version. */
const FIRST_API_VERSION = '6.5';
const DEFAULT_TIMEOUT_MS = 60_000;
/** For calls that only tidy up after others, whose own deadline or signal may have passed. */
export const CLEANUP_TIMEOUT_MS = 10_000;
/** vCenter drops a session after 30 idle minutes by default; VDDK may hold the cookie for hours. */
const KEEP_ALIVE_MS = 5 * 60_000;
const SESSION_COOKIE = 'vmware_soap_session';

export interface ServiceContent {
  rootFolder: ManagedObject;
  propertyCollector: ManagedObject;
  sessionManager: ManagedObject;
  searchIndex: ManagedObject;
  /** Every vCenter has both; what needs one says so when it is missing. */
  viewManager: ManagedObject | undefined;
  authorizationManager: ManagedObject | undefined;
  /** Since 6.5. */
  cryptoManager: ManagedObject | undefined;
  /** Since 6.5, and of another type on an ESXi host. */
  vStorageObjectManager: ManagedObject | undefined;
  apiType: string;
  apiVersion: string;
  /** `VMware vCenter Server 8.0.3 build-24022515`, for people. */
  product: string;
  instanceUuid: string;
}

export interface CallOptions {
  /** For the sentence of an error: `creating a snapshot of VM "web-1"`. */
  doing: string;
  subject?: string | undefined;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
  /** The call only reads: it is repeated when its connection breaks. */
  idempotent?: boolean;
  /** The server answers when there is news: it holds its connection as long. */
  longPoll?: boolean;
  /** A fault that an answer holds although the call succeeded; it counts as the call's own. */
  faultIn?: (answer: XmlElement) => VimFault | undefined;
}

/** Arguments by the names of the WSDL, which also fixes their order. */
export type CallArguments = Readonly<Record<string, unknown>>;

/** One HTTP exchange of the soap client: what goes in with the call, and what came back. */
interface Exchange {
  signal: AbortSignal | undefined;
  timeoutMs: number;
  lane: NonNullable<HttpRequest['lane']>;
  response?: HttpResponse;
  failure?: unknown;
}

/**
 * One authenticated session with one vCenter, shared by everything in this process that talks to
 * it. When it has expired, it logs in again, once for all calls under way, and repeats them.
 */
export class VimSession {
  readonly transport: VcenterTransport;
  content!: ServiceContent;
  /** Counts logins: collectors, filters and page tokens belong to one of them. */
  generation = 0;
  /** UserSession.key of the present login: vCenter's public name of it, no secret. */
  sessionKey = '';
  private cookie: string | undefined;
  /** Of the last login that succeeded: VDDK may ask while the next one is under way. */
  private loggedInCookie = '';
  private apiVersion = FIRST_API_VERSION;
  private renewal: Promise<void> | undefined;
  private keepAlive: NodeJS.Timeout | undefined;
  private client!: soap.Client;
  private readonly timeoutMs: number;

  private constructor(
    private readonly connection: VsphereConnection,
    private readonly log: Logger,
  ) {
    this.transport = new VcenterTransport(connection);
    this.timeoutMs = connection.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** @throws VsphereError UNREACHABLE, CERTIFICATE_UNTRUSTED, NOT_A_VCENTER, LOGIN_REFUSED. */
  static async open(connection: VsphereConnection, log: Logger = silentLogger, signal?: AbortSignal): Promise<VimSession> {
    const session = new VimSession(connection, log);
    try {
      session.client = await soap.createClientAsync(WSDL_FILE, {
        httpClient: { request: (_url, body, done, headers, options) => session.exchange(body, done, headers, options) },
        endpoint: `https://${session.transport.name}/sdk`,
      });
      await session.login(signal);
    } catch (error) {
      session.transport.close();
      throw error;
    }
    session.keepAlive = withoutLogFields(() => setInterval(() => void session.touch(), KEEP_ALIVE_MS));
    session.keepAlive.unref();
    return session;
  }

  get userName(): string {
    return this.connection.userName;
  }

  /** The bare value of the session cookie, as VDDK takes it. */
  get cookieValue(): string {
    return this.loggedInCookie.slice(SESSION_COOKIE.length + 1).replace(/^"|"$/g, '');
  }

  /** @returns the response element, to be read by namespace. @throws VsphereError; TimeoutError; the signal's reason. */
  async call(method: string, self: ManagedObject, args: CallArguments, options: CallOptions): Promise<XmlElement> {
    const attempt = () => this.repeatWhenExpired(options.signal, () => this.once(method, self, args, options));
    if (!options.idempotent) return attempt();
    return retry(
      {
        attempts: 4,
        baseDelayMs: 200,
        maxDelayMs: 3_000,
        deadlineMs: 60_000,
        retryIf: (error) => error instanceof VsphereError && error.code === 'CONNECTION_LOST',
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      attempt,
    );
  }

  /** A plain HTTPS request under this session: datastore files. */
  async http(request: HttpRequest, doing: string): Promise<HttpResponse> {
    return this.repeatWhenExpired(request.signal, async () => {
      const response = await this.transport.send({ ...request, headers: { ...request.headers, ...this.cookieHeader() } });
      if (response.status === 401) throw this.fault({ faultType: 'NotAuthenticated', message: '', invalidProperty: undefined }, doing);
      return response;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.keepAlive);
    try {
      if (this.cookie !== undefined)
        await this.once('Logout', this.content.sessionManager, {}, { doing: 'the logout', timeoutMs: CLEANUP_TIMEOUT_MS });
    } catch (error) {
      // The server forgets an idle session by itself; nobody can do more about it here.
      this.log.debug({ vcenter: this.transport.name, code: (error as VsphereError).code }, 'logout from vCenter failed');
    } finally {
      this.cookie = undefined;
      this.transport.close();
    }
  }

  private async repeatWhenExpired<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const generation = this.generation;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof VsphereError && error.code === 'NOT_AUTHENTICATED')) throw error;
      await withTimeout(`The login to vCenter ${this.transport.name}`, 2 * this.timeoutMs, signal, () => this.renew(generation));
      return work();
    }
  }

  /** Many calls find the session expired at one moment; the first logs in, the others wait for it. */
  private renew(expired: number): Promise<void> {
    if (this.generation !== expired) return Promise.resolve();
    this.renewal ??= this.login().finally(() => {
      this.renewal = undefined;
    });
    return this.renewal;
  }

  private async login(signal?: AbortSignal): Promise<void> {
    this.cookie = undefined;
    this.apiVersion = FIRST_API_VERSION;
    const instance = { type: 'ServiceInstance', value: 'ServiceInstance' };
    const found = await this.once('RetrieveServiceContent', instance, {}, { doing: 'the first contact', signal });
    this.content = readServiceContent(found.child('returnval'), this.transport.name);
    this.apiVersion = this.content.apiVersion;
    const { userName, password } = this.connection;
    try {
      const call = { doing: `the login of ${userName}`, signal };
      const session = await this.once('Login', this.content.sessionManager, { userName, password }, call);
      this.sessionKey = session.child('returnval')?.textAt('key') ?? '';
    } catch (error) {
      if (error instanceof VsphereError && error.code === 'LOGIN_REFUSED') {
        throw new VsphereError(
          `vCenter ${this.transport.name} refused the password of ${userName}: register the right user name and password.`,
          {
            code: 'LOGIN_REFUSED',
            faultType: 'InvalidLogin',
            method: 'Login',
            subject: `vCenter ${this.transport.name}`,
          },
        );
      }
      throw error;
    } finally {
      // The soap client remembers its last request for debugging: this one held the password.
      Object.assign(this.client, { lastRequest: undefined, lastMessage: undefined });
    }
    if (this.cookie === undefined) throw notVcenter(this.transport.name, 'it gave no session cookie');
    this.loggedInCookie = this.cookie;
    this.generation += 1;
  }

  private async once(method: string, self: ManagedObject, args: CallArguments, options: CallOptions): Promise<XmlElement> {
    throwIfAborted(options.signal);
    const exchange: Exchange = {
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? this.timeoutMs,
      lane: options.longPoll ? 'poll' : options.idempotent ? 'pooled' : 'fresh',
    };
    const invoke = this.client[`${method}Async`] as soap.SoapMethodAsync;
    const headers = { SOAPAction: `"urn:vim25/${this.apiVersion}"`, ...this.cookieHeader() };
    try {
      await invoke({ _this: soapReference(self), ...args }, { exchange }, headers);
    } catch {
      // A fault or a failed exchange: both are read below from what was received. The soap client's
      // own error is not passed on, because it carries the request.
    }
    if (exchange.failure !== undefined) throw this.named(exchange.failure, options);
    if (exchange.response === undefined) {
      throw new VsphereError(`The request ${method} for ${options.doing} could not be written.`, { code: 'REQUEST_NOT_WRITTEN', method });
    }
    return this.read(exchange.response, method, self, options);
  }

  /** The soap client's way to the network (its IHttpClient). */
  private exchange(
    body: string,
    done: (error: unknown, response?: unknown, body?: string) => void,
    headers: Record<string, string> = {},
    options: { exchange?: Exchange } = {},
  ): never {
    const exchange = options.exchange as Exchange;
    const request: HttpRequest = { method: 'POST', path: '/sdk', headers, body, ...exchange };
    this.transport.send(request).then(
      (response) => {
        exchange.response = response;
        this.takeCookie(response);
        done(null, { status: response.status, headers: response.headers }, response.body.toString('utf8'));
      },
      (error: unknown) => {
        exchange.failure = error;
        done(new Error('No answer'));
      },
    );
    // The type asks for axios's promise, which the client's callback style never looks at.
    return undefined as never;
  }

  private read(response: HttpResponse, method: string, self: ManagedObject, options: CallOptions): XmlElement {
    let body: XmlElement | undefined;
    try {
      body = parseXml(response.body.toString('utf8')).child('Body');
    } catch {
      // Not XML, so not vim25: told below, with the HTTP status, which is what helps.
    }
    const answer = body?.elements()[0];
    if (answer === undefined) {
      if (response.status === 502 || response.status === 503 || response.status === 504) {
        throw new VsphereError(`vCenter ${this.transport.name} is not ready (HTTP ${response.status}) for ${options.doing}.`, {
          code: 'UNREACHABLE',
          retryable: true,
          method,
          subject: `vCenter ${this.transport.name}`,
        });
      }
      throw notVcenter(this.transport.name, `it answered with HTTP ${response.status} and no vSphere answer`);
    }
    const fault = answer.local === 'Fault' ? readSoapFault(answer) : options.faultIn?.(answer);
    if (fault !== undefined) throw this.fault(fault, options.doing, method, self.value, options.subject);
    return answer;
  }

  private fault(fault: VimFault, doing: string, method?: string, object?: string, subject?: string): VsphereError {
    return faultError(fault, {
      doing,
      vcenter: this.transport.name,
      ...(method === undefined ? {} : { method }),
      ...(object === undefined ? {} : { object }),
      ...(subject === undefined ? {} : { subject }),
    });
  }

  /** A timeout says what did not finish; other failures already name the vCenter. */
  private named(failure: unknown, options: CallOptions): unknown {
    return failure instanceof TimeoutError
      ? new TimeoutError(`On vCenter ${this.transport.name}, ${options.doing}`, options.timeoutMs ?? this.timeoutMs)
      : failure;
  }

  private cookieHeader(): Record<string, string> {
    return this.cookie === undefined ? {} : { Cookie: this.cookie };
  }

  private takeCookie(response: HttpResponse): void {
    for (const line of response.headers['set-cookie'] ?? []) {
      const pair = line.split(';', 1)[0]?.trim() ?? '';
      if (pair.startsWith(`${SESSION_COOKIE}=`) && pair.length > SESSION_COOKIE.length + 1) this.cookie = pair;
    }
  }

  private async touch(): Promise<void> {
    try {
      const instance = { type: 'ServiceInstance', value: 'ServiceInstance' };
      await this.call('CurrentTime', instance, {}, { doing: 'keeping the session alive', idempotent: true });
    } catch (error) {
      // The next call that needs the session meets the same trouble and reports it to somebody.
      this.log.warn({ vcenter: this.transport.name, code: (error as VsphereError).code }, 'keeping the vCenter session alive failed');
    }
  }
}

function readServiceContent(content: XmlElement | undefined, name: string): ServiceContent {
  const about = content?.child('about');
  const apiType = about?.textAt('apiType');
  const [rootFolder, propertyCollector, sessionManager, searchIndex] = [
    'rootFolder',
    'propertyCollector',
    'sessionManager',
    'searchIndex',
  ].map((local) => referenceOf(content?.child(local)));
  if (!about || !apiType || !rootFolder || !propertyCollector || !sessionManager || !searchIndex) {
    throw notVcenter(name, 'its answer is not that of the vSphere API');
  }
  // A single host speaks the same API, but has no instance UUID for VCD to know it by, and no cluster.
  if (apiType !== 'VirtualCenter') throw notVcenter(name, `it is "${about.textAt('fullName') ?? apiType}"`);
  return {
    rootFolder,
    propertyCollector,
    sessionManager,
    searchIndex,
    viewManager: referenceOf(content?.child('viewManager')),
    authorizationManager: referenceOf(content?.child('authorizationManager')),
    cryptoManager: referenceOf(content?.child('cryptoManager')),
    vStorageObjectManager: referenceOf(content?.child('vStorageObjectManager')),
    apiType,
    apiVersion: about.textAt('apiVersion') ?? FIRST_API_VERSION,
    product: about.textAt('fullName') ?? apiType,
    instanceUuid: about.textAt('instanceUuid') ?? '',
  };
}

function notVcenter(name: string, why: string): VsphereError {
  return new VsphereError(`${name} is not a vCenter: ${why}; check its address.`, { code: 'NOT_A_VCENTER', subject: `vCenter ${name}` });
}
