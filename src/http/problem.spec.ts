import { NotFoundException, ServiceUnavailableException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { TimeoutError, VaultError } from '../common/index.js';
import { toProblem, ValidationError } from './problem.js';

class OutsideError extends VaultError {}
const outside = (code: string, retryable = false) => new OutsideError('VCD refused it.', { code, retryable });

describe('toProblem', () => {
  it.each([
    [outside('API_KEY_REQUIRED'), 401],
    [outside('ACCESS_DENIED'), 403],
    [outside('RESTORE_POINT_NOT_FOUND'), 404],
    [outside('CLOUD_NAME_EXISTS'), 409],
    [outside('RUN_BUSY'), 409],
    [outside('RUN_ENDED'), 409],
    [outside('VCD_LOGIN_REFUSED'), 422],
    [outside('VCD_UNREACHABLE', true), 503],
    [new TimeoutError('The inventory', 5_000), 504],
    [new NotFoundException(), 404],
    [new ServiceUnavailableException(), 503],
  ])('%s is %i', (error, status) => {
    expect(toProblem(error, '/api/v1/x', 'r-1')).toMatchObject({ status, instance: '/api/v1/x', requestId: 'r-1', type: 'about:blank' });
  });

  it.each([
    ['an error of a library', Object.assign(new Error('hunter2'), { status: 400 })],
    ['an error that is no Error', 'hunter2'],
    ['undefined', undefined],
  ])('tells nothing of %s', (_, error) => {
    const problem = toProblem(error, '/', 'r-2');
    expect(problem).toMatchObject({ status: 500, code: 'INTERNAL' });
    expect(problem.detail).toContain('r-2');
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('lists every fault of a request and names the first ones in its sentence', () => {
    const errors = Array.from({ length: 7 }, (_, n) => ({ pointer: `#/v${n}`, detail: 'is missing' }));
    const problem = toProblem(new ValidationError(errors), '/', 'r-3');
    expect(problem).toMatchObject({ status: 422, code: 'VALIDATION_FAILED', errors });
    expect(problem.detail).toMatch(/#\/v4: is missing and 2 more\)\.$/);
  });
});
