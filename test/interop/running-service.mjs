/** A simulated cloud and the service beside it, in this process, as the suites of whole packages and of buckets need them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A simulator with this seed, and how the service is started before it.
 * @param product imports a built file.
 * @param environment what the service is told beside the usual.
 */
export async function startCloud(product, { seed, environment = {} }) {
  const { startSimulator } = await product('test/simulator/index.js');
  const { startService } = await product('src/service.js');
  const { loadConfig } = await product('src/config/index.js');
  const { silentLogger } = await product('src/common/index.js');
  const { ServiceClient } = await product('demo/service-client.js');
  const { makeDataDir } = await product('test/harness/database.js');
  const dataDir = await makeDataDir();
  mkdirSync(join(dataDir, 'cloud'));
  const ports = { listen: '127.0.0.1', vcdPort: 0, vcenterPort: 0, controlPort: 0 };
  const simulator = await startSimulator({ ...ports, dataDir: join(dataDir, 'cloud'), seed, taskDelayMs: 20 });
  const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
  const config = loadConfig(
    {
      VAPP_VAULT_DATA_DIR: join(dataDir, 'service'),
      VAPP_VAULT_PORT: '0',
      VAPP_VAULT_VDDK_LIBRARY_DIR: simulator.description.vddkLibraryDir,
      ...environment,
    },
    dataDir,
  );
  let service;
  return {
    simulator,
    apiKey,
    /** @returns its address and a client of it. */
    async startService() {
      service = await startService(config, { log: silentLogger, initialApiKey: apiKey, showFirstKey: () => {} });
      return { url: service.url, api: new ServiceClient(service.url, apiKey, undefined) };
    },
    async close() {
      await service?.close();
      await simulator.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export async function registerCloud(api, { vcd, vcenter }) {
  const { url, organization, userName, password } = vcd;
  await api.post('/api/v1/clouds', {
    name: 'interop',
    vcd: { url, organization, userName, password, thumbprint: vcd.thumbprintSha256 },
    vcenters: [{ url: vcenter.url, userName: vcenter.userName, password: vcenter.password, thumbprint: vcenter.thumbprintSha1 }],
  });
}

/** @returns the restore point of the first object of this kind whose name fits. */
export async function backUp(api, kind, fits = () => true) {
  const { items } = await api.get(`/api/v1/vapps?kind=${kind}`);
  const vappId = items.find(({ name }) => fits(name)).id;
  const run = await api.follow((await api.post('/api/v1/backups', { vappId, settings: {} })).id, () => {});
  assert.equal(run.error, null);
  return api.get(`/api/v1/restore-points/${run.result.restorePointId}`);
}
