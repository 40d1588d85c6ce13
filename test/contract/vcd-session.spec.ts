import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RotatingToken, VcdClient, type VcdConnection, type VcdEndpoint, VcdError, type VcdLogin } from '../../src/vcd/index.js';
import { type Answer, errorXml, PASSWORD, ScriptedVcd, TOKEN, versions } from './scripted-vcd.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const VAPP = '/api/vApp/vapp-00000000-0000-4000-8000-0000000000a1';
const TASK = '/api/task/00000000-0000-4000-8000-0000000000e1';
const LOGIN = 'POST /cloudapi/1.0.0/sessions/provider';
const API_TOKEN = 'the-api-token-SECRET';

let vcd: ScriptedVcd;
let client: VcdClient | undefined;

beforeEach(async () => {
  vcd = await ScriptedVcd.start();
  client = undefined;
  vcd.on(`GET ${VAPP}`, { body: vapp() });
});
afterEach(async () => {
  await client?.close();
  await vcd.stop();
});

function connection(
  login: VcdLogin = { userName: 'administrator', password: PASSWORD },
  changes: Partial<VcdEndpoint> = {},
): VcdConnection {
  const endpoint: VcdEndpoint = {
    url: vcd.url,
    organization: 'System',
    trust: { thumbprint: vcd.thumbprint },
    requestTimeoutMs: 5_000,
    taskPollMs: 5,
    retryBaseDelayMs: 1,
    retryDeadlineMs: 5_000,
    ...changes,
  };
  return { ...endpoint, ...login };
}

async function connect(login?: VcdLogin, changes?: Partial<VcdEndpoint>): Promise<VcdClient> {
  client = await VcdClient.connect(connection(login, changes));
  return client;
}

const read = (of: VcdClient) => of.inMaintenanceMode(vcd.href(VAPP));

async function failure(work: Promise<unknown>): Promise<VcdError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VcdError);
  const seen = inspect(error, { depth: 10, showHidden: true });
  for (const secret of [PASSWORD, API_TOKEN, TOKEN]) expect(seen).not.toContain(secret);
  return error as VcdError;
}

function vapp(attributes = 'status="8" deployed="false"'): string {
  return `<VApp ${VCLOUD} name="shop" href="${vcd.href(VAPP)}" ${attributes}/>`;
}

function task(status: string, inner = ''): string {
  return `<Task ${VCLOUD} name="task" status="${status}" operationName="vappUpdate" href="${vcd.href(TASK)}">${inner}</Task>`;
}

function grant(accessToken: string, more: object = {}): Answer {
  return {
    body: JSON.stringify({ access_token: accessToken, token_type: 'Bearer', ...more }),
    headers: { 'content-type': 'application/json' },
  };
}

/** Keeps its token in memory, and what happened in order. */
class KeptToken implements RotatingToken {
  readonly events: string[] = [];
  fails = false;
  constructor(public token: string) {}
  async rotate<T>(exchange: (token: string) => Promise<{ nextToken: string | undefined; value: T }>): Promise<T> {
    const { nextToken, value } = await exchange(this.token);
    if (this.fails) throw new VcdError('The new token could not be stored.', { code: 'TOKEN_NOT_STORED' });
    this.events.push(`stored ${nextToken}`);
    this.token = nextToken ?? this.token;
    return value;
  }
}

