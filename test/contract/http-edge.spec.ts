import { Body, Controller, Get, Inject, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AccessModule, makeApiKey } from '../../src/access/index.js';
import { sleep, VaultError } from '../../src/common/index.js';
import { ConfigModule, loadConfig } from '../../src/config/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { configureHttp, HttpModule } from '../../src/http/index.js';
import { JobsModule, type RunContext, RunService, type RunView } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const adminKey = makeApiKey();
const logged: string[] = [];
const log = pino({}, new Writable({ write: (chunk, _encoding, done) => done(void logged.push(String(chunk)) as undefined) }));
let repositoryWorks = true;
let database: TestDatabase;
let application: NestExpressApplication;
let base: string;

class RefusedError extends VaultError {}
const thingSchema = z.strictObject({ name: z.string(), sizes: z.array(z.number().gt(0)).default([]) }).meta({ id: 'Thing' });

@Controller('api/v1/things')
class ThingsController {
  constructor(@Inject(RunService) private readonly runs: RunService) {}

  @Post('run')
  async run(): Promise<RunView> {
    return await this.runs.create('backup', 'vApp "shop"', {}, { organizationId: 'urn:vcloud:org:1' });
  }

  @Post()
  make(@Body({ schema: thingSchema }) body: z.output<typeof thingSchema>): unknown {
    return body;
  }

  @Get('broken')
  broken(): never {
    throw new Error('connection to postgres://vault:hunter2@db failed');
  }

  @Get('refused')
  refused(): never {
    throw new RefusedError('VCD refused the password of "administrator".', { code: 'VCD_LOGIN_REFUSED' });
  }
}

beforeAll(async () => {
  database = await startTestDatabase();
  const backup = async (_payload: never, context: RunContext) => {
    await context.step('copying', () => sleep(60_000, context.signal));
    return {};
  };
  @Module({ controllers: [ThingsController] })
  class Rooms {
    constructor(@Inject(RunService) runs: RunService) {
      runs.registerHandler('backup', backup);
    }
  }
  @Module({
    imports: [
      ConfigModule.forRoot({ config: loadConfig({}), log, masterKey: Buffer.alloc(32) }),
      DatabaseModule.forRoot({ url: database.url, poolSize: 6 }),
      JobsModule.forRootAsync({
        useFactory: () => ({
          worker: true,
          databaseUrl: database.url,
          logger: log,
          settings: { queuePollMs: 100, cancelPollMs: 100, eventPollMs: 50, eventHeartbeatMs: 100 },
        }),
      }),
      AccessModule.forRoot({ initialApiKey: adminKey, showFirstKey: () => logged.push('FIRST KEY SHOWN') }),
      HttpModule.forRootAsync({
        useFactory: () => [
          {
            name: 'repository',
            check: async () => {
              if (!repositoryWorks) throw new Error('disk of hunter2 is gone');
            },
          },
        ],
      }),
      Rooms,
    ],
  })
  class Root {}
  application = await NestFactory.create<NestExpressApplication>(Root, { logger: false, abortOnError: false, forceCloseConnections: true });
  configureHttp(application, log);
  await application.listen(0, '127.0.0.1');
  base = (await application.getUrl()).replace('[::1]', '127.0.0.1');
});
afterAll(async () => {
  await application?.close();
  await database?.stop();
});

interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every route; each test says what it expects of them
  body: any;
}

/** @param body an object is sent as JSON, a text as it is. */
async function call(method: string, path: string, options: { key?: string | null; body?: object | string } = {}): Promise<Answer> {
  const { key = adminKey, body } = options;
  const headers: Record<string, string> = {};
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await fetch(base + path, { method, headers, body: typeof body === 'object' ? JSON.stringify(body) : body });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) };
}

async function answered(status: number, answer: Promise<Answer>): Promise<Answer> {
  const { status: actual, text } = await answer;
  expect(actual, text).toBe(status);
  return await answer;
}

