import { StandardSchemaValidationPipe } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ValidationError } from './problem.js';

/** Checks every @Body, @Query and @Param that names a schema. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues: readonly StandardSchemaV1.Issue[]) =>
      new ValidationError(issues.map((issue) => ({ pointer: pointer(issue.path ?? []), detail: issue.message }))),
  });
}

/** RFC 6901 in its URI fragment form. */
function pointer(path: readonly (PropertyKey | StandardSchemaV1.PathSegment)[]): string {
  const keys = path.map((segment) => String(typeof segment === 'object' ? segment.key : segment));
  return ['#', ...keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}
