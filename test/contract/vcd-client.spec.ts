import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VcdClient, type VcdConnection, type VcdEndpoint, VcdError } from '../../src/vcd/index.js';
import { errorXml, PASSWORD, ScriptedVcd, TOKEN, versions } from './scripted-vcd.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const VAPP = '/api/vApp/vapp-00000000-0000-4000-8000-0000000000a1';
const VM = '/api/vApp/vm-00000000-0000-4000-8000-0000000000b1';
const VDC = '/api/vdc/00000000-0000-4000-8000-0000000000c1';
const VIM = '/api/admin/extension/vimServer/00000000-0000-4000-8000-0000000000d1';
const TASK = '/api/task/00000000-0000-4000-8000-0000000000e1';
const BUSY = { status: 400, body: errorXml(400, 'BUSY_ENTITY', 'The entity vm is busy completing an operation VAPP_UPDATE_VM.') };
const GONE = { status: 403, body: errorXml(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'No access to entity') };

let vcd: ScriptedVcd;
let client: VcdClient | undefined;

beforeEach(async () => {
  vcd = await ScriptedVcd.start();
  client = undefined;
});
afterEach(async () => {
  await client?.close();
  await vcd.stop();
});

function connection(changes: Partial<VcdEndpoint & { password: string }> = {}): VcdConnection {
  return {
    url: vcd.url,
    userName: 'administrator',
    password: PASSWORD,
    organization: 'System',
    trust: { thumbprint: vcd.thumbprint },
    requestTimeoutMs: 2_000,
    taskPollMs: 5,
    retryBaseDelayMs: 1,
    retryDeadlineMs: 2_000,
    ...changes,
  };
}

async function connect(changes: Partial<VcdEndpoint> = {}): Promise<VcdClient> {
  client = await VcdClient.connect(connection(changes));
  return client;
}

async function failure(work: Promise<unknown>): Promise<VcdError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VcdError);
  const seen = inspect(error, { depth: 10, showHidden: true });
  expect(seen).not.toContain(PASSWORD);
  expect(seen).not.toContain(Buffer.from(`administrator@System:${PASSWORD}`).toString('base64'));
  expect(seen).not.toContain(TOKEN);
  expect(seen).not.toContain('com.vmware.Secret');
  return error as VcdError;
}

function vapp(inner = '', attributes = 'status="8" deployed="false"'): string {
  return `<VApp ${VCLOUD} name="shop" href="${vcd.href(VAPP)}" ${attributes}>${inner}</VApp>`;
}

function vm(moRef: string, status = 8): string {
  return (
    `<Vm name="web" status="${status}" deployed="false" href="${vcd.href(VM)}"><VCloudExtension required="false"><x:VmVimInfo xmlns:x="http://www.vmware.com/vcloud/extension/v1.5">` +
    `<x:VmVimObjectRef><x:VimServerRef href="${vcd.href(VIM)}"/><x:MoRef>${moRef}</x:MoRef><x:VimObjectType>VIRTUAL_MACHINE</x:VimObjectType></x:VmVimObjectRef></x:VmVimInfo></VCloudExtension></Vm>`
  );
}

function task(status: string, inner = ''): string {
  return `<Task ${VCLOUD} name="task" status="${status}" operationName="importSingletonVapp" href="${vcd.href(TASK)}">${inner}</Task>`;
}

function vappRecords(...names: string[]): string {
  const records = names.map((name) => `<AdminVAppRecord name="${name}" href="${vcd.href(VAPP)}" vdc="${vcd.href(VDC)}" numberOfVMs="1"/>`);
  return `<QueryResultRecords ${VCLOUD} total="${names.length}" page="1" pageSize="128">${records.join('')}</QueryResultRecords>`;
}

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
    const { url, thumbprint } = vcd;
    await vcd.stop();
    vcd = await ScriptedVcd.start();
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