function problem(answer: Answer, status: number, code: string) {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const { body } = answer;
  expect([answer.status, body.status, body.code]).toEqual([status, status, code]);
  expect(body).toMatchObject({
    type: 'about:blank',
    title: expect.any(String),
    detail: expect.any(String),
    instance: expect.stringMatching(/^\//),
  });
  expect(body.requestId).toBe(answer.headers.get('x-request-id'));
  return body;
}

describe('who may ask', () => {
  it('nobody without a key', async () => {
    const response = await call('get', '/api/v1/runs?x=1', { key: null });
    expect(problem(response, 401, 'API_KEY_REQUIRED').instance).toBe('/api/v1/runs');
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    problem(await call('get', '/api/v1/runs', { key: makeApiKey() }), 401, 'API_KEY_INVALID');
    problem(await call('get', '/api/v1/runs', { key: 'short' }), 401, 'API_KEY_INVALID');
  });

  it('a viewer to read and not to change, and not about keys', async () => {
    const made = await answered(201, call('post', '/api/v1/api-keys', { body: { name: 'wall display', role: 'provider-viewer' } }));
    expect((await call('get', '/api/v1/runs', { key: made.body.key })).status).toBe(200);
    problem(await call('post', '/api/v1/things/run', { key: made.body.key }), 403, 'ACCESS_DENIED');
    problem(await call('get', '/api/v1/api-keys', { key: made.body.key }), 403, 'ACCESS_DENIED');
  });

  it('an organization with a key of its own, where a route says that it keeps organizations apart', async () => {
    const organizationId = 'urn:vcloud:org:3880956d-7b1c-4d3e-9a52-0d6a3f5f1c11';
    const make = (body: object) => call('post', '/api/v1/api-keys', { body: { name: 'acme', ...body } });
    const admin = await answered(201, make({ role: 'organization-admin', organizationId }));
    expect(admin.body).toMatchObject({ role: 'organization-admin', organizationId });
    const viewer = await answered(201, make({ role: 'organization-viewer', organizationId }));
    for (const { key } of [admin.body, viewer.body]) {
      expect(await answered(200, call('get', '/api/v1/runs', { key }))).toMatchObject({ body: { items: [] } });
      problem(await call('get', '/api/v1/things/refused', { key }), 403, 'ACCESS_DENIED');
      problem(await call('post', '/api/v1/api-keys', { key, body: { name: 'mine' } }), 403, 'ACCESS_DENIED');
    }
    problem(await call('post', '/api/v1/runs/none/cancel', { key: admin.body.key }), 404, 'RUN_NOT_FOUND');
    problem(await call('post', '/api/v1/runs/none/cancel', { key: viewer.body.key }), 403, 'ACCESS_DENIED');
    const wrong = [{ role: 'organization-admin' }, { organizationId }, { role: 'organization-viewer', organizationId: 'acme' }];
    for (const body of wrong) problem(await make(body), 422, 'VALIDATION_FAILED');
  });

  it('a key until it is revoked; the secret is shown at its making only, and the last administrator stays', async () => {
    const made = await answered(201, call('post', '/api/v1/api-keys', { body: { name: 'night job' } }));
    expect(made.body.key).toMatch(/^vv_[A-Za-z0-9_-]{43}$/);
    expect((await call('get', '/api/v1/runs', { key: made.body.key })).status).toBe(200);
    const list = await answered(200, call('get', '/api/v1/api-keys'));
    const row = list.body.items.find((item: { id: string }) => item.id === made.body.id);
    expect(row).toMatchObject({ name: 'night job', prefix: made.body.key.slice(0, 11), revokedAt: null, lastUsedAt: expect.any(String) });
    expect(list.text).not.toContain(made.body.key);
    await answered(204, call('delete', `/api/v1/api-keys/${made.body.id}`));
    problem(await call('get', '/api/v1/runs', { key: made.body.key }), 401, 'API_KEY_INVALID');
    problem(await call('delete', '/api/v1/api-keys/none'), 404, 'API_KEY_NOT_FOUND');
    const first = list.body.items.find((item: { name: string }) => item.name === 'first key');
    problem(await call('delete', `/api/v1/api-keys/${first.id}`), 409, 'API_KEY_LAST_CONFLICT');
  });

  it('everybody for health and the description; a given first key is shown nowhere', async () => {
    expect(await call('get', '/api/health/live', { key: null })).toMatchObject({ status: 200, body: { status: 'ok' } });
    await answered(200, call('get', '/api/openapi.json', { key: null }));
    expect(logged.join('')).not.toContain('FIRST KEY SHOWN');
  });
});

describe('what goes wrong', () => {
  it('is a problem: nothing there, bad form, bad JSON, refused', async () => {
    problem(await call('get', '/api/v1/nothing'), 404, 'NOT_FOUND');
    problem(await call('get', '/api/v1/runs/unknown'), 404, 'RUN_NOT_FOUND');
    problem(await call('get', '/api/v1/runs/unknown/events'), 404, 'RUN_NOT_FOUND');
    problem(await call('get', '/api/v1/runs?state=asleep&limit=0'), 422, 'VALIDATION_FAILED');
    const invalid = await call('post', '/api/v1/things', { body: { name: 7, sizes: [3, -1], other: true } });
    const { errors } = problem(invalid, 422, 'VALIDATION_FAILED');
    expect(errors.map((e: { pointer: string }) => e.pointer)).toEqual(['#/name', '#/sizes/1', '#']);
    problem(await call('post', '/api/v1/things', { body: '{"name":' }), 400, 'BAD_REQUEST');
    problem(await call('post', '/api/v1/things', { body: { name: 'x'.repeat(2 ** 21) } }), 413, 'PAYLOAD_TOO_LARGE');
    expect(problem(await call('get', '/api/v1/things/refused'), 422, 'VCD_LOGIN_REFUSED').detail).toContain('refused the password');
  });

  it.each([
    ['a NUL in the path', 'GET', '/api/v1/runs/a%00b', undefined, 422],
    ['a NUL in the query', 'GET', '/api/v1/runs?cursor=%00', undefined, 422],
    ['a NUL in the body', 'POST', '/api/v1/api-keys', '{"name":"a\\u0000"}', 422],
    ['half a character in the body', 'POST', '/api/v1/api-keys', '{"name":"\\ud800"}', 422],
    ['an endless id', 'GET', `/api/v1/runs/${'a'.repeat(10_000)}`, undefined, 422],
    ['no UTF-8 in the path', 'GET', '/api/v1/runs/%ff', undefined, 400],
    ['a body that is too large', 'POST', '/api/v1/api-keys', JSON.stringify({ name: 'x'.repeat(1 << 20) }), 413],
    ['another method', 'DELETE', '/api/v1/runs', undefined, 405],
  ])('is a problem of the caller: %s', async (_, method, path, body, status) => {
    const { body: problem, headers } = await answered(status, call(method, path, { body }));
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(problem.status).toBe(status);
    if (status === 405) expect(headers.get('allow')).toBe('HEAD, GET');
  });

  it('is a problem of the caller: a body that is no JSON by its own word', async () => {
    const response = await fetch(`${base}/api/v1/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'name=x',
    });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it('keeps the text of what nobody foresaw to the log, and keys out of both', async () => {
    const body = problem(await call('get', '/api/v1/things/broken'), 500, 'INTERNAL');
    expect(JSON.stringify(body)).not.toContain('hunter2');
    const lines = logged.filter((line) => line.includes(body.requestId));
    expect(lines.some((line) => line.includes('"code":"INTERNAL"'))).toBe(true);
    expect(logged.join('')).not.toContain(adminKey.slice(3));
  });

  it('shows as not ready, without the reason', async () => {
    expect(await call('get', '/api/health/ready', { key: null })).toMatchObject({
      status: 200,
      body: { status: 'ok', checks: { database: 'ok', repository: 'ok' } },
    });
    repositoryWorks = false;
    await sleep(3_100);
    const response = await answered(503, call('get', '/api/health/ready', { key: null }));
    expect(response.body).toEqual({ status: 'unavailable', checks: { database: 'ok', repository: 'unavailable' } });
    repositoryWorks = true;
  });
});

describe('a run over HTTP', () => {
  it('is listed in pages, streamed until it ends, and cancelled once', async () => {
    const { body: run } = await answered(201, call('post', '/api/v1/things/run'));
    const streams = [1, 2, 3].map(() =>
      fetch(`${base}/api/v1/runs/${run.id}/events`, { headers: { Authorization: `Bearer ${adminKey}` } }),
    );
    await sleep(300);
    await answered(202, call('post', `/api/v1/runs/${run.id}/cancel`));
    for (const stream of streams) {
      const response = await stream;
      expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
      // text() resolves only when the server has ended the stream.
      const text = await response.text();
      expect(text).toContain(': still here\n\n');
      const events = text.split('\n\n').filter((block) => /^event: run$/m.test(block));
      const views = events.map((block): RunView => JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? ''));
      expect(views.length).toBeGreaterThan(1);
      expect(views.at(-1)).toMatchObject({ id: run.id, state: 'cancelled' });
      expect(views.filter((view) => view.state === 'cancelled')).toHaveLength(1);
    }
    problem(await call('post', `/api/v1/runs/${run.id}/cancel`), 409, 'RUN_ENDED');
    await answered(201, call('post', '/api/v1/things/run'));
    const page = await answered(200, call('get', '/api/v1/runs?kind=backup&limit=1'));
    expect(page.body.items).toHaveLength(1);
    const next = await answered(200, call('get', `/api/v1/runs?limit=1&cursor=${page.body.nextCursor}`));
    expect(next.body).toMatchObject({ items: [{ id: run.id }], nextCursor: null });
  });
});

describe('the OpenAPI document', () => {
  it('is 3.1 throughout: every route described, every reference resolved, every error a problem', async () => {
    const { body: document, text } = await answered(200, call('get', '/api/openapi.json', { key: null }));
    expect(document.openapi).toBe('3.1.0');
    expect(document.components.securitySchemes.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
    expect(text).not.toMatch(/"nullable":|"exclusiveM\w+":(true|false)|x-public|"\$schema"/);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      expect(document.components.schemas).toHaveProperty([name as string]);
    expect(text).not.toContain('#/$defs/');
    expect(document.components.schemas.Problem.required).toContain('code');
    expect(document.components.schemas.Thing.properties.sizes.items.exclusiveMinimum).toBe(0);
    const ids: string[] = [];
    for (const [path, item] of Object.entries<Record<string, Record<string, unknown> & { responses: object; operationId: string }>>(
      document.paths,
    )) {
      for (const [method, operation] of Object.entries(item)) {
        if (path.startsWith('/api/v1/things')) continue;
        const where = `${method} ${path}`;
        expect(operation.summary, where).toEqual(expect.any(String));
        expect(operation.responses, where).toHaveProperty(['default', 'content', 'application/problem+json']);
        expect(
          Object.keys(operation.responses).some((status) => status.startsWith('2')),
          where,
        ).toBe(true);
        expect(operation.security ?? document.security, where).toEqual(path.startsWith('/api/v1/') ? [{ apiKey: [] }] : []);
        for (const [, parameter] of path.matchAll(/\{(\w+)\}/g)) {
          expect(operation.parameters, where).toContainEqual(expect.objectContaining({ in: 'path', name: parameter, required: true }));
        }
        ids.push(operation.operationId);
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(document.paths['/api/v1/runs'].get.parameters.map((p: { name: string }) => p.name).toSorted()).toEqual([
      'cursor',
      'kind',
      'limit',
      'state',
    ]);
  });
});
