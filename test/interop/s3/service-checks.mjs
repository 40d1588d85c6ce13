/** The whole service with its repository in a bucket: a vApp of the demo's cloud, made small, is backed up twice, lost and restored. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backUp, registerCloud, startCloud } from '../running-service.mjs';

export async function serviceChecks(checks, server, folder, product) {
  const { smallSeed } = await product('test/flow/small-seed.js');
  const { ControlClient } = await product('demo/control-client.js');
  const { VcdClient } = await product('src/vcd/index.js');

  const credentialsFile = join(folder, 'credentials');
  const keys = `[default]\naws_access_key_id = ${server.accessKeyId}\naws_secret_access_key = ${server.secretAccessKey}\n`;
  writeFileSync(credentialsFile, keys, { mode: 0o600 });
  const cloud = await startCloud(product, {
    seed: smallSeed,
    environment: {
      VAPP_VAULT_REPOSITORY_KIND: 's3',
      VAPP_VAULT_REPOSITORY_S3_ENDPOINT: server.endpoint,
      VAPP_VAULT_REPOSITORY_S3_BUCKET: 'locked',
      VAPP_VAULT_REPOSITORY_S3_PREFIX: 'service',
      VAPP_VAULT_REPOSITORY_S3_CA_FILE: server.caFile,
      VAPP_VAULT_REPOSITORY_S3_CREDENTIALS_FILE: credentialsFile,
      VAPP_VAULT_SECOND_SITE_KIND: 's3',
      VAPP_VAULT_SECOND_SITE_S3_ENDPOINT: server.endpoint,
      VAPP_VAULT_SECOND_SITE_S3_BUCKET: 'plain',
      VAPP_VAULT_SECOND_SITE_S3_PREFIX: 'service-second',
      VAPP_VAULT_SECOND_SITE_S3_CA_FILE: server.caFile,
      VAPP_VAULT_SECOND_SITE_S3_CREDENTIALS_FILE: credentialsFile,
    },
  });
  try {
    let service;
    await checks.check('S3: the service starts with its repository in a bucket, and is ready', async () => {
      service = await cloud.startService();
      const ready = await fetch(`${service.url}/api/health/ready`);
      assert.equal(ready.status, 200);
    });
    if (service === undefined) return;
    await flow(checks, {
      api: service.api,
      apiKey: cloud.apiKey,
      serviceUrl: service.url,
      control: new ControlClient(cloud.simulator.description.control.url),
      simulator: cloud.simulator,
      VcdClient,
    });
  } finally {
    await cloud.close();
  }
}

async function flow(checks, { api, apiKey, serviceUrl, control, simulator, VcdClient }) {
  const { vcd } = simulator.description;
  const { url, organization, userName, password } = vcd;
  const backUpShop = () => backUp(api, 'vapp', (name) => name === 'shop');
  let point;
  const stored = await checks.check('S3: a vApp is backed up into the bucket, the second time with what changed alone', async () => {
    await registerCloud(api, simulator.description);
    assert.equal((await backUpShop()).kind, 'full');
    await control.guestWrite('web-1', { disk: 0, seed: 'a', scatteredBlocks: 5 });
    await control.checkpoint('second', 'shop');
    point = await backUpShop();
    assert.equal(point.kind, 'incremental');
  });
  if (!stored) return;
  await checks.check('S3: the restore point is copied to the second site by a run of its own', async () => {
    const deadline = Date.now() + 120_000;
    while ((await api.get(`/api/v1/restore-points/${point.id}`)).copiedAt === null) {
      assert.ok(Date.now() < deadline, 'it was not copied in time');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const { items } = await api.get('/api/v1/runs?kind=copy');
    assert.deepEqual(new Set(items.map(({ state }) => state)), new Set(['succeeded']));
  });
  await checks.check('S3: a lock is held by the server itself, by a run of its own, and nobody deletes the restore point', async () => {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const until = new Date(Date.now() + 3600_000).toISOString();
    const locked = await fetch(`${serviceUrl}/api/v1/restore-points/${point.id}/lock`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ until }),
    });
    assert.equal((await locked.json()).enforcedByStore, true);
    const { items } = await api.get('/api/v1/runs?kind=hold');
    const run = await api.follow(items[0].id, () => {});
    assert.equal(run.error, null);
    assert.ok(run.result.objects > 3, `${run.result.objects} objects are held`);
    assert.equal((await fetch(`${serviceUrl}/api/v1/restore-points/${point.id}`, { method: 'DELETE', headers })).status, 409);
  });
  await checks.check('S3: the vApp is deleted and restored from the second site alone, every byte and every attribute', async () => {
    const tenant = await VcdClient.connect({
      url,
      organization,
      userName,
      password,
      trust: { thumbprint: vcd.thumbprintSha256 },
      taskPollMs: 20,
    });
    for await (const vapp of tenant.vapps('name==shop')) await tenant.deleteVapp(vapp.href);
    await tenant.close();
    const run = await api.follow(
      (await api.post('/api/v1/restores', { restorePointId: point.id, mode: 'missing-vapp', site: 'second' })).id,
      () => {},
    );
    assert.equal(run.error, null);
    const comparison = await control.compare('second', 'shop');
    assert.deepEqual(comparison.attributes, []);
    assert.equal(comparison.disks.length, 5);
    assert.deepEqual(
      comparison.disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged'),
      [],
    );
  });
}
