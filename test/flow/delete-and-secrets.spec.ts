import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServiceClient } from '../../demo/service-client.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { loadConfig } from '../../src/config/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { type Simulator, startSimulator } from '../simulator/index.js';
import { smallSeed } from './small-seed.js';

const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
const logged: string[] = [];
const answers: string[] = [];
let database: TestDatabase;
let simulator: Simulator;
let service: RunningService;
let client: ServiceClient;
let cloudId: string;
let shop: string;

beforeAll(async () => {
  database = await startTestDatabase();
  const ports = { listen: '127.0.0.1', vcdPort: 0, vcenterPort: 0, controlPort: 0 };
  simulator = await startSimulator({ ...ports, dataDir: join(database.dataDir, 'cloud'), seed: smallSeed, taskDelayMs: 20 });
  const config = loadConfig({
    VAPP_VAULT_DATA_DIR: join(database.dataDir, 'service'),
    VAPP_VAULT_DATABASE_URL: database.url,
    VAPP_VAULT_PORT: '0',
    VAPP_VAULT_VDDK_LIBRARY_DIR: simulator.description.vddkLibraryDir,
  });
  const log = pino(
    { level: 'trace' },
    new Writable({ write: (chunk, _encoding, done) => done(void logged.push(String(chunk)) as undefined) }),
  );
  service = await startService(config, { log, initialApiKey: apiKey });
  client = new ServiceClient(service.url as string, apiKey, undefined);
  cloudId = (await client.post<{ id: string }>('/api/v1/clouds', registration('test'))).id;
  const { items } = await client.get<{ items: { id: string; name: string }[] }>('/api/v1/vapps?name=shop');
  shop = items[0]?.id ?? '';
});
afterAll(async () => {
  await service?.close();
  await simulator?.close();
  await database?.stop();
  if (database) await rm(database.dataDir, { recursive: true, force: true });
});

function registration(name: string) {
  const { vcd, vcenter } = simulator.description;
  const { url, userName, password, thumbprintSha256 } = vcd;
  return {
    name,
    vcd: { url, userName, password, thumbprint: thumbprintSha256 },
    vcenters: [{ url: vcenter.url, userName: vcenter.userName, password: vcenter.password, thumbprint: vcenter.thumbprintSha1 }],
  };
}

/** What a person sees, whatever its status. */
async function call(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  const response = await fetch(`${service.url}/api/v1${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  answers.push(text);
  return { status: response.status, text };
}

async function backUp(): Promise<RestorePointRow> {
  const run = await client.post<RunView>('/api/v1/backups', { vappId: shop });
  const ended = await client.follow(run.id, () => {});
  expect(ended.error).toBeNull();
  return client.get(`/api/v1/restore-points/${String(ended.result?.restorePointId)}`);
}

const kinds = (point: RestorePointRow) => point.vms.flatMap((vm) => vm.disks.map((disk) => disk.kind));

describe('a restore point that is deleted', () => {
  it('is gone from the list and for a restore, and no chain stands on it', async () => {
    const first = await backUp();
    const second = await backUp();
    expect(new Set(kinds(second))).toEqual(new Set(['incremental']));
    expect((await call('DELETE', `/restore-points/${second.id}`)).status).toBe(204);
    expect((await call('DELETE', `/restore-points/${second.id}`)).status).toBe(404);
    expect((await call('GET', `/restore-points/${second.id}`)).status).toBe(404);
    expect((await call('POST', '/restores', { restorePointId: second.id, mode: 'copy', name: 'x' })).status).toBe(404);

    // The one before carries the chain on, and both ends of it can be restored.
    const third = await backUp();
    expect(new Set(kinds(third))).toEqual(new Set(['incremental']));
    expect((await call('DELETE', `/restore-points/${first.id}`)).status).toBe(204);
    const run = await client.post<RunView>('/api/v1/restores', { restorePointId: third.id, mode: 'copy', name: 'shop-copy' });
    expect((await client.follow(run.id, () => {})).error).toBeNull();

    // With none left there is nothing to start from.
    expect((await call('DELETE', `/restore-points/${third.id}`)).status).toBe(204);
    expect(new Set(kinds(await backUp()))).toEqual(new Set(['full']));
  });
});

describe('passwords and keys', () => {
  it('are in no log line at trace, no table and no answer, after what works and what fails', async () => {
    const { vcd, vcenter } = simulator.description;
    const mistyped = 'Mistyped-Pa55word-4711';
    const wrong = registration('wrong');
    wrong.vcd = { ...wrong.vcd, url: wrong.vcd.url.replace('127.0.0.1', 'localhost'), password: mistyped };
    wrong.vcenters = wrong.vcenters.map((one) => ({ ...one, password: mistyped }));
    expect((await call('POST', '/clouds', wrong)).status).toBe(422);
    expect((await call('POST', '/clouds', { ...wrong, name: 7 })).status).toBe(422);
    for (const path of ['/clouds', `/clouds/${cloudId}`, '/runs', '/api-keys', '/restore-points']) await call('GET', path);
    expect((await call('POST', `/clouds/${cloudId}/refresh`)).status).toBe(200);

    const database = await dump();
    const log = logged.join('');
    expect(log).toContain('cloud registered');
    expect(database).toContain('shop');
    for (const secret of [vcd.password, vcenter.password, mistyped, apiKey]) {
      for (const form of [
        secret,
        Buffer.from(secret).toString('base64'),
        Buffer.from(secret).toString('hex'),
        encodeURIComponent(secret),
      ]) {
        expect(log).not.toContain(form);
        expect(database).not.toContain(form);
        expect(answers.join('')).not.toContain(form);
      }
    }
    for (const [where, text] of Object.entries({ log, database, answers: answers.join('') })) {
      expect(text, where).not.toMatch(/eyJ[A-Za-z0-9_-]{10,}|Bearer [A-Za-z0-9]|vmware_soap_session/);
    }
  });
});

/** Every row of every table as text, bytes in hexadecimal. */
async function dump(): Promise<string> {
  const connection = new pg.Client({ connectionString: database.url });
  await connection.connect();
  try {
    const { rows: tables } = await connection.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const texts: string[] = [];
    for (const { name } of tables) {
      const { rows } = await connection.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts.join('\n');
  } finally {
    await connection.end();
  }
}
