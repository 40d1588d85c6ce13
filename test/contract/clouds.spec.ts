import type { NestExpressApplication } from '@nestjs/platform-express';
import { Writable } from 'node:stream';
import pg from 'pg';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeApiKey } from '../../src/access/index.js';
import { CloudService } from '../../src/clouds/index.js';
import { sleep } from '../../src/common/index.js';
import { RunService } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { callApi, answerInventory, answerVimServer, startCloudsApplication } from './clouds-fixture.js';
import { PASSWORD as VCD_PASSWORD, ScriptedVcd } from './scripted-vcd.js';
import { Fault, ScriptedVcenter, USER, PASSWORD as VCENTER_PASSWORD } from './scripted-vcenter.js';

const INSTANCE_UUID = '2e7bdc1f-57a3-4a86-8f43-8f6a3c8f2a11';
const UNKNOWN_ID = '0190b5c0-0000-7000-8000-000000000000';
const key = makeApiKey();
const logged: string[] = [];
const log = pino(
  { level: 'trace' },
  new Writable({ write: (chunk, _encoding, done) => done(void logged.push(String(chunk)) as undefined) }),
);

let database: TestDatabase;
let application: NestExpressApplication;
let base: string;
let vcd: ScriptedVcd;
let vcenter: ScriptedVcenter;
let vappNames: string[];

const startApplication = (masterKey: Buffer) => startCloudsApplication({ databaseUrl: database.url, masterKey, apiKey: key, log });

beforeAll(async () => {
  database = await startTestDatabase();
  application = await startApplication(Buffer.alloc(32, 3));
  base = await application.getUrl();
});
afterAll(async () => {
  await application?.close();
  await database?.stop();
});
beforeEach(async () => {
  [vcd, vcenter] = await Promise.all([ScriptedVcd.start(), ScriptedVcenter.start()]);
  vappNames = ['shop', 'wiki'];
  answerInventory(vcd, () => vappNames);
  vimServerIs(INSTANCE_UUID.toUpperCase());
});
afterEach(async () => {
  for (const { id } of (await call('GET', '/clouds')).body.items) await call('DELETE', `/clouds/${id}`);
  await Promise.all([vcd.stop(), vcenter.stop()]);
  logged.length = 0;
});

function vimServerIs(uuid: string): void {
  answerVimServer(vcd, uuid);
}

function registration(over: { vcd?: object; vcenter?: object; name?: string } = {}) {
  return {
    name: over.name ?? 'prod',
    vcd: { url: vcd.url, userName: 'administrator', password: VCD_PASSWORD, thumbprint: vcd.thumbprint, ...over.vcd },
    vcenters: [{ url: vcenter.url, userName: USER, password: VCENTER_PASSWORD, thumbprint: vcenter.thumbprint, ...over.vcenter }],
  };
}

const call = (method: string, path: string, body?: object) => callApi({ base, key }, method, path, body);

