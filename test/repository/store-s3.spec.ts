import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import type { RepositoryError, S3Store } from '../../src/repository/index.js';
import { ACCESS_KEY, type S3Answer, type S3Request, ScriptedS3, SECRET, s3Error } from './scripted-s3.js';
import { failsAlike, listed, rejects } from './store-assertions.js';

// How answers are read. That the store does its work is shown on a real server: npm run interop (test/interop/s3).
let server: ScriptedS3;
let store: S3Store;
beforeEach(async () => {
  server = await ScriptedS3.start();
  store = await server.open({ prefix: 'some/place' });
  server.requests.length = 0;
});
afterEach(async () => {
  await store.close();
  await server.close();
});

const ANSWERS: [S3Answer, string, boolean][] = [
  [s3Error(403, 'AccessDenied'), 'REPOSITORY_DENIED', false],
  [s3Error(403, 'SignatureDoesNotMatch'), 'REPOSITORY_DENIED', false],
  [s3Error(404, 'InvalidAccessKeyId'), 'REPOSITORY_DENIED', false],
  [s3Error(404, 'XAdminUserNotFound'), 'REPOSITORY_DENIED', false],
  [s3Error(404, 'NoSuchUnheardOf'), 'REPOSITORY_REFUSED', false],
  [s3Error(403, 'RequestTimeTooSkewed'), 'REPOSITORY_DENIED', false],
  [s3Error(404, 'NoSuchBucket'), 'REPOSITORY_UNREACHABLE', false],
  [s3Error(503, 'SlowDown'), 'REPOSITORY_UNREACHABLE', true],
  [s3Error(500, 'InternalError'), 'REPOSITORY_UNREACHABLE', true],
  [{ status: 502, body: '<html>Bad gateway</html>' }, 'REPOSITORY_UNREACHABLE', true],
  [s3Error(400, 'RequestTimeout'), 'REPOSITORY_TIMEOUT', true],
  [s3Error(507, 'InsufficientStorage'), 'REPOSITORY_FULL', false],
  [s3Error(400, 'QuotaExceeded'), 'REPOSITORY_FULL', false],
  [s3Error(405, 'MethodNotAllowed'), 'REPOSITORY_REFUSED', false],
  [{ status: 200, cut: true, silent: true }, 'REPOSITORY_TIMEOUT', true],
];

describe('an answer of an S3 server', () => {
  it.each(ANSWERS.map(([answer, code, retryable]) => ({ answer, code, retryable, what: answer.body ?? 'none at all' })))(
    '$what is $code',
    async ({ answer, code, retryable }) => {
      const hasty = await server.open({ prefix: 'some/place', requestTimeoutMs: answer.silent ? 150 : 10_000 });
      server.answer = () => answer;
      // A HEAD has no body, so that 400 alone does not say which; 404 is looked into by a listing.
      const calls = answer.status === 400 ? ['get', 'range', 'list'] : undefined;
      await failsAlike(hasty, { code, retryable }, calls);
      await hasty.close();
    },
  );

  it('is asked for once: retries belong to the wrapper', async () => {
    server.answer = () => s3Error(503, 'SlowDown');
    await rejects(store.get('a'), 'REPOSITORY_UNREACHABLE');
    expect(server.requests).toHaveLength(1);
  });

  it('never brings a key into an error, whatever the server repeats', async () => {
    server.answer = () => s3Error(403, 'SignatureDoesNotMatch', `we calculated over ${ACCESS_KEY} ${SECRET}`);
    const error = await store.get('a').catch((reason: unknown) => reason as RepositoryError);
    const all = inspect(error, { depth: 10, showHidden: true });
    expect(all).toContain('REPOSITORY_DENIED');
    expect(all).not.toContain(ACCESS_KEY);
    expect(all).not.toContain(SECRET);
  });

  it('that is cut short is noticed, and may be asked for again', async () => {
    server.answer = () => ({ status: 200, headers: { 'content-length': '1000' }, body: 'x'.repeat(400), cut: true });
    await expect(store.get('a')).rejects.toMatchObject({ retryable: true });
  });

  it('of 200 with other bytes than the checksum says is refused', async () => {
    const digest = createHash('sha256').update('the real bytes').digest('base64');
    server.answer = () => ({ status: 200, headers: { 'x-amz-checksum-sha256': digest }, body: 'the fake bytes' });
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'REPOSITORY_UNREACHABLE',
      retryable: true,
      message: /damaged on their way/,
    });
  });

  it('that does not say how long it is brings no bytes, and says nothing of the object', async () => {
    server.answer = () => ({ status: 200, headers: { 'transfer-encoding': 'chunked' }, body: 'all of it' });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'REPOSITORY_REFUSED', message: /does not say how long it is/ });
    await expect(store.get('a', { offset: 0, length: 9 })).rejects.toMatchObject({ code: 'REPOSITORY_REFUSED' });
    await expect(store.size('a')).rejects.toMatchObject({ code: 'REPOSITORY_REFUSED' });
  });

  it('with the whole object instead of a part of it is refused, and is no sign of damage', async () => {
    server.answer = () => ({ status: 200, body: 'all of it' });
    expect((await store.get('a', { offset: 0, length: 9 })).toString()).toBe('all of it');
    for (const range of [
      { offset: 4, length: 5 },
      { offset: 0, length: 3 },
      { offset: 0, length: 100 },
    ])
      await expect(store.get('a', range)).rejects.toMatchObject({ code: 'REPOSITORY_REFUSED', message: /sends the whole of it/ });
    server.answer = () => ({ status: 206, headers: { 'content-range': 'bytes 4-8/9' }, body: 'of it' });
    expect((await store.get('a', { offset: 4, length: 5 })).toString()).toBe('of it');
    await rejects(store.get('a', { offset: 4, length: 6 }), 'BLOB_TRUNCATED');
  });

  it('that comes after the caller has left is not waited for', async () => {
    server.answer = () => ({ status: 200, silent: true });
    const controller = new AbortController();
    const getting = store.get('a', undefined, controller.signal);
    setTimeout(() => controller.abort(), 20);
    await rejects(getting, 'CANCELLED');
  });
});

