import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import demoSeed from '../seeds/demo.json' with { type: 'json' };
import { smallSeed } from '../seeds/small-seed.js';
import { createApiToken, revokeApiToken } from './api-tokens.js';
import { startTestCell, type TestCell } from './testing.js';
import { chooseVariants, defaultVariants, parseVariants } from './variants.js';

describe('API tokens and variants', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(structuredClone(demoSeed)));
  });
  afterAll(() => test.close());

  const grant = (door: string, token: string, accept = 'application/*;version=37.0') =>
    test.call('administrator', 'POST', `/oauth/${door}/token`, {
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString(),
      accept,
      headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: '' },
    });
  const session = (accessToken: string) =>
    test.call('administrator', 'GET', '/api/session', { headers: { authorization: `Bearer ${accessToken}` } });

  it('opens sessions with a user token again and again', async () => {
    const { token } = createApiToken(test.cloud, { name: 'laptop', kind: 'user', user: 'administrator', organization: 'System' });
    for (let time = 0; time < 2; time += 1) {
      const answer = await grant('provider', token);
      expect(answer.status).toBe(200);
      const json = JSON.parse(answer.text) as Record<string, unknown>;
      expect(json).toMatchObject({ token_type: 'Bearer', expires_in: 86_400, refresh_token: null });
      const opened = await session(String(json.access_token));
      expect(opened.xml.attribute('user', '')).toBe('administrator');
    }
    expect((await grant('tenant/acme', token)).status).toBe(400);
    expect(revokeApiToken(test.cloud, 'laptop')).toBe(true);
    const refused = await grant('provider', token);
    expect([refused.status, (JSON.parse(refused.text) as { error: string }).error]).toEqual([400, 'invalid_grant']);
  });

  it('gives a service account another token each time and refuses the old one', async () => {
    const { token } = createApiToken(test.cloud, { name: 'backup', kind: 'service-account', user: 'acme-admin', organization: 'acme' });
    const first = JSON.parse((await grant('tenant/acme', token)).text) as { refresh_token: string };
    expect(first.refresh_token).not.toBe(token);
    expect((await grant('tenant/acme', token)).status).toBe(400);
    expect((await grant('tenant/acme', first.refresh_token)).status).toBe(200);
  });

  it('has no tokens before API 36.1 and no other grant', async () => {
    expect((await grant('provider', 'x', 'application/*;version=36.0')).status).toBe(404);
    expect((await grant('provider', 'x', 'application/*;version=5.1')).status).toBe(406);
    // As VMware's own examples ask: without a version.
    expect((await grant('provider', 'x', 'application/json')).status).toBe(400);
    const other = await test.call('administrator', 'POST', '/oauth/provider/token', {
      body: 'grant_type=password',
      accept: 'application/json;version=37.0',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(JSON.parse(other.text)).toMatchObject({ error: 'unsupported_grant_type' });
  });

  it('answers an expired session with 401 or, as older cells, 403', async () => {
    const stale = () => session('gone');
    expect((await stale()).status).toBe(401);
    test.cloud.variants.expiredSession = '403';
    expect((await stale()).status).toBe(403);
    Object.assign(test.cloud.variants, defaultVariants());
  });

  it('writes numbered prefixes, other cases, single links and unknown content, and takes that content back', async () => {
    const read = (path: string) => test.call('administrator', 'GET', path);
    const vapp = test.cloud.state.vapps[0];
    const path = `/api/vApp/vapp-${vapp?.id}`;
    const plain = await read(path);
    chooseVariants(test.cloud.variants, { prefixes: 'numbered', mediaTypeCase: 'upper', links: 'xml', unknownContent: 'added' });
    const varied = await read(path);
    expect(varied.text).toMatch(/^<\?xml[^>]*>\s*<ns2:VApp /);
    expect(varied.xml.attribute('type', '')).toBe('APPLICATION/VND.VMWARE.VCLOUD.VAPP+XML');
    expect(varied.text).not.toMatch(/\+JSON/i);
    expect(plain.text).toMatch(/\+json/);
    const lease = await read(`${path}/leaseSettingsSection/`);
    expect(lease.text).toContain('AddedByALaterVersion');
    const written = await test.call('administrator', 'PUT', `${path}/leaseSettingsSection/`, {
      body: lease.text,
      type: 'application/vnd.vmware.vcloud.leaseSettingsSection',
    });
    expect(written.status).toBe(202);
    Object.assign(test.cloud.variants, defaultVariants());
    expect(await test.finished(written)).toBe('success');
    expect((await read(path)).text).not.toContain('AddedByALaterVersion');
  });

  it('refuses a variant that is none', () => {
    expect(() => parseVariants('links=tripled')).toThrow('The variant links is one of doubled, xml.');
    expect(() => parseVariants('colour=blue')).toThrow('There is no variant "colour"');
    expect(parseVariants('links=xml,importOwner=importer')).toEqual({ links: 'xml', importOwner: 'importer' });
  });

  it('says when to come back and cuts a connection after the work', async () => {
    test.faults.add({ method: 'GET', path: '^/api/org', status: 429, minorErrorCode: 'TOO_MANY_REQUESTS', retryAfterSeconds: 7 });
    const limited = await test.call('administrator', 'GET', '/api/org');
    expect([limited.status, limited.headers['retry-after']]).toEqual([429, '7']);
    const vapp = test.cloud.state.vapps[0];
    test.faults.add({ method: 'POST', path: 'enterMaintenanceMode$', effect: 'drop-after' });
    await expect(test.call('administrator', 'POST', `/api/vApp/vapp-${vapp?.id}/action/enterMaintenanceMode`)).rejects.toThrow();
    expect(vapp?.inMaintenanceMode).toBe(true);
    await test.call('administrator', 'POST', `/api/vApp/vapp-${vapp?.id}/action/exitMaintenanceMode`);
    expect(vapp?.inMaintenanceMode).toBe(false);
  });
});
