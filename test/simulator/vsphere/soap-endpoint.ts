import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseXml, type XmlElement } from '../../../src/common/index.js';
import { CutRequest, type FailableTask, FailedRequest } from '../request-gate.js';
import { requireEnabled } from '../model/disabled-methods.js';
import { isMoRef, type MoRef, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { vmOf } from './call.js';
import { decodeReference, decodeSequence, encodeField, encodeTyped, invalidRequest, VIM25 } from './codec.js';
import { strike, type Recorder } from './fault-rules.js';
import { ANONYMOUS, HANDLERS, type Call, type Result, type VcenterCore } from './operations.js';
import type { Handler } from './call.js';
import { pbmOperations } from './pbm-operations.js';
import { requirePrivileges } from './method-privileges.js';
import { schema, type Operation } from './schema/schema.js';
import type { VcenterSession } from './sessions.js';
import { asSimFault } from './tasks.js';

const SOAP_ENVELOPE = 'http://schemas.xmlsoap.org/soap/envelope/';
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const COOKIE = 'vmware_soap_session';

/** Cut the connection without a word. */
export class DroppedConnection extends Error {}

export function cookieOf(request: IncomingMessage): string | undefined {
  return new RegExp(`${COOKIE}="?([0-9a-f]+)"?`).exec(request.headers.cookie ?? '')?.[1];
}

export async function readBody(request: IncomingMessage, limitBytes = MAX_REQUEST_BYTES): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > limitBytes) throw invalidRequest('The request is too large');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** What one address of vCenter serves. */
export interface SoapService {
  path: string;
  namespace: string;
  handlers: Readonly<Record<string, Handler>>;
  anonymous: ReadonlySet<string>;
  /** Where the session is shown: an HTTP cookie, or the SOAP header vcSessionCookie and nothing else. */
  sessionIn: 'cookie' | 'header';
}

const VIM_SERVICE: SoapService = { path: '/sdk', namespace: VIM25, handlers: HANDLERS, anonymous: ANONYMOUS, sessionIn: 'cookie' };
export const PBM_SERVICE: SoapService = {
  path: '/pbm',
  namespace: 'urn:pbm',
  handlers: pbmOperations,
  anonymous: new Set(),
  sessionIn: 'header',
};

/** POST /sdk and /pbm. */
export class SoapEndpoint {
  constructor(
    private readonly core: VcenterCore,
    private readonly record: () => Recorder | undefined,
    private readonly service: SoapService = VIM_SERVICE,
  ) {}

  async serve(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const started = performance.now();
    const startedAt = new Date().toISOString();
    const text = (await readBody(request)).toString('utf8');
    let method = '?';
    let object = '';
    let outcome = 'ok';
    let answer: string;
    let cookie: { value: string | undefined } | undefined;
    try {
      const { operation, self, element, sessionCookie } = readCall(text, this.service.namespace);
      method = operation;
      object = self.value;
      const call = this.prepare(request, sessionCookie, method, self, element, signal, (value) => {
        cookie = { value };
      });
      const result = await this.perform(call, method);
      const definition = schema.operation(method) as Operation;
      answer = envelope(`<${method}Response xmlns="${this.service.namespace}">${encodeResult(result, definition)}</${method}Response>`);
    } catch (error) {
      if (error instanceof DroppedConnection || error instanceof CutRequest || signal.aborted) {
        request.socket.destroy();
        return;
      }
      const fault = error instanceof FailedRequest ? lateFault() : asSimFault(error);
      if (error instanceof FailedRequest) cookie = undefined;
      outcome = fault.faultType;
      response.statusCode = 500;
      answer = envelope(encodeFault(fault, this.service.namespace));
    } finally {
      this.core.rules.log({ door: 'vcenter', method, object, startedAt, ms: performance.now() - started, outcome });
    }
    if (cookie)
      response.setHeader(
        'Set-Cookie',
        cookie.value === undefined ? `${COOKIE}=""; Path=/; Max-Age=0` : `${COOKIE}="${cookie.value}"; Path=/; HttpOnly; Secure;`,
      );
    response.setHeader('Content-Type', 'text/xml; charset=utf-8');
    this.record()?.({
      door: 'vcenter',
      method,
      path: this.service.path,
      status: response.statusCode,
      request: withoutSecrets(text),
      response: withoutSecrets(answer),
    });
    response.end(answer);
  }

