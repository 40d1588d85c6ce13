import { parseXml, VaultError, type VaultErrorFields } from '../common/index.js';

export interface VcdErrorFields extends VaultErrorFields {
  httpStatus?: number;
  majorErrorCode?: number;
  minorErrorCode?: string;
  /** What was asked, as a person says it: `Entering maintenance mode of vApp "shop"`. */
  operation?: string;
  /** X-VMWARE-VCLOUD-REQUEST-ID: what VCD's own log calls the request. */
  requestId?: string;
  /** True when VCD may have done the work although its answer never came. */
  answerLost?: boolean;
  retryAfterMs?: number;
}

/** Every failure of vCloud Director, or of the way to it. `code` is what to decide on. */
export class VcdError extends VaultError {
  readonly httpStatus: number | undefined;
  readonly majorErrorCode: number | undefined;
  readonly minorErrorCode: string | undefined;
  readonly operation: string | undefined;
  readonly requestId: string | undefined;
  readonly answerLost: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, fields: VcdErrorFields) {
    super(message, fields);
    this.httpStatus = fields.httpStatus;
    this.majorErrorCode = fields.majorErrorCode;
    this.minorErrorCode = fields.minorErrorCode;
    this.operation = fields.operation;
    this.requestId = fields.requestId;
    this.answerLost = fields.answerLost ?? false;
    this.retryAfterMs = fields.retryAfterMs;
  }

  /** VCD answers 403 for what is gone or belongs to another organization; 404 mostly means a malformed URL. */
  get saysGone(): boolean {
    return this.httpStatus === 404 || (this.httpStatus === 403 && this.minorErrorCode === 'ACCESS_TO_RESOURCE_IS_FORBIDDEN');
  }
}

/** The Error element (or cloudapi's JSON form of it), without the stack trace VCD shows to system administrators. */
export interface VcdFault {
  message: string;
  majorErrorCode: number | undefined;
  minorErrorCode: string | undefined;
}

const MAX_MESSAGE_LENGTH = 1000;

export function faultFromBody(text: string): VcdFault | undefined {
  if (text.trimStart().startsWith('{')) return faultFromJson(text);
  try {
    const root = parseXml(text);
    return root.local === 'Error' ? faultFromAttributes((name) => root.attribute(name)) : undefined;
  } catch {
    // A proxy's HTML page, or nothing at all: the status alone has to speak.
    return undefined;
  }
}

export function faultFromAttributes(attribute: (name: string) => string | undefined): VcdFault {
  const major = Number(attribute('majorErrorCode'));
  return {
    message: oneLine(attribute('message') ?? ''),
    majorErrorCode: Number.isSafeInteger(major) && major > 0 ? major : undefined,
    minorErrorCode: attribute('minorErrorCode') || undefined,
  };
}

function faultFromJson(text: string): VcdFault | undefined {
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    return faultFromAttributes((name) => (body[name] === undefined || body[name] === null ? undefined : String(body[name])));
  } catch {
    return undefined;
  }
}

function oneLine(message: string): string {
  const flat = message.replace(/\s+/g, ' ').trim();
  return flat.length > MAX_MESSAGE_LENGTH ? `${flat.slice(0, MAX_MESSAGE_LENGTH)}…` : flat;
}

export interface Classification {
  code: string;
  retryable: boolean;
  /** True when a gateway, not VCD, answered: the work may have been done. */
  answerLost?: boolean;
}

// OperationLimitsSettings: over the queued limit VCD refuses with 400; the reference prints no
// minor code for it, so both the code's family and the sentence are recognised.
const OPERATION_LIMIT = /maximum number of .*operations|operations? limit|too many (queued|running|concurrent|simultaneous)/i;

/** What an answer of 400 or above means. BUSY_ENTITY is 400 (not 409 or 423); vCenter calls answer 500 "is currently busy". */
export function classifyFault(httpStatus: number, fault: VcdFault | undefined): Classification {
  const minor = fault?.minorErrorCode ?? '';
  const message = fault?.message ?? '';
  if (minor === 'BUSY_ENTITY' || (httpStatus === 500 && /is currently busy/i.test(message)))
    return { code: 'BUSY_ENTITY', retryable: true };
  if (/OPERATION_LIMIT/.test(minor) || (httpStatus === 400 && OPERATION_LIMIT.test(message)))
    return { code: 'OPERATION_LIMIT', retryable: true };
  if (httpStatus === 429 || httpStatus === 503) return { code: 'OVERLOADED', retryable: true };
  if (httpStatus === 502 || httpStatus === 504) return { code: 'GATEWAY_FAILED', retryable: true, answerLost: true };
  if (httpStatus === 401) return { code: 'SESSION_REFUSED', retryable: false };
  if (httpStatus === 403) return { code: 'ACCESS_FORBIDDEN', retryable: false };
  if (httpStatus === 404) return { code: 'NOT_FOUND', retryable: false };
  if (httpStatus === 406) return { code: 'VERSION_UNSUPPORTED', retryable: false };
  if (/^[A-Z][A-Z0-9_]+$/.test(minor)) return { code: minor, retryable: false };
  return { code: httpStatus >= 500 ? 'SERVER_ERROR' : 'BAD_REQUEST', retryable: false };
}

export function errorFromAnswer(answer: {
  status: number;
  text: string;
  operation: string;
  subject?: string;
  requestId?: string;
  retryAfterMs?: number;
}): VcdError {
  const fault = faultFromBody(answer.text);
  const { code, retryable, answerLost } = classifyFault(answer.status, fault);
  const reason = fault?.message || `vCloud Director answered HTTP ${answer.status} without an explanation`;
  return new VcdError(`${answer.operation} failed: ${sentence(reason)}`, {
    code,
    retryable,
    answerLost,
    subject: answer.subject,
    operation: answer.operation,
    httpStatus: answer.status,
    majorErrorCode: fault?.majorErrorCode,
    minorErrorCode: fault?.minorErrorCode,
    requestId: answer.requestId,
    retryAfterMs: answer.retryAfterMs,
  });
}

/** Ends with one full stop, whatever VCD put there. */
export function sentence(text: string): string {
  return `${text.replace(/[.\s]+$/, '')}.`;
}

/** An answer that is well formed HTTP and still not what the API promises. */
export function badAnswer(operation: string, reason: string, requestId?: string): VcdError {
  return new VcdError(`${operation} failed: ${sentence(reason)}`, { code: 'BAD_ANSWER', operation, requestId });
}

/** Seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
