import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { VcdClient } from '../../src/vcd/index.js';
import { errorXml, PASSWORD, ScriptedVcd, TOKEN, versions } from './scripted-vcd.js';
import {
  client,
  connect,
  connection,
  failure,
  GONE,
  task,
  useScriptedVcd,
  VAPP,
  VCLOUD,
  VDC,
  VM,
  vapp,
  vappRecords,
  vcd,
} from './vcd-client-fixture.js';

const BUSY = { status: 400, body: errorXml(400, 'BUSY_ENTITY', 'The entity vm is busy completing an operation VAPP_UPDATE_VM.') };

useScriptedVcd();

describe('connecting', () => {
  it('takes the highest version both know, and the provider login', async () => {
    expect((await connect()).apiVersion).toBe('37.2');
    const login = vcd.requests('POST /cloudapi');
    expect(login.map((request) => request.path)).toEqual(['/cloudapi/1.0.0/sessions/provider']);
    expect(login[0]?.body).toBe('');
    expect(login[0]?.headers.accept).toContain('version=37.2');
  });

  it('honours a pinned version and says when the cloud does not have it', async () => {
    expect((await connect({ apiVersion: '36.3' })).apiVersion).toBe('36.3');
    const error = await failure(VcdClient.connect(connection({ apiVersion: '35.0' })));
    expect(error.code).toBe('VERSION_UNSUPPORTED');
    expect(error.message).toContain('36.3, 37.2');
  });

  it('uses /api/sessions and its token where the cloud is old', async () => {
    vcd.on('GET /api/versions', {
      body: `<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions"><VersionInfo><Version>33.0</Version><LoginUrl>${vcd.url}/api/sessions</LoginUrl></VersionInfo></SupportedVersions>`,
    });
    vcd.on('POST /api/sessions', { headers: { 'x-vcloud-authorization': TOKEN }, body: `<Session ${VCLOUD}/>` });
    vcd.on(`GET ${VAPP}`, { body: vapp('<InMaintenanceMode>true</InMaintenanceMode>') });
    expect(await (await connect()).inMaintenanceMode(vcd.href(VAPP))).toBe(true);
    expect(vcd.requests(`GET ${VAPP}`)[0]?.headers['x-vcloud-authorization']).toBe(TOKEN);
  });

  it('tells a wrong password', async () => {
    const error = await failure(VcdClient.connect(connection({ password: 'not-it' })));
    expect([error.code, error.retryable]).toEqual(['LOGIN_REFUSED', false]);
    expect(error.message).toContain('"administrator" of organization "System"');
  });

  it('sends no request to a server with another certificate', async () => {
    const error = await failure(VcdClient.connect(connection({ trust: { thumbprint: '11'.repeat(32) } })));
    expect(error.code).toBe('CERTIFICATE_UNTRUSTED');
    expect(error.message.replaceAll(':', '').toLowerCase()).toContain(vcd.thumbprint);
    expect(vcd.received).toEqual([]);
  });

  it('does not trust a self-signed certificate without a thumbprint', async () => {
    const error = await failure(VcdClient.connect(connection({ trust: {} })));
    expect(error.code).toBe('CERTIFICATE_UNTRUSTED');
    expect(vcd.received).toEqual([]);
  });

  it.each([
    ['an HTML page', { body: '<!doctype html><html><body>Welcome<br></body></html>' }],
    ['other XML', { body: '<feed xmlns="urn:other"/>' }],
    ['a redirect', { status: 302, headers: { location: '/login' } }],
    ['404', { status: 404 }],
  ])('tells a URL that is not a VCD: %s', async (_, answer) => {
    vcd.on('GET /api/versions', answer);
    expect((await failure(VcdClient.connect(connection()))).code).toBe('NOT_A_VCD');
    expect(vcd.requests('POST')).toEqual([]);
  });

  it('tells a host that is not there, and a URL that cannot be one', async () => {
    expect((await failure(VcdClient.connect(connection({ url: `http://administrator:${PASSWORD}@vcd` })))).code).toBe('BAD_CONNECTION');
    const gone = await ScriptedVcd.start();
    const { url, thumbprint } = gone;
    await gone.stop();
    const error = await failure(VcdClient.connect(connection({ url, trust: { thumbprint } })));
    expect([error.code, error.retryable]).toEqual(['HOST_UNREACHABLE', true]);
  });
});

