import { STATUS_CODES } from 'node:http';
import { HttpException } from '@nestjs/common';
import { z } from 'zod';
import { VaultError } from '../common/index.js';
import { connectionLost } from '../database/index.js';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457, with `code` (stable, for programs) and `requestId` (for finding the request in the log). */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'about:blank: the title is the status; `code` tells more' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().meta({ description: 'One sentence for a person' }),
    instance: z.string(),
    code: z.string().meta({ description: 'Stable, for programs' }),
    requestId: z.string(),
    retryable: z.boolean().optional(),
    errors: z
      .array(z.object({ pointer: z.string().meta({ description: 'JSON pointer to the value' }), detail: z.string() }))
      .optional()
      .meta({ description: 'What is wrong with the request, value by value' }),
  })
  .meta({ id: 'Problem' });
export type Problem = z.output<typeof problemSchema>;

/** A request whose body, query or path does not have the form the route asks for. */
export class ValidationError extends VaultError {
  constructor(readonly errors: NonNullable<Problem['errors']>) {
    super(sentence(errors), { code: 'VALIDATION_FAILED' });
  }
}

function sentence(errors: NonNullable<Problem['errors']>): string {
  const parts = errors.slice(0, 5).map(({ pointer, detail }) => `${pointer === '#' ? 'the value' : pointer}: ${detail}`);
  const more = errors.length > parts.length ? ` and ${errors.length - parts.length} more` : '';
  return `The request is not valid (${parts.join('; ')}${more}).`;
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  API_KEY_REQUIRED: 401,
  API_KEY_INVALID: 401,
  ACCESS_DENIED: 403,
  RUN_ENDED: 409,
  RANGE_NOT_SATISFIABLE: 416,
  TIMEOUT: 504,
  INTERNAL: 500,
};

/**
 * One rule for every room, so that no room needs to know HTTP: a code that ends in NOT_FOUND is
 * 404; in EXISTS, CONFLICT, IN_USE or BUSY 409; what may pass by itself 503; any other refusal of
 * ours 422: the request was understood and cannot be done as it is.
 */
export function statusOf(error: VaultError): number {
  const known = STATUS_BY_CODE[error.code];
  if (known !== undefined) return known;
  if (error.code.endsWith('_NOT_FOUND')) return 404;
  if (/_(EXISTS|CONFLICT|IN_USE|BUSY)$/.test(error.code)) return 409;
  return error.retryable ? 503 : 422;
}

/** @param instance the path asked for, without its query. */
export function toProblem(error: unknown, instance: string, requestId: string): Problem {
  const build = (status: number, code: string, detail: string): Problem => ({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    instance,
    code,
    requestId,
  });
  const told = error instanceof VaultError ? error : connectionLost(error);
  if (told !== undefined) {
    const problem = { ...build(statusOf(told), told.code, told.message), retryable: told.retryable };
    return told instanceof ValidationError ? { ...problem, errors: told.errors } : problem;
  }
  const status = clientFault(error);
  if (status !== undefined) return build(status, codeOfStatus(status), httpDetail(status, error));
  // Whatever it was, its text was not written for the caller and may hold anything.
  return build(500, 'INTERNAL', `An unexpected error happened; the service's log tells more under request ${requestId}.`);
}

/** Nest's own exceptions, and the body parser's (http-errors: `expose` says the caller may know). */
function clientFault(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus() >= 500 && error.getStatus() !== 503 ? undefined : error.getStatus();
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error)) return undefined;
  const { status, expose } = error;
  return expose === true && typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

function codeOfStatus(status: number): string {
  return (STATUS_CODES[status] ?? 'ERROR').toUpperCase().replace(/[^A-Z]+/g, '_');
}

function httpDetail(status: number, error: unknown): string {
  if (status === 404) return 'There is nothing at this address.';
  if (status === 405) return 'This address does not take this method; the header Allow names those it takes.';
  if (status === 413) return 'The request body is too large.';
  if (status === 415) return 'The request body must be JSON (Content-Type: application/json).';
  if (status === 400)
    return error instanceof URIError ? 'The address is not valid percent-encoded UTF-8.' : 'The request body is not valid JSON.';
  return error instanceof HttpException ? error.message : (STATUS_CODES[status] ?? 'The request was refused.');
}