describe('imports', () => {
  const params = () => ({
    vimServerHref: vcd.href(VIM),
    vmMoRef: 'vm-77',
    vdcHref: vcd.href(VDC),
    vappName: 'shop',
    vappDescription: 'a <shop>',
    vmName: 'web',
  });
  const POST_IMPORT = `POST ${VIM}/importVmAsVApp`;

  it('waits for the embedded task and finds the VM by its moRef', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, {
      status: 201,
      headers: { location: vcd.href(VAPP) },
      body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"'),
    });
    vcd.on(`GET ${TASK}`, { body: task('running') }, { body: task('success') });
    vcd.on(
      `GET ${VAPP}`,
      { body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') },
      { body: vapp(`<Children>${vm('vm-77')}</Children>`) },
    );
    expect(await client?.importVmAsVapp(params())).toEqual({ vappHref: vcd.href(VAPP), vmHref: vcd.href(VM) });
    expect(vcd.requests(POST_IMPORT)[0]?.headers['content-type']).toBe('application/vnd.vmware.admin.importVmAsVAppParams+xml');
  });

  it('deletes the half-made vApp of a failed task and tells what VCD said', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, { status: 201, body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') });
    const failed = task('error', '<Error majorErrorCode="500" minorErrorCode="VC_ERROR" message="The datastore\nis full"/>');
    vcd.on(`GET ${TASK}`, { body: failed });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') }, { body: vapp('', 'status="-1"') });
    vcd.on(`DELETE ${VAPP}`, { status: 202, body: task('success') });
    const error = await failure((client as VcdClient).importVmAsVapp(params()));
    expect([error.code, error.minorErrorCode]).toEqual(['TASK_FAILED', 'VC_ERROR']);
    expect(error.message).toBe('Importing VM vm-77 as vApp "shop" failed: The datastore is full.');
    expect(vcd.requests(`DELETE ${VAPP}`)).toHaveLength(1);
  });

  it('looks whether a lost import happened instead of importing twice', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() }, { body: vappRecords() }, { body: vappRecords('shop') });
    vcd.on(POST_IMPORT, { drop: true });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${vm('vm-77')}</Children>`) });
    expect((await client?.importVmAsVapp(params()))?.vmHref).toBe(vcd.href(VM));
    expect(vcd.requests(POST_IMPORT)).toHaveLength(1);
  });

  it('repeats it when it did not', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, { drop: true }, { status: 201, body: vapp() });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${vm('vm-77')}</Children>`) });
    await client?.importVmAsVapp(params());
    expect(vcd.requests(POST_IMPORT)).toHaveLength(2);
  });

  it('refuses a name that is taken before anything is sent', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords('shop') });
    expect((await failure((client as VcdClient).importVmAsVapp(params()))).code).toBe('DUPLICATE_NAME');
    expect(vcd.requests('POST /api')).toEqual([]);
  });

  it('is not sent again when it is the task that cannot be looked at, and has VCD stop that task', async () => {
    await connect({ retryDeadlineMs: 40, retryBaseDelayMs: 10 });
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    vcd.on(`POST ${VIM}/importVmIntoExistingVApp`, { status: 202, body: task('running') });
    vcd.on(`GET ${TASK}`, { drop: true });
    vcd.on(`POST ${TASK}/action/cancel`, { status: 204 });
    const error = await failure(
      (client as VcdClient).importVmIntoExistingVapp({
        vimServerHref: vcd.href(VIM),
        vmMoRef: 'vm-77',
        vappHref: vcd.href(VAPP),
        vmName: 'web',
      }),
    );
    expect(error.code).toBe('CONNECTION_LOST');
    expect(vcd.requests(`POST ${VIM}/importVmIntoExistingVApp`)).toHaveLength(1);
    expect(vcd.requests(`POST ${TASK}/action/cancel`)).toHaveLength(1);
  });

  it('removes the VM that a failed import into a vApp left behind, and no other', async () => {
    await connect();
    const other = vm('vm-1').replaceAll('0000000000b1', '0000000000b9');
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${other}</Children>`) }, { body: vapp(`<Children>${other}${vm('', 0)}</Children>`) });
    vcd.on(`POST ${VIM}/importVmIntoExistingVApp`, { status: 202, body: task('aborted') });
    vcd.on(`DELETE ${VM}`, { status: 202, body: task('success') });
    const error = await failure(
      (client as VcdClient).importVmIntoExistingVapp({
        vimServerHref: vcd.href(VIM),
        vmMoRef: 'vm-77',
        vappHref: vcd.href(VAPP),
        vmName: 'web',
      }),
    );
    expect(error.code).toBe('TASK_ABORTED');
    expect(vcd.requests('DELETE').map((request) => request.path)).toEqual([VM]);
  });
});

describe('transfers', () => {
  const MEDIUM = '/api/media/00000000-0000-4000-8000-000000000091';
  const medium = (link: string) =>
    `<Media ${VCLOUD} name="disc" imageType="iso" size="5" status="1" href="${vcd.href(MEDIUM)}"><Files><File name="file" size="5">${link}</File></Files></Media>`;

  it('fetch bytes from the registered host, whatever host the link names', async () => {
    await connect();
    vcd.on(`GET ${MEDIUM}`, { body: medium('<Link rel="download:default" href="https://public.example/transfer/7/file"/>') });
    vcd.on('GET /transfer/7/file', { body: 'bytes' });
    const { sizeBytes, body } = await (client as VcdClient).downloadMedia(vcd.href(MEDIUM));
    const read: string[] = [];
    for await (const bytes of body) read.push(bytes.toString());
    expect([sizeBytes, read.join('')]).toEqual([5, 'bytes']);
    expect(vcd.requests('GET /transfer').map(({ headers }) => headers.authorization)).toEqual([`Bearer ${TOKEN}`]);
  });

  it('tell a file that is not the one that was announced, and one that VCD no longer has', async () => {
    await connect();
    vcd.on(`GET ${MEDIUM}`, { body: medium('<Link rel="download:default" href="/transfer/7/file"/>') });
    vcd.on('GET /transfer/7/file', { body: 'more bytes' });
    const read = async () => {
      for await (const _ of (await (client as VcdClient).downloadMedia(vcd.href(MEDIUM))).body);
    };
    expect((await failure(read())).code).toBe('BAD_ANSWER');
    vcd.on('GET /transfer/7/file', { status: 404, body: errorXml(404, 'NOT_FOUND', 'The transfer has expired') });
    const error = await failure(read());
    expect([error.code, error.message]).toEqual(['NOT_FOUND', 'Downloading medium "disc" failed: The transfer has expired.']);
  });
});

describe('maintenance mode and deletion', () => {
  it('waits for tasks of the vApp and of each VM', async () => {
    await connect();
    const busyVm = `<Children><Vm name="web" href="${vcd.href(VM)}"><Tasks>${task('queued')}</Tasks></Vm></Children>`;
    vcd.on(
      `GET ${VAPP}`,
      { body: vapp(`<Tasks>${task('running')}</Tasks>`) },
      { body: vapp(busyVm) },
      { body: vapp(`<Tasks>${task('error')}</Tasks>`) },
    );
    await client?.waitForRunningTasks(vcd.href(VAPP), 1_000);
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(3);
    vcd.on(`GET ${VAPP}`, { body: vapp(busyVm) });
    const error = await failure((client as VcdClient).waitForRunningTasks(vcd.href(VAPP), 30));
    expect([error.code, error.subject]).toEqual(['TASK_TIMEOUT', 'vApp "shop"']);
  });

  it('takes a lost answer for done when the state says so', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() }, { body: vapp('<InMaintenanceMode>true</InMaintenanceMode>') });
    vcd.on(`POST ${VAPP}/action/enterMaintenanceMode`, { status: 400, body: errorXml(400, 'BAD_REQUEST', 'already') });
    await client?.enterMaintenanceMode(vcd.href(VAPP));
    await client?.enterMaintenanceMode(vcd.href(VAPP));
    expect(vcd.requests('POST /api')).toHaveLength(1);
  });

  it('stops a running vApp, deletes it, and takes absence for success', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp('', 'status="4" deployed="true"') });
    vcd.on(`POST ${VAPP}/action/undeploy`, { status: 202, body: task('success') });
    vcd.on(`DELETE ${VAPP}`, { status: 202, body: task('success') });
    await client?.deleteVapp(vcd.href(VAPP));
    expect(vcd.requests(`POST ${VAPP}`)[0]?.body).toContain('<vcloud:UndeployPowerAction>powerOff</vcloud:UndeployPowerAction>');
    vcd.on(`GET ${VAPP}`, GONE);
    await client?.deleteVapp(vcd.href(VAPP));
    await client?.exitMaintenanceMode(vcd.href(VAPP));
    expect((await failure((client as VcdClient).enterMaintenanceMode(vcd.href(VAPP)))).code).toBe('VAPP_NOT_FOUND');
    expect(vcd.requests('DELETE /api')).toHaveLength(1);
  });
});

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}