describe('the session', () => {
  it('logs in once more after a 401, for all requests together, and repeats them', async () => {
    await connect();
    let accepted = TOKEN;
    let logins = 0;
    vcd.on('POST /cloudapi/1.0.0/sessions/provider', () => {
      logins += 1;
      accepted = `${TOKEN}-${logins}`;
      return { headers: { 'x-vmware-vcloud-access-token': accepted } };
    });
    accepted = 'expired';
    vcd.on(`GET ${VAPP}`, ({ headers }) => (headers.authorization === `Bearer ${accepted}` ? { body: vapp() } : { status: 401 }));
    const answers = await Promise.all(Array.from({ length: 6 }, () => client?.inMaintenanceMode(vcd.href(VAPP))));
    expect(answers).toEqual(Array(6).fill(false));
    expect(logins).toBe(1);
  });

  it('keeps password and token out of what a log could show of the client', async () => {
    const seen = inspect(await connect(), { depth: 20, showHidden: true });
    expect(seen).not.toContain(PASSWORD);
    expect(seen).not.toContain(TOKEN);
  });

  it('repeats a POST whose new login lost its answer: the POST itself was never sent', async () => {
    await connect();
    const login = { headers: { 'x-vmware-vcloud-access-token': 'second' } };
    vcd.on('POST /cloudapi/1.0.0/sessions/provider', { drop: true }, login);
    vcd.on(`GET ${VAPP}`, { body: vapp('', 'status="4" deployed="true"') });
    vcd.on(`POST ${VAPP}/action/undeploy`, ({ headers }) =>
      headers.authorization === 'Bearer second' ? { status: 202, body: task('success') } : { status: 401 },
    );
    await client?.undeploy(vcd.href(VAPP), 'shutdown');
    expect(vcd.requests('POST /cloudapi')).toHaveLength(3);
  });

  it('ends after one new login when the new token is refused too', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { status: 401, body: errorXml(401, '401', 'nope') });
    const error = await failure((client as VcdClient).inMaintenanceMode(vcd.href(VAPP)));
    expect([error.code, error.httpStatus]).toEqual(['SESSION_REFUSED', 401]);
    expect(vcd.requests('POST /cloudapi')).toHaveLength(2);
  });

  it('does not log in again for 403, and calls a vApp that is gone by its name', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() }, GONE);
    await client?.inMaintenanceMode(vcd.href(VAPP));
    const error = await failure((client as VcdClient).captureVapp(vcd.href(VAPP)));
    expect([error.code, error.httpStatus, error.requestId?.startsWith('request-')]).toEqual(['VAPP_NOT_FOUND', 403, true]);
    expect(error.message).toContain('vApp "shop"');
    expect(vcd.requests('POST /cloudapi')).toHaveLength(1);
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(2);
  });

  it('never follows an href to another host', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    expect(await client?.inMaintenanceMode(`https://public.example${VAPP}`)).toBe(false);
  });

  it('logs out when closed, and refuses to be used after', async () => {
    await connect();
    await client?.close();
    expect(vcd.requests('DELETE /cloudapi').map((request) => request.path)).toEqual([
      '/cloudapi/1.0.0/sessions/urn%3Avcloud%3Asession%3A1',
    ]);
    expect((await failure((client as VcdClient).inMaintenanceMode(vcd.href(VAPP)))).code).toBe('CLIENT_CLOSED');
  });
});