  private prepare(
    request: IncomingMessage,
    sessionCookie: string | undefined,
    method: string,
    self: MoRef,
    element: XmlElement,
    signal: AbortSignal,
    setCookie: Call['setCookie'],
  ): Call {
    const operation = schema.operation(method);
    if (!operation || !this.service.handlers[method])
      throw new SimFault('MethodNotFound', `${self.type} has no method ${method} here.`, { receiver: self, method });
    if (schema.isManagedType(self.type) && !managedOwner(self.type, operation.owner)) {
      throw new SimFault('MethodNotFound', `${self.type} has no method ${method}.`, { receiver: self, method });
    }
    const session: VcenterSession | undefined = this.core.sessions.find(
      this.service.sessionIn === 'header' ? sessionCookie : cookieOf(request),
    );
    if (!session && !this.service.anonymous.has(method))
      throw new SimFault('NotAuthenticated', 'The session is not authenticated.', { object: self, privilegeId: 'System.View' });
    if (session) session.callCount += 1;
    const parameters = [{ name: '_this', type: { name: '', reference: true, array: false }, optional: false }, ...operation.parameters];
    const { _this, ...args } = decodeSequence(element, parameters, method, this.service.namespace);
    return {
      core: this.core,
      session,
      self: isMoRef(_this) ? _this : self,
      args,
      address: request.socket.remoteAddress ?? '',
      userAgent: request.headers['user-agent'] ?? '',
      signal,
      setCookie,
    };
  }

  private async perform(call: Call, method: string): Promise<Result> {
    const rule = this.core.rules.match('vcenter', method, [call.self.value], ['fault', 'drop', 'delay', 'hang']);
    if (await strike(rule, call.signal)) throw new DroppedConnection();
    const handler = this.service.handlers[method];
    if (!handler) throw new SimFault('MethodNotFound', `There is no method ${method}.`);
    requirePrivileges(call, method);
    if (call.self.type === 'VirtualMachine') requireEnabled(vmOf(call), method);
    return this.core.rules.gate.pass(
      { door: 'vcenter', method, object: call.self.value },
      () => handler(call),
      (result) => this.taskNamedIn(result),
    );
  }

  private taskNamedIn(result: Result): FailableTask | undefined {
    if (!('value' in result) || !isMoRef(result.value) || result.value.type !== 'Task') return undefined;
    const { value } = result.value;
    return { failWhenDone: () => this.core.tasks.failWhenDone(value, lateFault()) };
  }
}

/** What vCenter says when it waited for a host in vain. */
function lateFault(): SimFault {
  return new SimFault('SystemError', 'A general system error occurred: the operation timed out.', { reason: 'timed out' });
}

/** Managed types we serve answer only to what they or their ancestors own; Destroy_Task and Rename_Task are every entity's. */
function managedOwner(type: string, owner: string): boolean {
  return schema.isManaged(type, owner) || (owner === 'View' && schema.isManaged(type, 'View'));
}

function readCall(
  text: string,
  namespace: string,
): { operation: string; self: MoRef; element: XmlElement; sessionCookie: string | undefined } {
  let root: XmlElement;
  try {
    root = parseXml(text);
  } catch (error) {
    throw invalidRequest(`XML document is malformed: ${(error as Error).message}`);
  }
  if (root.local !== 'Envelope' || root.namespace !== SOAP_ENVELOPE) throw invalidRequest('The request is no SOAP 1.1 envelope');
  const element = root.child('Body', SOAP_ENVELOPE)?.elements()[0];
  if (!element || element.namespace !== namespace) throw invalidRequest(`The body holds no ${namespace} element`);
  const target = element.elements()[0];
  if (target?.local !== '_this') throw invalidRequest(`${element.local} needs _this first`);
  const self = decodeReference(target, '', `${element.local}._this`) as MoRef;
  const sessionCookie = root
    .child('Header', SOAP_ENVELOPE)
    ?.elements()
    .find(({ local }) => local === 'vcSessionCookie')
    ?.text()
    .replaceAll('"', '');
  return { operation: element.local, self, element, sessionCookie };
}

function encodeResult(result: Result, operation: Operation): string {
  if ('raw' in result) return result.raw.map((inner) => `<returnval>${inner}</returnval>`).join('');
  if ('property' in result) return encodeTyped('returnval', result.property.value, result.property.type);
  return encodeField('returnval', result.value as VimValue, operation.result);
}

function encodeFault(fault: SimFault, namespace: string): string {
  const detail = encodeField(
    `${fault.faultType}Fault`,
    { $type: fault.faultType, ...(fault.detail as Record<string, VimValue>) },
    { name: 'any', reference: false, array: false },
  );
  const typed = detail.replace(`<${fault.faultType}Fault`, `<${fault.faultType}Fault xmlns="${namespace}"`);
  const text = fault.message.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${text}</faultstring><detail>${typed}</detail></soapenv:Fault>`;
}

function envelope(body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="${SOAP_ENVELOPE}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`;
}

/** Passwords, session keys and tickets never reach a recording. */
export function withoutSecrets(text: string): string {
  return text.replace(/(<(?:\w+:)?(password|key|sessionId|sessionID|id)>)[^<]*(<)/g, (whole, open: string, name: string, close: string) =>
    name === 'password' || name.startsWith('session') || (name === 'key' && text.includes('loginTime'))
      ? `${open}[removed]${close}`
      : whole,
  );
}
