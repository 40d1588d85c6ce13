import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir } from '../harness/database.js';

type Json = Record<string, unknown>;
interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: Json;
  security?: unknown[];
}

describe('docs/api.md', () => {
  const text = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  let dataDir: string;
  let firstKey = '';
  let service: RunningService;
  let document: { paths: Record<string, Record<string, Operation>> } & Json;

  beforeAll(async () => {
    dataDir = await makeDataDir();
    service = await startService(loadConfig({ VAPP_VAULT_DATA_DIR: dataDir, VAPP_VAULT_PORT: '0' }), {
      log: silentLogger,
      showFirstKey: (key) => {
        firstKey = key;
      },
    });
    document = (await (await fetch(`${service.url}/api/openapi.json`)).json()) as typeof document;
  });
  afterAll(async () => {
    await service?.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('calls every route there is', () => {
    const calls = [...text.matchAll(/^curl .*$/gm)].map(([line]) => ({
      method: /-X (\w+)/.exec(line)?.[1] ?? (line.includes(' -d ') ? 'POST' : 'GET'),
      path: /(?:\$API|127\.0\.0\.1:8080)([^\s"?]*)/.exec(line)?.[0].replace('$API', '/api/v1').replace('127.0.0.1:8080', ''),
    }));
    const called = new Set(calls.map(({ method, path }) => `${method} ${path?.replace(/[A-Z]+_ID/g, '{id}')}`));
    const routes = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '{id}')}`),
    );
    expect([...called].toSorted()).toEqual(routes.toSorted());
  });

  it('opens to an organization no route that is not known to keep organizations apart', async () => {
    const call = async (method: string, path: string, key: string, body?: object) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      return await fetch(`${service.url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    };
    const organizationId = 'urn:vcloud:org:3880956d-7b1c-4d3e-9a52-0d6a3f5f1c11';
    const request = { name: 'acme', role: 'organization-admin', organizationId };
    const { key } = (await (await call('POST', '/api/v1/api-keys', firstKey, request)).json()) as { key: string };
    const open: string[] = [];
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, { security }] of Object.entries(item)) {
        if (security?.length === 0) continue;
        const answer = await call(method.toUpperCase(), path.replace(/\{\w+\}/g, 'none'), key);
        if (answer.status !== 403) open.push(`${method.toUpperCase()} ${path.replace('/api/v1', '')}`);
        await answer.body?.cancel();
      }
    }
    expect(open.toSorted()).toEqual([
      'GET /alerts',
      'GET /policies',
      'GET /policies/effective',
      'GET /policies/missed-rpo',
      'GET /policies/{id}',
      'GET /restore-points/{id}/disks/{diskId}/export',
      'GET /restore-points/{id}/export',
      'GET /runs',
      'GET /runs/events',
      'GET /runs/{id}',
      'GET /runs/{id}/events',
      'POST /runs/{id}/cancel',
      'POST /runs/{id}/retry',
    ]);
  });

  it('names every field of every request', () => {
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    const parameters = operations.flatMap((operation) => operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
    const fields = new Set(parameters.map(({ name }) => name));
    for (const { requestBody } of operations) collectFields(requestBody, document, fields);
    expect(fields.size).toBeGreaterThan(50);
    // What stands in an answer does not tell what may be asked.
    const asked = text.replace(/^```json$.*?^```$/gms, '');
    const isNamed = (name: string) => new RegExp(`[\`"?&.]${name}[\`"=]`).test(asked);
    expect([...fields].filter((name) => !isNamed(name))).toEqual([]);
  });
});

/** Names of the properties below a schema, references followed. */
function collectFields(node: unknown, document: Json, found: Set<string>, seen = new Set<unknown>()): void {
  if (typeof node !== 'object' || node === null || seen.has(node)) return;
  seen.add(node);
  const { $ref, properties, ...others } = node as Json;
  if (typeof $ref === 'string') {
    const target = $ref
      .slice('#/'.length)
      .split('/')
      .reduce<unknown>((at, key) => (at as Json)[key], document);
    collectFields(target, document, found, seen);
  }
  for (const [name, property] of Object.entries((properties ?? {}) as Json)) {
    found.add(name);
    collectFields(property, document, found, seen);
  }
  for (const other of Object.values(others)) collectFields(other, document, found, seen);
}
