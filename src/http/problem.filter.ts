import { type ArgumentsHost, Catch, type ExceptionFilter, Inject, MethodNotAllowedException, NotFoundException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Logger, newId } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { OpenApiDocument } from './openapi.js';
import { PROBLEM_TYPE, toProblem } from './problem.js';

/** Seconds after which a caller may try again what was refused for a passing reason. */
const RETRY_AFTER_SECONDS = 5;

/** Every error of every route leaves as application/problem+json. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    @Inject(LOGGER) private readonly log: Logger,
    private readonly document: OpenApiDocument,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const requestId = typeof request.id === 'string' ? request.id : newId();
    const path = request.originalUrl.split('?', 1)[0] ?? '';
    // Only the router throws it: rooms have errors of their own.
    const allowed = thrown instanceof NotFoundException ? this.document.methodsAt(path) : [];
    const error = allowed.length > 0 ? new MethodNotAllowedException() : thrown;
    const problem = toProblem(error, path, requestId);
    if (problem.status >= 500) this.record(error, problem.code, requestId);
    if (response.headersSent) {
      // A stream that has begun can only be cut, so that the reader does not take it for complete.
      response.destroy();
      return;
    }
    if (allowed.length > 0) response.setHeader('Allow', allowed.join(', '));
    if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="vApp Vault"');
    if (problem.status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_SECONDS));
    response.status(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  }

  /** Type and stack only: other properties of a foreign error may hold the request it made, password included. */
  private record(error: unknown, code: string, requestId: string): void {
    const facts = error instanceof Error ? { type: error.name, stack: error.stack } : { type: typeof error };
    this.log.error({ requestId, code, error: facts }, 'a request failed');
  }
}
