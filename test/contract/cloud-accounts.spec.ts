import type { NestExpressApplication } from '@nestjs/platform-express';
import { Writable } from 'node:stream';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeApiKey } from '../../src/access/index.js';
import { CredentialSeal } from '../../src/clouds/credential-seal.js';
import { CloudService } from '../../src/clouds/index.js';
import { newId } from '../../src/common/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { callApi, answerInventory, answerVimServer, startCloudsApplication } from './clouds-fixture.js';
import { errorXml, ScriptedVcd, TOKEN, PASSWORD as VCD_PASSWORD } from './scripted-vcd.js';
import { ScriptedVcenter, USER, PASSWORD as VCENTER_PASSWORD } from './scripted-vcenter.js';

const INSTANCE_UUID = '2e7bdc1f-57a3-4a86-8f43-8f6a3c8f2a11';
const ORGANIZATION = '00000000-0000-4000-8000-0000000000f1';
const EXCHANGE = 'POST /oauth/provider/token';
const key = makeApiKey();
const logged: string[] = [];
const log = pino(
  { level: 'trace' },
  new Writable({ write: (chunk, _encoding, done) => done(void logged.push(String(chunk)) as undefined) }),
);
const masterKey = Buffer.alloc(32, 9);

let database: TestDatabase;
let application: NestExpressApplication;
let base: string;
let sql: pg.Client;
let vcd: ScriptedVcd;
let vcenter: ScriptedVcenter;
/** What VCD takes next; each exchange replaces it. */
let goodToken: string;
let exchanges: number;

