/** What specs, and the checks on real S3 servers (test/interop/s3), say of a blob store's answers; no test runner needed. */
import assert from 'node:assert/strict';
import { type BlobStore, RepositoryError } from '../../src/repository/index.js';

/** How a broken store must fail: the same code at every call, retryable as the contract has it, in one sentence. */
export async function failsAlike(
  store: BlobStore,
  expected: { code: string; retryable: boolean },
  only?: readonly string[],
): Promise<void> {
  const calls: Record<string, () => Promise<unknown>> = {
    put: () => store.put('broken/name', Buffer.from('x'), { ifAbsent: true }),
    get: () => store.get('broken/name'),
    range: () => store.get('broken/name', { offset: 0, length: 1 }),
    size: () => store.size('broken/name'),
    list: () => listed(store, ''),
    delete: () => store.delete('broken/name'),
  };
  for (const [operation, call] of Object.entries(calls)) {
    if (only && !only.includes(operation)) continue;
    const error = await call().then(
      () => assert.fail(`${operation} succeeded`),
      (reason: unknown) => reason,
    );
    assertCode(error, expected.code, operation);
    assert.equal((error as RepositoryError).retryable, expected.retryable, operation);
    assert.match((error as RepositoryError).message, /^[^\n]{20,400}$/, operation);
  }
}

export async function listed(store: BlobStore, prefix: string, signal?: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix, signal)) names.push(name);
  return names;
}

export async function rejects(work: Promise<unknown>, code: string): Promise<void> {
  const error = await work.then(
    () => assert.fail(`it succeeded where ${code} was expected`),
    (reason: unknown) => reason,
  );
  assertCode(error, code);
}

export function assertCode(error: unknown, code: string, what = 'it'): void {
  const actual = (error as { code?: string })?.code;
  assert.equal(actual, code, `${what} failed with ${actual} (${(error as Error)?.message}) instead of ${code}`);
  if (code !== 'CANCELLED') assert.ok(error instanceof RepositoryError, `${what}: ${code} is not a RepositoryError`);
}