describe('retries', () => {
  it('waits out a busy entity, also for a POST', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    vcd.on(`POST ${VAPP}/action/enterMaintenanceMode`, BUSY, BUSY, { status: 204 });
    await client?.enterMaintenanceMode(vcd.href(VAPP));
    expect(vcd.requests(`POST ${VAPP}/action`)).toHaveLength(3);
  });

  it('gives up at the deadline, and the error says it may be tried again', async () => {
    await connect({ retryDeadlineMs: 60, retryBaseDelayMs: 10 });
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    vcd.on(`PUT ${VAPP}`, BUSY);
    const error = await failure((client as VcdClient).writeVapp(vcd.href(VAPP), { name: 'new' }));
    expect([error.code, error.minorErrorCode, error.retryable]).toEqual(['BUSY_ENTITY', 'BUSY_ENTITY', true]);
    expect(error.message).toMatch(/vApp "shop" failed: The entity vm is busy/);
  });

  it.each([
    ['before the answer', { drop: true }],
    ['in the middle of it', { cut: true, body: '<VApp' }],
    ['503', { status: 503 }],
  ])('repeats a GET whose connection dropped %s', async (_, answer) => {
    await connect();
    vcd.on(`GET ${VAPP}`, answer, { body: vapp() });
    expect(await client?.inMaintenanceMode(vcd.href(VAPP))).toBe(false);
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(2);
  });

  it('does not repeat what VCD refused for good', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    vcd.on(`PUT ${VAPP}`, { status: 400, body: errorXml(400, 'DUPLICATE_NAME', 'The VCD entity new already exists.') });
    const error = await failure((client as VcdClient).writeVapp(vcd.href(VAPP), { name: 'new' }));
    expect([error.code, error.majorErrorCode, error.retryable]).toEqual(['DUPLICATE_NAME', 400, false]);
    expect(vcd.requests('PUT')).toHaveLength(1);
  });

  it('stops at once when aborted', async () => {
    await connect({ retryBaseDelayMs: 1_000 });
    vcd.on(`GET ${VAPP}`, { status: 503 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await expect(client?.inMaintenanceMode(vcd.href(VAPP), controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('queries', () => {
  it('pages by 128 to the end, each record once', async () => {
    await connect();
    const record = (n: number) =>
      `<AdminVMRecord name="vm ${n}" href="${vcd.url}/api/vApp/vm-${uuid(n)}" moref="vm-${n}" container="${vcd.href(VAPP)}"/>`;
    const page = (from: number, to: number) =>
      `<QueryResultRecords ${VCLOUD} total="300" pageSize="128">${Array.from({ length: to - from }, (_, i) => record(from + i)).join('')}</QueryResultRecords>`;
    const query = '/api/query?type=adminVM&format=records';
    const rest = 'pageSize=128&links=true&sortAsc=name&filter=isVAppTemplate%3D%3Dfalse';
    vcd.on(`GET ${query}&page=1&${rest}`, { body: page(0, 128) });
    // One VM was added meanwhile: the last of the first page comes again.
    vcd.on(`GET ${query}&page=2&${rest}`, { body: page(127, 255) });
    vcd.on(`GET ${query}&page=3&${rest}`, { body: page(255, 300) });
    const names: string[] = [];
    for await (const vm of (client as VcdClient).vms()) names.push(vm.moRef);
    expect(names).toEqual(Array.from({ length: 300 }, (_, n) => `vm-${n}`));
  });

  it('asks for a few pages ahead of its reader, and for no more', async () => {
    const record = `<AdminVMRecord name="vm" href="${vcd.href(VM)}" moref="vm-1" container="${vcd.href(VAPP)}"/>`;
    vcd.on('GET /api/query', { body: `<QueryResultRecords ${VCLOUD} total="10000" pageSize="128">${record}</QueryResultRecords>` });
    const before = (await connect()).requestCount;
    for await (const _vm of (client as VcdClient).vms()) break;
    expect((client as VcdClient).requestCount - before).toBeLessThanOrEqual(5);
  });

  it('encodes a filter once from 35.0 on, twice before', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    await client?.findVapp(vcd.href(VDC), 'shop (old), & co');
    expect(vcd.requests('GET /api/query')[0]?.path).toContain(`filter=${encodeURIComponent('name==shop \\(old\\)\\, & co')}`);
    await client?.close();
    vcd.received.length = 0;
    vcd.on('GET /api/versions', { body: versions(['34.0'], vcd.url) });
    await connect();
    await client?.findVapp(vcd.href(VDC), 'shop & co');
    expect(vcd.requests('GET /api/query')[0]?.path).toContain('&filterEncoded=true&filter=name%3D%3Dshop%2520%2526%2520co');
  });
});

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}
