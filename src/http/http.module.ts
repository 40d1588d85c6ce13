import { type DynamicModule, type FactoryProvider, Module, UnsupportedMediaTypeException } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '../common/index.js';
import { HealthController } from './health.controller.js';
import { OpenApiController } from './openapi.controller.js';
import { OpenApiDocument } from './openapi.js';
import { ProblemFilter } from './problem.filter.js';
import { READINESS_CHECKS, type ReadinessCheck, ReadinessService } from './readiness.js';
import { requestLog } from './request-log.js';
import { ValidationPipe } from './validation.pipe.js';

@Module({})
export class HttpModule {
  /** @param options what `ready` checks besides the database. */
  static forRootAsync(options: Pick<FactoryProvider<ReadinessCheck[]>, 'inject' | 'useFactory'>): DynamicModule {
    return {
      module: HttpModule,
      controllers: [HealthController, OpenApiController],
      providers: [
        { provide: READINESS_CHECKS, inject: options.inject ?? [], useFactory: options.useFactory },
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useClass: ValidationPipe },
        ReadinessService,
        OpenApiDocument,
      ],
    };
  }
}

/** What must be set on the application itself, before it listens. */
export function configureHttp(application: NestExpressApplication, log: Logger): void {
  application.disable('x-powered-by');
  // First of all: a body that cannot be parsed is logged and answered under a request id too.
  application.use(requestLog(log));
  application.use(jsonOnly);
  application.useBodyParser('json', { limit: '1mb' });
  application.get(OpenApiDocument, { strict: false }).describe(application);
}

/** What is not JSON would be taken for an empty body, and the answer would name the wrong fault. */
function jsonOnly(request: Request, _response: Response, next: NextFunction): void {
  // A Content-Length of 0 is what clients send with a POST that has nothing to say.
  const hasBody = request.headers['content-length'] !== '0';
  // False only where there is a body, of another type; null where there is none.
  next(hasBody && request.is('application/json') === false ? new UnsupportedMediaTypeException() : undefined);
}
