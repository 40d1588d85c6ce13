import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { startService } from '../../src/service.js';
import { makeDataDir } from '../harness/database.js';

it('docs/api.md calls every route there is', async () => {
  const text = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const calls = [...text.matchAll(/^curl .*$/gm)].map(([line]) => ({
    method: /-X (\w+)/.exec(line)?.[1] ?? (line.includes(' -d ') ? 'POST' : 'GET'),
    path: /(?:\$API|127\.0\.0\.1:8080)([^\s"?]*)/.exec(line)?.[0].replace('$API', '/api/v1').replace('127.0.0.1:8080', ''),
  }));
  const called = new Set(calls.map(({ method, path }) => `${method} ${path?.replace(/[A-Z]+_ID/, '{id}')}`));
  const dataDir = await makeDataDir();
  const service = await startService(loadConfig({ VAPP_VAULT_DATA_DIR: dataDir, VAPP_VAULT_PORT: '0' }), {
    log: silentLogger,
    showFirstKey: () => undefined,
  });
  try {
    const document = (await (await fetch(`${service.url}/api/openapi.json`)).json()) as { paths: Record<string, object> };
    const routes = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...called].toSorted()).toEqual(routes.toSorted());
  } finally {
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