beforeAll(async () => {
  database = await startTestDatabase();
  application = await startCloudsApplication({ databaseUrl: database.url, masterKey, apiKey: key, log });
  base = await application.getUrl();
  sql = new pg.Client({ connectionString: database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql?.end();
  await application?.close();
  await database?.stop();
});
beforeEach(async () => {
  [vcd, vcenter] = await Promise.all([ScriptedVcd.start(), ScriptedVcenter.start()]);
  answerInventory(vcd, () => ['shop']);
  answerVimServer(vcd, INSTANCE_UUID);
  goodToken = `service-token-${newId()}`;
  exchanges = 0;
  vcd.on(EXCHANGE, ({ body }) => {
    if (new URLSearchParams(body).get('refresh_token') !== goodToken) return { status: 400, body: '{"error":"invalid_grant"}' };
    exchanges += 1;
    goodToken = `service-token-${newId()}`;
    return {
      body: JSON.stringify({ access_token: `${TOKEN}-${exchanges}`, token_type: 'Bearer', expires_in: 3600, refresh_token: goodToken }),
    };
  });
});
afterEach(async () => {
  await sql.query('UPDATE obligations SET settled_at = now()');
  for (const { id } of (await call('GET', '/clouds')).body.items) await call('DELETE', `/clouds/${id}`);
  await sql.query('DELETE FROM service_account_tokens');
  await Promise.all([vcd.stop(), vcenter.stop()]);
  logged.length = 0;
});

function registration(account: object = { userName: 'administrator', password: VCD_PASSWORD }, server: ScriptedVcd = vcd, name = 'prod') {
  return {
    name,
    vcd: { url: server.url, thumbprint: server.thumbprint, ...account },
    vcenters: [{ url: vcenter.url, userName: USER, password: VCENTER_PASSWORD, thumbprint: vcenter.thumbprint }],
  };
}

const call = (method: string, path: string, body?: object) => callApi({ base, key }, method, path, body);

/** The one service account's token, unsealed. */
async function storedToken(): Promise<string> {
  const { rows } = await sql.query('SELECT id, sealed_token FROM service_account_tokens');
  return new CredentialSeal(masterKey).openText(rows[0]?.id, 'token', rows[0]?.sealed_token);
}

async function everythingStored(): Promise<string> {
  const { rows } = await sql.query(
    `SELECT c::text || encode(sealed_passwords, 'escape') AS text FROM clouds c UNION ALL SELECT t::text || encode(sealed_token, 'escape') FROM service_account_tokens t`,
  );
  return rows.map(({ text }) => text as string).join('\n');
}

describe('the ways to log in', () => {
  it('takes an API token, keeps it sealed, and shows only its kind', async () => {
    vcd.on(EXCHANGE, ({ body }) =>
      new URLSearchParams(body).get('refresh_token') === 'api-token-SECRET'
        ? { body: JSON.stringify({ access_token: TOKEN, expires_in: 3600, refresh_token: 'api-token-SECRET' }) }
        : { status: 400 },
    );
    const { status, body, text } = await call('POST', '/clouds', registration({ apiToken: 'api-token-SECRET', apiVersion: '37.2' }));
    expect([status, body.vcd]).toEqual([
      201,
      { url: vcd.url, organization: 'System', login: 'api-token', userName: null, apiVersion: '37.2' },
    ]);
    const shown = [text, (await call('GET', `/clouds/${body.id}`)).text, await everythingStored(), ...logged].join('\n');
    for (const secret of ['api-token-SECRET', TOKEN]) expect(shown).not.toContain(secret);
  });

  it.each([
    ['two ways', { userName: 'a', password: 'b', apiToken: 'c' }],
    ['no way', {}],
    ['half a password', { userName: 'a' }],
    ['a version nobody speaks', { apiToken: 'c', apiVersion: '40.0' }],
  ])('refuses %s before any request', async (_, account) => {
    const { body } = await call('POST', '/clouds', registration(account));
    expect(body.code).toBe('VALIDATION_FAILED');
    expect(vcd.received).toEqual([]);
  });

  it('reads rows of the first release, which knew passwords only', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    await sql.query(`UPDATE clouds SET vcd = vcd - 'login', vim_server_ids = '[]' WHERE id = $1`, [id]);
    expect((await call('GET', `/clouds/${id}`)).body.vcd).toMatchObject({ login: 'password', userName: 'administrator' });
    expect((await call('POST', `/clouds/${id}/refresh`, {})).status).toBe(200);
    const { rows } = await sql.query('SELECT vim_server_ids FROM clouds');
    expect(rows[0].vim_server_ids).toHaveLength(1);
  });
});

describe("a service account's token", () => {
  it('is replaced by each login, and the new one is stored before the access token is used', async () => {
    const first = goodToken;
    const atFirstUse: string[] = [];
    const storedAtFirstUse: Promise<string>[] = [];
    vcd.on('GET /api/admin/extension/vimServerReferences', () => {
      atFirstUse.push(goodToken);
      storedAtFirstUse.push(storedToken());
      return { body: '<x:VMWVimServerReferences xmlns:x="http://www.vmware.com/vcloud/extension/v1.5"/>' };
    });
    const { status, body, text } = await call('POST', '/clouds', registration({ serviceAccountToken: first }));
    expect([status, body.vcd.login]).toEqual([201, 'service-account']);
    // One for the check of the registration, one for the session that stays.
    expect(exchanges).toBe(2);
    expect(storedAtFirstUse).not.toEqual([]);
    expect(await Promise.all(storedAtFirstUse)).not.toContain(first);
    const shown = [text, await everythingStored(), ...logged].join('\n');
    for (const secret of [first, ...atFirstUse, goodToken, TOKEN]) expect(shown).not.toContain(secret);
  });

  it('is spent by one process at a time, each with the token of the one before', async () => {
    const { id } = (await call('POST', '/clouds', registration({ serviceAccountToken: goodToken }))).body;
    const other = await startCloudsApplication({ databaseUrl: database.url, masterKey, apiKey: key, log });
    try {
      await sql.query('UPDATE clouds SET revision = revision + 1');
      const sessions = await Promise.all([application, other].map((one) => one.get(CloudService).sessions(id)));
      const clients = await Promise.all(sessions.map((session) => session.vcd()));
      expect(new Set(clients).size).toBe(2);
      expect(exchanges).toBe(4);
      expect(vcd.requests(EXCHANGE)).toHaveLength(4);
    } finally {
      await other.close();
    }
  });

  it('is not spent while the database takes no writes', async () => {
    const token = goodToken;
    await sql.query('ALTER TABLE service_account_tokens ADD CONSTRAINT no_use CHECK (used_at IS NULL)');
    try {
      expect((await call('POST', '/clouds', registration({ serviceAccountToken: token }))).status).toBeGreaterThanOrEqual(400);
      expect(exchanges).toBe(0);
    } finally {
      await sql.query('ALTER TABLE service_account_tokens DROP CONSTRAINT no_use');
    }
    expect((await call('POST', '/clouds', registration({ serviceAccountToken: token }))).status).toBe(201);
  });

  it('survives a database that fails right after VCD answered', async () => {
    // The first write of a new token fails; the one after it does not.
    await sql.query(`CREATE SEQUENCE store_tries; CREATE FUNCTION fail_once() RETURNS trigger AS $$ BEGIN
      IF NEW.sealed_token <> OLD.sealed_token AND nextval('store_tries') = 1 THEN RAISE EXCEPTION 'disk full'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql;
      CREATE TRIGGER fail_once BEFORE UPDATE ON service_account_tokens FOR EACH ROW EXECUTE FUNCTION fail_once()`);
    try {
      const { status, body } = await call('POST', '/clouds', registration({ serviceAccountToken: goodToken }));
      expect([status, body.vcd?.login]).toEqual([201, 'service-account']);
      expect(exchanges).toBe(2);
    } finally {
      await sql.query('DROP TRIGGER fail_once ON service_account_tokens; DROP FUNCTION fail_once; DROP SEQUENCE store_tries');
    }
  });

  it('is continued when a registration that used it failed for another reason', async () => {
    const token = goodToken;
    const wrong = registration({ serviceAccountToken: token });
    const failed = await call('POST', '/clouds', { ...wrong, vcenters: [{ ...wrong.vcenters[0], password: 'not it' }] });
    expect([failed.status, exchanges]).toEqual([422, 1]);
    expect((await call('POST', '/clouds', registration({ serviceAccountToken: token }))).status).toBe(201);
  });

  it('that was used elsewhere is refused with what to do, and a new one is taken by PATCH', async () => {
    const { id } = (await call('POST', '/clouds', registration({ serviceAccountToken: goodToken }))).body;
    goodToken = 'used-by-a-copy';
    vcd.on('GET /api/query', { status: 401, body: errorXml(401, 'UNAUTHORIZED', 'expired') });
    const refused = await call('POST', `/clouds/${id}/refresh`, {});
    expect([refused.status, refused.body.code]).toEqual([422, 'TOKEN_USED']);
    expect(refused.body.detail).toMatch(/used already.*make a new token for the service account and enter it for this cloud/);
    answerInventory(vcd, () => ['shop']);
    expect((await call('PATCH', `/clouds/${id}`, { vcd: { serviceAccountToken: goodToken } })).status).toBe(200);
    expect((await call('POST', `/clouds/${id}/refresh`, {})).status).toBe(200);
    expect((await sql.query('SELECT id FROM service_account_tokens')).rows).toHaveLength(1);
    await call('DELETE', `/clouds/${id}`);
    expect((await sql.query('SELECT id FROM service_account_tokens')).rows).toEqual([]);
  });
});

describe('changing a cloud', () => {
  it('tries the new password first, and keeps the old one when it is refused', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const refused = await call('PATCH', `/clouds/${id}`, { vcd: { userName: 'administrator', password: 'not it' } });
    expect([refused.status, refused.body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    expect(refused.body.detail).toMatch(/^Cloud "prod" cannot be changed: .*"administrator"/);
    expect((await call('POST', `/clouds/${id}/refresh`, {})).status).toBe(200);
  });

  it('reaches a session that is open, in any process, at its next login', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const other = await startCloudsApplication({ databaseUrl: database.url, masterKey, apiKey: key, log });
    try {
      const client = await (await other.get(CloudService).sessions(id)).vcd();
      let password = 'the new one';
      vcd.on('POST /cloudapi/1.0.0/sessions/provider', ({ headers }) =>
        Buffer.from((headers.authorization ?? '').slice(6), 'base64').toString() === `administrator@System:${password}`
          ? { headers: { 'x-vmware-vcloud-access-token': 'fresh' } }
          : { status: 401 },
      );
      expect((await call('PATCH', `/clouds/${id}`, { vcd: { userName: 'administrator', password } })).status).toBe(200);
      vcd.on('GET /api/admin/extension/vimServerReferences', ({ headers }) =>
        headers.authorization === 'Bearer fresh'
          ? { body: '<x:VMWVimServerReferences xmlns:x="http://www.vmware.com/vcloud/extension/v1.5"/>' }
          : { status: 401 },
      );
      expect(await client.vimServers()).toEqual([]);
      password = 'nobody knows';
    } finally {
      await other.close();
    }
  });

  it('changes one vCenter by its instance UUID, and names one that is not registered', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const change = { instanceUuid: INSTANCE_UUID.toUpperCase(), userName: USER, password: VCENTER_PASSWORD };
    expect((await call('PATCH', `/clouds/${id}`, { vcenters: [change] })).body.vcenters).toMatchObject([{ instanceUuid: INSTANCE_UUID }]);
    const wrong = await call('PATCH', `/clouds/${id}`, { vcenters: [{ ...change, password: 'not it' }] });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    const unknown = await call('PATCH', `/clouds/${id}`, { vcenters: [{ ...change, instanceUuid: 'another' }] });
    expect(unknown.body.code).toBe('VCENTER_NOT_REGISTERED');
    expect((await call('PATCH', `/clouds/${id}`, {})).body.code).toBe('VALIDATION_FAILED');
    expect((await call('PATCH', '/clouds/nonsense', { vcenters: [change] })).body.code).toBe('CLOUD_NOT_FOUND');
  });
});