describe('a put', () => {
  it('carries its SHA-256 for the server to check, under the prefix, and the condition', async () => {
    let puts = 0;
    server.answer = ({ method, key }) => {
      if (method !== 'PUT' || !key.startsWith('some/place/probe/')) return undefined;
      puts += 1;
      return puts === 2 ? s3Error(412, 'PreconditionFailed') : undefined;
    };
    await store.put('a/b', [Buffer.from('hel'), Buffer.from('lo')], { ifAbsent: true });
    const put = server.requests.findLast(({ method }) => method === 'PUT') as S3Request;
    const digest = createHash('sha256').update('hello').digest();
    expect(put).toMatchObject({ key: 'some/place/a/b', body: Buffer.from('hello') });
    expect(put.headers).toMatchObject({
      'if-none-match': '*',
      'x-amz-checksum-sha256': digest.toString('base64'),
      'x-amz-content-sha256': digest.toString('hex'),
    });
    expect(put.headers.authorization).not.toContain(SECRET);
  });

  it('of a server that knows no conditions looks first, and says so once', async () => {
    const warnings: unknown[] = [];
    const log = { ...silentLogger, warn: (...entry: unknown[]) => void warnings.push(entry) } as typeof silentLogger;
    const plain = await server.open({ log });
    await plain.put('free', Buffer.from('x'), { ifAbsent: true });
    server.answer = ({ method, key }) =>
      method === 'HEAD' && key === 'taken' ? { status: 200, headers: { 'content-length': '1' } } : undefined;
    await rejects(plain.put('taken', Buffer.from('y'), { ifAbsent: true }), 'BLOB_EXISTS');
    expect(warnings).toHaveLength(1);
    expect(inspect(warnings)).toContain('If-None-Match');
    const put = server.requests.findLast(({ key, method }) => key === 'free' && method === 'PUT');
    expect(put?.headers).not.toHaveProperty('if-none-match');
    await plain.close();
  });

  it('that collides with another under way may be tried again', async () => {
    server.answer = ({ method }) => (method === 'PUT' ? s3Error(409, 'ConditionalRequestConflict') : undefined);
    await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({ retryable: true });
  });

  it('in parts that fails takes its parts back', async () => {
    server.answer = ({ method, query }) => {
      if (method === 'POST' && query.has('uploads')) {
        return { status: 200, body: '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>' };
      }
      if (query.get('partNumber') === '2') return s3Error(507, 'InsufficientStorage');
      return undefined;
    };
    const small = await server.open({ partBytes: 1000 });
    await rejects(small.put('big', Buffer.alloc(5000)), 'REPOSITORY_FULL');
    const aborted = server.requests.filter(({ method, query }) => method === 'DELETE' && query.get('uploadId') === 'u1');
    expect(aborted).toHaveLength(1);
    await small.close();
  });

  it.each([
    { when: 'answers after that', silent: false, takenBack: ['DELETE u1'] },
    { when: 'never answers', silent: true, takenBack: [] },
  ])(
    'in parts that is given up while it is begun ends within seconds, and what the server says it began is taken back: it $when',
    async ({ silent, takenBack }) => {
      let answer: () => void = () => undefined;
      const after = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const body = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>';
      const small = await server.open({ partBytes: 1000, requestTimeoutMs: 60_000 });
      server.requests.length = 0;
      server.answer = ({ query }) => (query.has('uploads') ? { status: 200, body, silent, after } : undefined);
      const controller = new AbortController();
      const rejected = rejects(small.put('big', Buffer.alloc(5000), { signal: controller.signal }), 'CANCELLED');
      await vi.waitFor(() => expect(server.requests).toHaveLength(1), { timeout: 10_000 });
      controller.abort();
      answer();
      await rejected;
      expect(server.requests.slice(1).map(({ method, query }) => `${method} ${query.get('uploadId')}`)).toEqual(takenBack);
      await small.close();
    },
    30_000,
  );
});