async function storedText(): Promise<string> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT c::text || encode(sealed_passwords, 'escape') AS text FROM clouds c`);
    return rows.map(({ text }) => text as string).join('\n');
  } finally {
    await client.end();
  }
}

describe('registering a cloud', () => {
  it('checks the logins, keeps the passwords sealed, and takes the inventory', async () => {
    const { status, body, text } = await call('POST', '/clouds', registration());
    expect([status, body.name, body.warnings, body.refreshError]).toEqual([201, 'prod', [], null]);
    expect(body.vcd).toEqual({ url: vcd.url, organization: 'System', login: 'password', userName: 'administrator', apiVersion: null });
    expect(body.vcenters).toEqual([{ url: vcenter.url, instanceUuid: INSTANCE_UUID, userName: USER }]);
    const shown = [
      text,
      (await call('GET', '/clouds')).text,
      (await call('GET', `/clouds/${body.id}`)).text,
      await storedText(),
      ...logged,
    ];
    for (const secret of [VCD_PASSWORD, VCENTER_PASSWORD]) expect(shown.join('\n')).not.toContain(secret);

    const vapps = (await call('GET', `/vapps?cloudId=${body.id}&name=SHO&present=true`)).body;
    expect(vapps).toMatchObject({
      items: [{ name: 'shop', organizationName: 'acme', vdcName: 'gold', storageBytes: 4_194_304 }],
      nextCursor: null,
    });
    const detail = (await call('GET', `/vapps/${vapps.items[0].id}`)).body;
    expect(detail.vms).toMatchObject([{ name: 'shop-vm', moRef: 'vm-0', present: true }]);
    expect((await call('GET', `/organizations?cloudId=${body.id}`)).body.items).toHaveLength(1);
    expect((await call('GET', `/vdcs?cloudId=${body.id}`)).body.items).toMatchObject([{ name: 'gold', organizationName: 'acme' }]);
  });

  it('names a vCenter that VCD uses and nobody registered', async () => {
    vimServerIs('99999999-0000-4000-8000-000000000000');
    const { status, body } = await call('POST', '/clouds', registration());
    expect(status).toBe(201);
    expect(body.warnings).toEqual([
      expect.stringMatching(/^VCD uses vCenter "vc-1" .*99999999-.* which is not registered/),
      expect.stringMatching(/^The registered vCenter https:.* is not used by this VCD\.$/),
    ]);
    const sessions = await application.get(CloudService).sessions(body.id);
    await expect(sessions.vcenter('99999999-0000-4000-8000-000000000000')).rejects.toMatchObject({ code: 'VCENTER_NOT_REGISTERED' });
  });

  it('is refused with every reason at once, and leaves nothing and no session behind', async () => {
    const wrong = registration({ vcd: { password: 'not it' }, vcenter: { thumbprint: 'AB'.repeat(20) } });
    const { status, body } = await call('POST', '/clouds', wrong);
    expect([status, body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    expect(body.detail).toMatch(/^Cloud "prod" cannot be registered: .*"administrator".*; .*thumbprint/s);
    expect(body.detail).not.toContain('not it');
    const half = await call('POST', '/clouds', registration({ vcenter: { password: 'not it' } }));
    expect([half.status, half.body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    expect(vcd.requests('DELETE')).toHaveLength(1);
    expect((await call('GET', '/clouds')).body.items).toEqual([]);
  });

  it('is undone when the inventory fails', async () => {
    vcd.on('GET /api/query', {
      status: 403,
      body: '<Error xmlns="http://www.vmware.com/vcloud/v1.5" majorErrorCode="403" minorErrorCode="X" message="no"/>',
    });
    const { status, body } = await call('POST', '/clouds', registration());
    expect([status, body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    expect((await call('GET', '/clouds')).body.items).toEqual([]);
  });

  it('refuses a second cloud of the same name, and the same vCenter twice', async () => {
    const { body: first } = await call('POST', '/clouds', registration());
    const again = await call('POST', '/clouds', registration());
    expect([again.status, again.body.code]).toEqual([409, 'CLOUD_NAME_EXISTS']);
    await call('DELETE', `/clouds/${first.id}`);
    const twice = registration({ name: 'twice' });
    const { status, body } = await call('POST', '/clouds', { ...twice, vcenters: [...twice.vcenters, ...twice.vcenters] });
    expect([status, body.detail]).toEqual([422, expect.stringContaining('are the same vCenter')]);
  });

  it.each([
    ['a plain http URL', { vcd: { url: 'http://vcd' } }, '/vcd/url'],
    ['a password in the URL', { vcd: { url: 'https://u:p@vcd' } }, '/vcd/url'],
    ['half a thumbprint', { vcenter: { thumbprint: 'AB:CD' } }, '/vcenters/0/thumbprint'],
    ['two kinds of trust', { vcd: { caPem: '-----BEGIN CERTIFICATE-----' } }, '/vcd'],
    ['a field nobody knows', { vcd: { passwort: 'x' } }, '/vcd'],
  ])('refuses %s before any request', async (_, over, pointer) => {
    const { status, body } = await call('POST', '/clouds', registration(over));
    expect([status, body.code]).toEqual([expect.any(Number), 'VALIDATION_FAILED']);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.errors.map((error: { pointer: string }) => error.pointer).join()).toContain(pointer);
    expect(vcd.received).toEqual([]);
  });
});

describe('a registered cloud', () => {
  it('is refreshed over one login, and shows what vanished', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    vappNames = ['shop'];
    const { status, body } = await call('POST', `/clouds/${id}/refresh`);
    expect([status, body]).toEqual([200, expect.objectContaining({ organizations: 1, vdcs: 1, vapps: 1, vms: 1, vanishedVapps: 1 })]);
    await call('POST', `/clouds/${id}/refresh`);
    // One login to check the registration, one for everything after it.
    expect(vcd.requests('POST /cloudapi')).toHaveLength(2);
    expect((await call('GET', `/vapps?cloudId=${id}&present=false`)).body.items).toMatchObject([{ name: 'wiki' }]);
  });

  it('tells why a refresh failed until one succeeds', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    // Of the service's own tries that never ended, as where they died with their process.
    const clouds = application.get(DataSource);
    const lost = () => clouds.query('UPDATE clouds SET refresh_unended = 3');
    const unended = async () => (await clouds.query('SELECT refresh_unended AS unended FROM clouds'))[0].unended;
    await lost();
    await call('POST', `/clouds/${id}/refresh`);
    expect(await unended()).toBe(0);
    await lost();
    vcd.on('GET /api/query', {
      status: 500,
      body: '<Error xmlns="http://www.vmware.com/vcloud/v1.5" majorErrorCode="500" minorErrorCode="BROKEN" message="ouch"/>',
    });
    expect((await call('POST', `/clouds/${id}/refresh`)).status).toBe(422);
    expect((await call('GET', `/clouds/${id}`)).body.refreshError).toContain('ouch');
    expect(await unended()).toBe(0);
    expect((await call('GET', `/vapps?cloudId=${id}&present=true`)).body.items).toHaveLength(2);
  });

  it('keeps since when the first class disks of a vCenter cannot be listed, until they can', async () => {
    vcenter.managers =
      '<viewManager type="ViewManager">ViewManager</viewManager>' +
      '<vStorageObjectManager type="VcenterVStorageObjectManager">VStorageObjectManager</vStorageObjectManager>';
    vcenter.on('CreateContainerView', '<returnval type="ContainerView">view-1</returnval>');
    const { id } = (await call('POST', '/clouds', registration())).body;
    const database = application.get(DataSource);
    const unlisted = async () => (await database.query('SELECT unlisted_vcenters AS unlisted FROM clouds'))[0].unlisted;
    const refresh = () => call('POST', `/clouds/${id}/refresh`);
    expect(await unlisted()).toEqual({});
    vcenter.on('CreateContainerView', new Fault('RuntimeFault', 'its datastores are away'));
    await refresh();
    const first = await unlisted();
    expect(first).toEqual({
      [INSTANCE_UUID]: { url: vcenter.url, sinceAt: expect.any(String), error: expect.stringContaining('its datastores are away') },
    });
    expect((await call('GET', `/clouds/${id}`)).body).toMatchObject({
      refreshError: null,
      warnings: [expect.stringMatching(/^The first class disks of vCenter .* could not be listed: .*its datastores are away/)],
    });
    await refresh();
    expect(await unlisted()).toEqual(first);
    vcenter.on('CreateContainerView', '<returnval type="ContainerView">view-1</returnval>');
    await refresh();
    expect(await unlisted()).toEqual({});
  });

  it('is gone when removed: logged out, its inventory forgotten', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const sessions = await application.get(CloudService).sessions(id);
    await sessions.vcenter(INSTANCE_UUID.toUpperCase());
    expect((await call('DELETE', `/clouds/${id}`)).status).toBe(204);
    expect(vcd.requests('DELETE')).toHaveLength(2);
    expect(vcenter.of('Logout')).toHaveLength(2);
    await expect(sessions.vcd()).rejects.toMatchObject({ code: 'CLOUD_NOT_FOUND' });
    expect((await call('GET', `/vapps?cloudId=${id}`)).body.items).toEqual([]);
  });

  it('stays whole where its removal is cut off: the cloud and its inventory go together', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      // The gate of everything that is written about a cloud's inventory.
      await client.query(`SELECT pg_advisory_lock(hashtextextended('catalog:' || $1, 0))`, [id]);
      const removal = call('DELETE', `/clouds/${id}`);
      const waiting = async () =>
        (await client.query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'`))
          .rows[0]?.pid;
      let pid: number | undefined;
      for (const deadline = performance.now() + 60_000; pid === undefined && performance.now() < deadline; await sleep(5))
        pid = await waiting();
      await client.query('SELECT pg_terminate_backend($1)', [pid]);
      expect((await removal).status).toBeGreaterThanOrEqual(500);
    } finally {
      await client.end();
    }
    expect((await call('GET', '/clouds')).body.items).toMatchObject([{ id }]);
    expect((await call('GET', `/vapps?cloudId=${id}&present=true`)).body.items).toHaveLength(2);
    expect((await call('DELETE', `/clouds/${id}`)).status).toBe(204);
    expect((await call('GET', '/clouds')).body.items).toEqual([]);
    expect((await call('GET', '/vapps')).body.items).toEqual([]);
  });

  it('cannot be used with another master key, and says so', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const other = await startApplication(Buffer.alloc(32, 4));
    try {
      const sessions = await other.get(CloudService).sessions(id);
      await expect(sessions.vcd()).rejects.toMatchObject({
        code: 'CREDENTIALS_SEALED_OTHERWISE',
        message: expect.stringContaining('"prod"'),
      });
    } finally {
      await other.close();
    }
  });

  it.each([
    ['GET', `/clouds/${UNKNOWN_ID}`, 'CLOUD_NOT_FOUND'],
    ['DELETE', '/clouds/nonsense', 'CLOUD_NOT_FOUND'],
    ['POST', `/clouds/${UNKNOWN_ID}/refresh`, 'CLOUD_NOT_FOUND'],
    ['GET', '/vapps/nonsense', 'VAPP_NOT_FOUND'],
    ['GET', '/restore-points/nonsense', 'RESTORE_POINT_NOT_FOUND'],
  ])('that does not exist is 404: %s %s', async (method, path, code) => {
    const { status, body } = await call(method, path);
    expect([status, body.code]).toEqual([404, code]);
  });

  it('trusts the authority that signed, and no other', async () => {
    const ours = await ScriptedVcenter.start();
    const stranger = await ScriptedVcenter.start();
    try {
      const vcenters = (caPem: string) => [{ url: ours.url, userName: USER, password: VCENTER_PASSWORD, caPem }];
      const wrong = await call('POST', '/clouds', { ...registration(), vcenters: vcenters(stranger.certificatePem) });
      expect([wrong.status, wrong.body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
      expect(ours.calls).toEqual([]);
      const broken = await call('POST', '/clouds', {
        ...registration(),
        vcenters: vcenters('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
      });
      expect([broken.status, broken.body.errors[0].pointer]).toEqual([422, '#/vcenters/0/caPem']);
      const right = await call('POST', '/clouds', { ...registration(), vcenters: vcenters(ours.certificatePem) });
      expect([right.status, right.body.vcenters?.[0]?.url]).toEqual([201, ours.url]);
    } finally {
      await Promise.all([ours.stop(), stranger.stop()]);
    }
  });

  it('is not registered twice under two names', async () => {
    expect((await call('POST', '/clouds', registration())).status).toBe(201);
    const again = await call('POST', '/clouds', registration({ name: 'prod again' }));
    expect([again.status, again.body.code]).toEqual([409, 'CLOUD_VCD_EXISTS']);
    expect(again.body.detail).toContain('registered as cloud "prod" already');
  });

  it('stays while a run uses it', async () => {
    const { body: cloud } = await call('POST', '/clouds', registration());
    const [organization] = (await call('GET', `/organizations?cloudId=${cloud.id}`)).body.items;
    const runs = application.get(RunService, { strict: false });
    runs.registerHandler('backup', async () => ({}));
    const run = await runs.create('backup', 'vApp "shop"', {}, { organizationId: organization.id });
    const refused = await call('DELETE', `/clouds/${cloud.id}`);
    expect([refused.status, refused.body.code]).toEqual([409, 'CLOUD_IN_USE']);
    expect(refused.body.detail).toContain(`the backup of vApp "shop"; wait for the end of run ${run.id}`);
    await runs.cancel(run.id);
    expect((await call('DELETE', `/clouds/${cloud.id}`)).status).toBe(204);
  });

  it('says that VDDK is not configured', () => {
    expect(() => application.get(CloudService).vddkSettings()).toThrow(expect.objectContaining({ code: 'VDDK_NOT_CONFIGURED' }));
  });
});

it('lists refuse what is no filter, and the routes are in the API description', async () => {
  expect((await call('GET', '/vapps?limit=0')).body.code).toBe('VALIDATION_FAILED');
  expect((await call('GET', '/vapps?present=maybe')).body.code).toBe('VALIDATION_FAILED');
  expect((await call('GET', '/restore-points?vapp=1')).body.code).toBe('VALIDATION_FAILED');
  expect((await call('GET', '/restore-points?cursor=x')).body.code).toBe('CURSOR_INVALID');
  expect((await call('GET', '/restore-points')).body).toEqual({ items: [], nextCursor: null });
  const document = (await (await fetch(`${base}/api/openapi.json`)).json()) as {
    paths: Record<string, object>;
    components: { schemas: object };
  };
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/api/v1/clouds',
      '/api/v1/clouds/{id}/refresh',
      '/api/v1/vapps',
      '/api/v1/vapps/{id}',
      '/api/v1/restore-points/{id}',
    ]),
  );
  expect(Object.keys(document.components.schemas)).toEqual(
    expect.arrayContaining(['Cloud', 'CloudRegistration', 'VappPage', 'RestorePointDetail']),
  );
});