describe('the vCenters of a cloud', () => {
  const SECOND_UUID = '3f7bdc1f-57a3-4a86-8f43-8f6a3c8f2a22';
  let second: ScriptedVcenter;
  beforeEach(async () => {
    second = await ScriptedVcenter.start();
    second.instanceUuid = SECOND_UUID;
  });
  afterEach(() => second.stop());
  const login = () => ({ url: second.url, userName: USER, password: VCENTER_PASSWORD, thumbprint: second.thumbprint });
  const uuidsOf = ({ vcenters }: { vcenters: { instanceUuid: string }[] }) => vcenters.map(({ instanceUuid }) => instanceUuid);

  it('can become more, each tried first, and none twice', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const wrong = await call('PATCH', `/clouds/${id}`, { addVcenters: [{ ...login(), password: 'not it' }] });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'CLOUD_UNUSABLE']);
    const { status, body } = await call('PATCH', `/clouds/${id}`, { addVcenters: [login()] });
    expect([status, uuidsOf(body)]).toEqual([200, [INSTANCE_UUID, SECOND_UUID]]);
    expect(body.warnings).toEqual([expect.stringContaining(`(instance UUID ${SECOND_UUID}) is not used by this VCD`)]);
    const sessions = await application.get(CloudService).sessions(id);
    expect((await sessions.vcenter(SECOND_UUID)).instanceUuid).toBe(SECOND_UUID);
    const twice = await call('PATCH', `/clouds/${id}`, { addVcenters: [login()] });
    expect([twice.status, twice.body.detail]).toEqual([422, expect.stringContaining('is registered already')]);
  });

  it('can become fewer when nothing is owed there, but not none', async () => {
    const { id } = (await call('POST', '/clouds', { ...registration(), vcenters: [...registration().vcenters, login()] })).body;
    const runId = newId();
    await sql.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload) VALUES ($1, 'backup', 'failed', 'vApp "shop"', $2, '{}')`,
      [runId, `urn:vcloud:org:${ORGANIZATION}`],
    );
    await sql.query(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'vsphere.snapshot', $3)`, [
      newId(),
      runId,
      { cloudId: id, vcenterInstanceUuid: SECOND_UUID },
    ]);
    const owed = await call('PATCH', `/clouds/${id}`, { removeVcenters: [SECOND_UUID.toUpperCase()] });
    expect([owed.status, owed.body.code]).toEqual([409, 'CLOUD_IN_USE']);
    expect(owed.body.detail).toContain(`The vCenter ${SECOND_UUID} of cloud "prod" cannot be removed yet`);
    await sql.query('UPDATE obligations SET settled_at = now()');
    const { status, body } = await call('PATCH', `/clouds/${id}`, { removeVcenters: [SECOND_UUID.toUpperCase()] });
    expect([status, uuidsOf(body)]).toEqual([200, [INSTANCE_UUID]]);
    const last = await call('PATCH', `/clouds/${id}`, { removeVcenters: [INSTANCE_UUID] });
    expect([last.status, last.body.detail]).toEqual([422, 'Cloud "prod" cannot be changed: no vCenter would be left.']);
    expect((await call('PATCH', `/clouds/${id}`, { removeVcenters: [SECOND_UUID] })).body.code).toBe('VCENTER_NOT_REGISTERED');
  });

  it('is not removed under a run', async () => {
    const { id } = (await call('POST', '/clouds', { ...registration(), vcenters: [...registration().vcenters, login()] })).body;
    const runId = newId();
    await sql.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload) VALUES ($1, 'backup', 'queued', 'vApp "shop"', $2, '{}')`,
      [runId, `urn:vcloud:org:${ORGANIZATION}`],
    );
    const { status, body } = await call('PATCH', `/clouds/${id}`, { removeVcenters: [SECOND_UUID] });
    await sql.query(`UPDATE runs SET state = 'cancelled', ended_at = now()`);
    expect([status, body.code]).toEqual([409, 'CLOUD_IN_USE']);
  });
});

describe('one VCD', () => {
  it('is noticed under a second host name by what it calls its vCenters', async () => {
    await call('POST', '/clouds', registration());
    const alias = await ScriptedVcd.start();
    try {
      answerInventory(alias, () => ['shop']);
      answerVimServer(alias, INSTANCE_UUID);
      const { status, body } = await call('POST', '/clouds', registration(undefined, alias, 'second name'));
      expect([status, body.code]).toEqual([409, 'CLOUD_VCD_EXISTS']);
      expect(body.detail).toContain(`the VCD at ${alias.url} answers at ${vcd.url} too and is registered as cloud "prod" already`);
    } finally {
      await alias.stop();
    }
  });

  it('stays registered while an ended run has something to undo there', async () => {
    const { id } = (await call('POST', '/clouds', registration())).body;
    const runId = newId();
    await sql.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload) VALUES ($1, 'backup', 'failed', 'vApp "shop"', $2, '{}')`,
      [runId, `urn:vcloud:org:${ORGANIZATION}`],
    );
    await sql.query(
      `INSERT INTO obligations (id, run_id, kind, terms, last_error) VALUES ($1, $2, 'vcd.maintenance', $3, 'VCD is away.')`,
      [newId(), runId, { cloudId: id, vappHref: 'x', vappName: 'shop' }],
    );
    const refused = await call('DELETE', `/clouds/${id}`);
    expect([refused.status, refused.body.code]).toEqual([409, 'CLOUD_IN_USE']);
    expect(refused.body.detail).toContain(`run ${runId} has something to undo there, "vcd.maintenance" (last try: VCD is away)`);
    await sql.query('UPDATE obligations SET settled_at = now()');
    expect((await call('DELETE', `/clouds/${id}`)).status).toBe(204);
  });
});
