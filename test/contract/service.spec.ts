import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir, startTestDatabase } from '../harness/database.js';

let dataDir: string;
const running: RunningService[] = [];

beforeAll(async () => {
  dataDir = await makeDataDir();
});
afterAll(async () => {
  for (const service of running) await service.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(shown: string[], port = 0): Promise<RunningService> {
  const config = loadConfig({ VAPP_VAULT_DATA_DIR: dataDir, VAPP_VAULT_PORT: String(port), VAPP_VAULT_LOG_LEVEL: 'silent' });
  const service = await startService(config, { log: silentLogger, showFirstKey: (key) => shown.push(key) });
  running.push(service);
  return service;
}

const statusWith = async (service: RunningService, key: string) =>
  (await fetch(`${service.url}/api/v1/runs`, { headers: { Authorization: `Bearer ${key}` } })).status;

describe('the service', () => {
  it('shows its first key once, keeps it through a restart, and closes twice without complaint', async () => {
    const shown: string[] = [];
    const first = await start(shown);
    expect(shown).toEqual([expect.stringMatching(/^vv_[A-Za-z0-9_-]{43}$/)]);
    const key = shown[0] ?? '';
    expect(await statusWith(first, key)).toBe(200);
    expect(await (await fetch(`${first.url}/api/health/ready`)).json()).toEqual({
      status: 'ok',
      checks: { database: 'ok', repository: 'ok' },
    });
    await Promise.all([first.close(), first.close()]);
    await expect(fetch(`${first.url}/api/health/live`)).rejects.toThrow();

    const second = await start(shown);
    expect(shown).toHaveLength(1);
    expect(await statusWith(second, key)).toBe(200);
    await second.close();
  });

  it('shows its first key before it is a key: a start that ends there leaves none that nobody knows', async () => {
    const folder = await makeDataDir();
    const config = loadConfig({ VAPP_VAULT_DATA_DIR: folder, VAPP_VAULT_PORT: '0' });
    const shown: string[] = [];
    try {
      const ends = (key: string) => {
        shown.push(key);
        throw new Error('the reader of standard output is gone');
      };
      await expect(startService(config, { log: silentLogger, showFirstKey: ends })).rejects.toThrow(/standard output is gone/);
      const service = await startService(config, { log: silentLogger, showFirstKey: (key) => shown.push(key) });
      running.push(service);
      expect(shown).toHaveLength(2);
      const [first = '', second = ''] = shown;
      expect([await statusWith(service, first), await statusWith(service, second)]).toEqual([401, 200]);
      await service.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('that cannot listen says where and leaves nothing running', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    await expect(start([], port)).rejects.toMatchObject({ code: 'LISTEN_FAILED', message: expect.stringContaining(`127.0.0.1:${port}`) });
    await new Promise((resolve) => taken.close(resolve));
    // The embedded database would refuse a second server on the same folder.
    await (await start([])).close();
  });

  it('describes every route of every room', async () => {
    const service = await start([]);
    const document = (await (await fetch(`${service.url}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { summary?: string }>>;
    };
    const expected = [
      '/api/v1/backups',
      '/api/v1/restores',
      '/api/v1/clouds',
      '/api/v1/vapps/{id}',
      '/api/v1/restore-points/{id}',
      '/api/v1/runs/{id}/events',
    ];
    for (const path of expected) expect(document.paths).toHaveProperty([path]);
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) expect(operation.summary, `${method} ${path}`).toEqual(expect.any(String));
    }
    await service.close();
  });

  it('in the role worker takes runs without listening, and shows no key', async () => {
    const database = await startTestDatabase();
    const shown: string[] = [];
    try {
      const config = loadConfig({ VAPP_VAULT_ROLE: 'worker', VAPP_VAULT_DATABASE_URL: database.url, VAPP_VAULT_DATA_DIR: dataDir });
      const service = await startService(config, { log: silentLogger, showFirstKey: (key) => shown.push(key) });
      await service.close();
      expect([service.url, shown]).toEqual([undefined, []]);
    } finally {
      await database.stop();
    }
  });
});