describe('API tokens', () => {
  it.each([
    ['System', '/oauth/provider/token'],
    ['acme & co', '/oauth/tenant/acme%20%26%20co/token'],
  ])('are exchanged at the door of organization %s', async (organization, path) => {
    vcd.on(`POST ${path}`, grant('access-1', { expires_in: 3600, refresh_token: API_TOKEN }));
    await read(await connect({ kind: 'api-token', apiToken: API_TOKEN }, { organization }));
    const [exchange] = vcd.requests('POST /oauth');
    expect(exchange?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/*;version=37.2',
    });
    expect(Object.fromEntries(new URLSearchParams(exchange?.body))).toEqual({ grant_type: 'refresh_token', refresh_token: API_TOKEN });
    expect(exchange?.headers.authorization).toBeUndefined();
    expect(vcd.requests(`GET ${VAPP}`)[0]?.headers.authorization).toBe('Bearer access-1');
  });

  it('are exchanged anew when their access token has had its time, by one request for all', async () => {
    let exchanges = 0;
    vcd.on('POST /oauth/provider/token', () => grant(`access-${++exchanges}`, { expires_in: exchanges === 1 ? 0.02 : 3600 }));
    await connect({ kind: 'api-token', apiToken: API_TOKEN });
    await new Promise((resolve) => setTimeout(resolve, 40));
    await Promise.all(Array.from({ length: 5 }, () => read(client as VcdClient)));
    expect(exchanges).toBe(2);
    expect(new Set(vcd.requests(`GET ${VAPP}`).map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer access-2']));
  });

  it('need a VCD that knows them, and are not sent to another', async () => {
    vcd.on('GET /api/versions', { body: versions(['35.2', '36.0'], vcd.url) });
    const error = await failure(VcdClient.connect(connection({ kind: 'api-token', apiToken: API_TOKEN })));
    expect([error.code, error.message]).toEqual(['VERSION_UNSUPPORTED', expect.stringMatching(/36\.1 \(VCD 10\.3\.1\).*36\.0.*user name/)]);
    expect(vcd.requests('POST')).toEqual([]);
  });

  it.each([400, 401, 403])('that are refused (%i) say what to do', async (status) => {
    vcd.on('POST /oauth/provider/token', { status, body: `{"error":"invalid_grant","error_description":"no ${API_TOKEN}"}` });
    const error = await failure(VcdClient.connect(connection({ kind: 'api-token', apiToken: API_TOKEN })));
    expect([error.code, error.retryable]).toEqual(['LOGIN_REFUSED', false]);
    expect(error.message).toMatch(/refused the API token of organization "System" \(invalid_grant\); it was revoked.*make a new one/);
    expect(vcd.requests('POST')).toHaveLength(1);
  });
});

describe("a service account's token", () => {
  it('is used once, and the access token only after the next one is stored', async () => {
    const token = new KeptToken('token-1');
    let exchanges = 0;
    vcd.on('POST /oauth/provider/token', ({ body }) => {
      token.events.push(`exchanged ${new URLSearchParams(body).get('refresh_token')}`);
      exchanges += 1;
      return grant(`access-${exchanges}`, { refresh_token: `token-${exchanges + 1}` });
    });
    vcd.on(`GET ${VAPP}`, ({ headers }) => {
      token.events.push(`used ${headers.authorization}`);
      return headers.authorization === 'Bearer access-2' ? { body: vapp() } : { status: 401 };
    });
    await read(await connect({ kind: 'service-account', token }));
    expect(token.events).toEqual([
      'exchanged token-1',
      'stored token-2',
      'used Bearer access-1',
      'exchanged token-2',
      'stored token-3',
      'used Bearer access-2',
    ]);
  });

  it('that could not be stored gives no session', async () => {
    const token = new KeptToken('token-1');
    token.fails = true;
    vcd.on('POST /oauth/provider/token', grant('access-1', { refresh_token: 'token-2' }));
    expect((await failure(VcdClient.connect(connection({ kind: 'service-account', token })))).code).toBe('TOKEN_NOT_STORED');
    expect(vcd.requests('GET /api/').map(({ path }) => path)).toEqual(['/api/versions']);
  });

  it('that was used already is named so', async () => {
    vcd.on('POST /oauth/provider/token', { status: 400, body: '{"error":"invalid_grant"}' });
    const error = await failure(VcdClient.connect(connection({ kind: 'service-account', token: new KeptToken('spent') })));
    expect(error.code).toBe('TOKEN_USED');
    expect(error.message).toMatch(
      /each token is good for one use.*make a new token for the service account and enter it for this cloud\.$/,
    );
  });
});

describe('an ended session', () => {
  it.each([
    ['401', { status: 401 }],
    ['403 with a code', { status: 403, body: errorXml(403, 'SESSION_EXPIRED', 'Log in again') }],
    ['403 with a sentence', { status: 403, body: errorXml(403, 'FORBIDDEN', 'The session has expired.') }],
  ])('that answers %s is renewed once for all requests', async (_, ended) => {
    await connect();
    let logins = 0;
    vcd.on(LOGIN, () => ({ headers: { 'x-vmware-vcloud-access-token': `new-${++logins}` } }));
    vcd.on(`GET ${VAPP}`, ({ headers }) => (headers.authorization === 'Bearer new-1' ? { body: vapp() } : ended));
    await Promise.all(Array.from({ length: 6 }, () => read(client as VcdClient)));
    expect(logins).toBe(1);
  });

  it('that stays ended after a new login is an error, not a loop', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { status: 403, body: errorXml(403, 'SESSION_EXPIRED', 'Log in again') });
    expect((await failure(read(client as VcdClient))).httpStatus).toBe(403);
    expect([vcd.requests(LOGIN).length, vcd.requests(`GET ${VAPP}`).length]).toEqual([2, 2]);
  });

  it('is not what a refused entity means, whatever it is called', async () => {
    await connect();
    const refused = errorXml(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'No access to entity &quot;the session token expired&quot;');
    vcd.on(`GET ${VAPP}`, { status: 403, body: refused });
    expect((await failure(read(client as VcdClient))).code).toBe('VAPP_NOT_FOUND');
    expect([vcd.requests(LOGIN).length, vcd.requests(`GET ${VAPP}`).length]).toEqual([1, 1]);
  });

  it('is opened again with the login of today', async () => {
    let login: VcdLogin = { userName: 'administrator', password: PASSWORD };
    await connect(login, { currentLogin: async () => login });
    login = { kind: 'api-token', apiToken: API_TOKEN };
    vcd.on('POST /oauth/provider/token', grant('access-1'));
    vcd.on(`GET ${VAPP}`, ({ headers }) => (headers.authorization === 'Bearer access-1' ? { body: vapp() } : { status: 401 }));
    expect(await read(client as VcdClient)).toBe(false);
  });
});

describe('versions', () => {
  const supported = (entries: string) =>
    `<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions">${entries}<AlphaVersion><Version>39.1.0-alpha</Version></AlphaVersion></SupportedVersions>`;
  const info = (version: string, login: string, more = '') =>
    `<VersionInfo deprecated="false"><Version>${version}</Version>${login && `<LoginUrl>${vcd.url}${login}</LoginUrl>`}${more}</VersionInfo>`;

  it.each([
    ['33.0', '/api/sessions', 'POST /api/sessions'],
    ['35.2', '/cloudapi/1.0.0/sessions', 'POST /cloudapi/1.0.0/sessions/provider'],
    ['38.1', '', 'POST /cloudapi/1.0.0/sessions/provider'],
    ['39.0', '/cloudapi/1.0.0/sessions/', 'POST /cloudapi/1.0.0/sessions/provider'],
  ])('%s with login address "%s": the provider goes to %s', async (version, login, door) => {
    vcd.on('GET /api/versions', { body: supported(info('32.0', '/api/sessions') + info(version, login) + info('40.0', '/elsewhere')) });
    vcd.on(door, { headers: { 'x-vmware-vcloud-access-token': TOKEN } });
    expect((await connect()).apiVersion).toBe(version);
    expect(vcd.requests(door)).toHaveLength(1);
  });

  it('are agreed on anew when VCD was upgraded under us', async () => {
    await connect();
    vcd.on('GET /api/versions', { body: versions(['38.0', '39.0'], vcd.url) });
    vcd.on(`GET ${VAPP}`, ({ headers }) =>
      headers.accept?.includes('version=39.0')
        ? { body: vapp() }
        : { status: 406, body: errorXml(406, 'NOT_ACCEPTABLE', 'invalid accept header') },
    );
    await Promise.all([read(client as VcdClient), read(client as VcdClient)]);
    expect((client as VcdClient).apiVersion).toBe('39.0');
    expect(vcd.requests('GET /api/versions')).toHaveLength(2);
  });

  it('that are refused although offered are an error, not a loop', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { status: 406, body: errorXml(406, 'NOT_ACCEPTABLE', 'The request has invalid accept header.') });
    expect((await failure(read(client as VcdClient))).code).toBe('VERSION_UNSUPPORTED');
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(1);
  });
});

describe('patience', () => {
  it('waits as long as VCD asks', async () => {
    await connect();
    const times: number[] = [];
    vcd.on(
      `GET ${VAPP}`,
      () => ({ status: times.push(performance.now()) && 429, headers: { 'retry-after': '1' } }),
      () => ({ body: vapp(times.push(performance.now()) ? undefined : '') }),
    );
    await read(client as VcdClient);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(995);
  });

  it('does not begin a wait that ends after the deadline', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { status: 503, headers: { 'retry-after': '3600' } });
    const error = await failure(read(client as VcdClient));
    expect([error.code, error.retryable]).toEqual(['OVERLOADED', true]);
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(1);
  });

  it('outlasts a cell that is just starting, at the very first request and at the login', async () => {
    vcd.on('GET /api/versions', { status: 503 }, { drop: true }, { body: versions(['37.2'], vcd.url) });
    vcd.on(LOGIN, { status: 503 }, { headers: { 'x-vmware-vcloud-access-token': TOKEN } });
    expect((await connect()).apiVersion).toBe('37.2');
  });

  it('begins an edit anew whose task failed because the entity was busy, and no other', async () => {
    await connect();
    const failed = (minor: string) => ({
      status: 202,
      body: task('error', `<Error majorErrorCode="400" minorErrorCode="${minor}" message="no"/>`),
    });
    vcd.on(`PUT ${VAPP}`, failed('BUSY_ENTITY'), { status: 202, body: task('success') });
    await client?.writeVapp(vcd.href(VAPP), { name: 'new' });
    expect(vcd.requests(`PUT ${VAPP}`)).toHaveLength(2);
    vcd.on(`PUT ${VAPP}`, failed('INVALID_REFERENCE'));
    const error = await failure((client as VcdClient).writeVapp(vcd.href(VAPP), { name: 'newer' }));
    expect([error.code, error.minorErrorCode]).toEqual(['TASK_FAILED', 'INVALID_REFERENCE']);
    expect(vcd.requests(`PUT ${VAPP}`)).toHaveLength(3);
  });

  it('never sends a POST again that may have been carried out', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp('status="8" deployed="false"') });
    vcd.on(`POST ${VAPP}/power/action/powerOn`, { drop: true });
    expect((await failure((client as VcdClient).powerOn(vcd.href(VAPP)))).answerLost).toBe(true);
    expect(vcd.requests(`POST ${VAPP}/power`)).toHaveLength(1);
  });
});
