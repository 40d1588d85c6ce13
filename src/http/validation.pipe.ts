import { type ArgumentMetadata, Injectable, StandardSchemaValidationPipe } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ValidationError } from './problem.js';
import { PATH_VALUE_MAX_LENGTH, unstorableText } from './storable-text.js';

/**
 * Checks every @Body, @Query and @Param that names a schema; and all of them, with a schema or
 * without, for text that no room could look up or keep.
 */
@Injectable()
export class ValidationPipe extends StandardSchemaValidationPipe {
  constructor() {
    super({
      exceptionFactory: (issues: readonly StandardSchemaV1.Issue[]) =>
        new ValidationError(issues.map((issue) => ({ pointer: pointer(issue.path ?? []), detail: issue.message }))),
    });
  }

  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    const named = metadata.data === undefined ? [] : [metadata.data];
    const unstorable = unstorableText(value);
    if (unstorable !== undefined) {
      throw new ValidationError([{ pointer: pointer([...named, ...unstorable]), detail: 'must be Unicode text without NUL' }]);
    }
    if (metadata.type === 'param' && typeof value === 'string' && value.length > PATH_VALUE_MAX_LENGTH) {
      throw new ValidationError([{ pointer: pointer(named), detail: `must be at most ${PATH_VALUE_MAX_LENGTH} characters` }]);
    }
    return (await super.transform(value, metadata)) as T;
  }
}

/** RFC 6901 in its URI fragment form. */
function pointer(path: readonly (PropertyKey | StandardSchemaV1.PathSegment)[]): string {
  const keys = path.map((segment) => String(typeof segment === 'object' ? segment.key : segment));
  return ['#', ...keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}