describe('a deletion', () => {
  const VERSIONS = `<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>some/place/a</Key><VersionId>v1</VersionId><LastModified>2026-01-01T00:00:00Z</LastModified></Version><DeleteMarker><Key>some/place/a</Key><VersionId>v2</VersionId><LastModified>2026-01-02T00:00:00Z</LastModified></DeleteMarker></ListVersionsResult>`;
  const present = { status: 200, headers: { 'content-length': '1' } };
  const deleted = () => server.requests.filter(({ method }) => method === 'DELETE').map(({ query }) => query.get('versionId'));

  it('takes every version where versions were switched on since the bucket was opened', async () => {
    server.answer = ({ method, query }) => {
      if (method === 'HEAD') return present;
      if (query.has('versions')) return { status: 200, body: VERSIONS };
      if (method === 'DELETE' && !query.has('versionId')) return { status: 204, headers: { 'x-amz-delete-marker': 'true' } };
      return undefined;
    };
    await store.delete('a');
    expect(deleted()).toEqual([null, 'v1', 'v2']);
  });

  it.each([
    [
      'an older version is held until a date',
      'x-amz-object-lock-retain-until-date',
      new Date(Date.now() + 3600_000).toISOString(),
      /until 20/,
    ],
    ['the owner of the bucket holds it', 'x-amz-object-lock-legal-hold', 'ON', /a legal hold of the bucket/],
  ])('says that %s, of which the server says no more than "denied"', async (_what, header, value, message) => {
    server.answer = ({ query }) => {
      if (query.has('versioning'))
        return { status: 200, body: '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>' };
      if (query.has('object-lock'))
        return {
          status: 200,
          body: '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
        };
      return undefined;
    };
    const locking = await server.open({ prefix: 'some/place' });
    expect(locking.enforcesRetention).toBe(true);
    server.answer = ({ method, query }) => {
      if (method === 'HEAD')
        return query.get('versionId') === 'v1' ? { ...present, headers: { ...present.headers, [header]: value } } : present;
      if (query.has('versions')) return { status: 200, body: VERSIONS };
      return method === 'DELETE' ? s3Error(403, 'AccessDenied') : undefined;
    };
    await expect(locking.delete('a')).rejects.toMatchObject({ code: 'BLOB_LOCKED', message });
    server.answer = ({ method, query }) => {
      if (method === 'HEAD') return present;
      if (query.has('versions')) return { status: 200, body: VERSIONS };
      return method === 'DELETE' ? s3Error(403, 'AccessDenied') : undefined;
    };
    await rejects(locking.delete('a'), 'REPOSITORY_DENIED');
    await locking.close();
  });
});

describe('opening', () => {
  it('of a bucket with a default retention says what comes of it', async () => {
    const warnings: unknown[] = [];
    const log = { ...silentLogger, warn: (...entry: unknown[]) => void warnings.push(entry) } as typeof silentLogger;
    server.answer = ({ query }) => {
      if (query.has('versioning'))
        return { status: 200, body: '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>' };
      if (query.has('object-lock'))
        return {
          status: 200,
          body: '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>',
        };
      return undefined;
    };
    await (await server.open({ log })).close();
    expect(inspect(warnings)).toContain('default retention');
  });

  it('takes back uploads that are a day old, and no younger one', async () => {
    const upload = (key: string, hours: number) =>
      `<Upload><Key>p/${key}</Key><UploadId>${key}</UploadId><Initiated>${new Date(Date.now() - hours * 3_600_000).toISOString()}</Initiated></Upload>`;
    server.answer = ({ method, query }) =>
      method === 'GET' && query.has('uploads')
        ? { status: 200, body: `<ListMultipartUploadsResult>${upload('old', 25)}${upload('young', 23)}</ListMultipartUploadsResult>` }
        : undefined;
    await (await server.open({ prefix: 'p' })).close();
    const aborted = server.requests.filter(({ method }) => method === 'DELETE').map(({ key, query }) => [key, query.get('uploadId')]);
    expect(aborted).toEqual([['p/old', 'old']]);
  });

  it('works where the server knows neither versions nor locks, and fails where the bucket is not ours', async () => {
    server.answer = ({ query }) => (query.has('versioning') || query.has('uploads') ? s3Error(501, 'NotImplemented') : undefined);
    const plain = await server.open();
    expect(plain.enforcesRetention).toBe(false);
    await plain.close();
    server.answer = () => s3Error(403, 'AccessDenied');
    await rejects(server.open(), 'REPOSITORY_DENIED');
    await rejects(server.open({ endpoint: 'http://127.0.0.1:9' }), 'REPOSITORY_UNREACHABLE');
  });
});

it('a listing goes on from page to page and leaves out what is not ours', async () => {
  const page = (keys: string[], next?: string) =>
    `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${next ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''}${keys
      .map((key) => `<Contents><Key>some/place/${key}</Key><Size>3</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>`)
      .join('')}</ListBucketResult>`;
  server.answer = ({ query }) => ({
    status: 200,
    body: query.get('continuation-token') === 'two' ? page(['b/2']) : page(['a/1', 'folder/', 'READ ME'], 'two'),
  });
  expect(await listed(store, '')).toEqual(['a/1', 'b/2']);
});
