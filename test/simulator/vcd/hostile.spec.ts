import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import { type CallOptions, type CallResult, startTestCell, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const NS =
  'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
const X = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:x="http://www.vmware.com/vcloud/extension/v1.5"';
const lease = (content: string, attributes = NS): string => `<LeaseSettingsSection ${attributes}>${content}</LeaseSettingsSection>`;
const INFO = '<ovf:Info>i</ovf:Info>';

/** What a wrong or hostile client sends is refused with an Error document, and the cell goes on. */
describe('hostile input', () => {
  let test: TestCell;
  let quiet: typeof process.stderr.write;
  const complaints: string[] = [];
  const id = (name: string): string => test.cloud.state.vapps.find((vapp) => vapp.name === name)?.id ?? '';
  const path = (name: string): string => `/api/vApp/vapp-${id(name)}`;
  const code = (result: CallResult): string => `${result.status} ${result.xml.local} ${result.xml.attribute('minorErrorCode', '')}`;
  const importPath = (): string => `/api/admin/extension/vimServer/${test.cloud.state.vimServer.id}/importVmAsVApp`;

  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))));
    quiet = process.stderr.write;
    process.stderr.write = ((text: string) => complaints.push(String(text)) > 0) as typeof process.stderr.write;
  });
  afterAll(async () => {
    process.stderr.write = quiet;
    await test.close();
  });

  const BAD = '400 Error BAD_REQUEST';
  const DENIED = '403 Error ACCESS_TO_RESOURCE_IS_FORBIDDEN';
  const put = (body: string): [string, string, CallOptions] => ['PUT', '/leaseSettingsSection', { body, type: MEDIA.leaseSettings }];

  it.each([
    ['a wrong namespace', put('<LeaseSettingsSection xmlns="urn:other"/>')],
    ['no namespace', put('<LeaseSettingsSection/>')],
    ['another element', put(`<Vm ${NS} name="x"/>`)],
    [
      'a wrong order',
      put(lease(`${INFO}<StorageLeaseInSeconds>0</StorageLeaseInSeconds><DeploymentLeaseInSeconds>0</DeploymentLeaseInSeconds>`)),
    ],
    ['an unknown element', put(lease(`${INFO}<Colour>red</Colour>`))],
    ['a missing element', put(lease('<DeploymentLeaseInSeconds>0</DeploymentLeaseInSeconds>'))],
    ['no number', put(lease(`${INFO}<DeploymentLeaseInSeconds>soon</DeploymentLeaseInSeconds>`))],
    ['a negative number', put(lease(`${INFO}<DeploymentLeaseInSeconds>-1</DeploymentLeaseInSeconds>`))],
    ['a number beyond 32 bits', put(lease(`${INFO}<DeploymentLeaseInSeconds>99999999999999</DeploymentLeaseInSeconds>`))],
    ['a document type', put(`<!DOCTYPE a [<!ENTITY x "y">]>${lease(INFO)}`)],
    [
      'a document type after a long comment',
      put(
        `<!--${'x'.repeat(5000)}--><!DOCTYPE a [<!ENTITY x "1">]>${lease(`${INFO}<DeploymentLeaseInSeconds>&x;</DeploymentLeaseInSeconds>`)}`,
      ),
    ],
    ['no XML', put('{"lease": 1}')],
    ['nothing', put('')],
    ['an element never closed', put('<LeaseSettingsSection>')],
    ['elements a thousand deep', put(`${'<a>'.repeat(1000)}${'</a>'.repeat(1000)}`)],
    [
      'an unknown word',
      [
        'POST',
        '/action/undeploy',
        { body: `<UndeployVAppParams ${NS}><UndeployPowerAction>explode</UndeployPowerAction></UndeployVAppParams>`, type: MEDIA.undeploy },
      ],
    ],
    ['a name of 200 characters', ['PUT', '', { body: `<VApp ${NS} name="${'n'.repeat(200)}"/>`, type: MEDIA.vapp }]],
    ['a reference to nothing', ['PUT', '/owner', { body: `<Owner ${NS}><User href="nowhere"/></Owner>`, type: MEDIA.owner }]],
    [
      'a metadata type nobody has',
      [
        'POST',
        '/metadata',
        {
          body: `<Metadata ${NS}><MetadataEntry><Key>k</Key><TypedValue xsi:type="Nonsense"><Value>1</Value></TypedValue></MetadataEntry></Metadata>`,
          type: MEDIA.metadata,
        },
      ],
    ],
  ] as [string, [string, string, CallOptions]][])('refuses %s with 400', async (_, [method, below, options]) => {
    expect(code(await test.call('administrator', method, `${path('intranet')}${below}`, options))).toBe(BAD);
  });

  it('refuses a body of more than 10 MiB with 400 and goes on', async () => {
    const body = lease(`${INFO}<!--${'x'.repeat(11 * 1024 * 1024)}-->`);
    const [method, below, options] = put(body);
    expect(code(await test.call('administrator', method, `${path('intranet')}${below}`, options))).toBe(BAD);
    expect((await test.call('administrator', 'GET', path('intranet'))).status).toBe(200);
  });

  it.each([
    ['(', 'filter=(name==a'],
    ['many (', `filter=${'('.repeat(3000)}name==a`],
    ['no operator', 'filter=name'],
    ['an unknown operator', 'filter=name=like=a'],
    ['a lone backslash', 'filter=name==a%5C'],
    ['a field nobody has', 'filter=constructor==1'],
    ['page 0', 'page=0'],
    ['page -1', 'page=-1'],
    ['page 1.5', 'page=1.5'],
    ['page 1e999', 'page=1e999'],
    ['a page beyond the last', 'page=1000'],
    ['page size 0', 'pageSize=0'],
    ['an unknown format', 'format=__proto__'],
    ['an unknown sort', 'sortAsc=toString'],
  ])('refuses a query with %s with 400', async (_, query) => {
    expect(code(await test.call('administrator', 'GET', `/api/query?type=adminVApp&${query}`))).toBe(BAD);
  });

  it.each(['toString', '__proto__', 'constructor', 'adminvapp', ''])('knows no query type "%s"', async (type) => {
    expect(code(await test.call('administrator', 'GET', `/api/query?type=${type}`))).toBe(BAD);
  });

  it.each([
    ['/api/vApp/vapp-%', '400 Error BAD_REQUEST'],
    ['/api/vApp/vapp-%00', DENIED],
    ['/api/vApp/vapp-../../org', '404 Error NOT_FOUND'],
    ['/api/nothing', '404 Error NOT_FOUND'],
    ['//evil.example/api/org', '404 Error NOT_FOUND'],
    ['/api/org/__proto__', DENIED],
  ])('answers GET %s with %s', async (target, expected) => {
    expect(code(await test.call('administrator', 'GET', target))).toBe(expected);
  });

  it('refuses methods and media types it does not take', async () => {
    const call = (method: string, below: string, options: CallOptions) =>
      test.call('administrator', method, `${path('intranet')}${below}`, options);
    expect(code(await call('PATCH', '', {}))).toBe('405 Error METHOD_NOT_ALLOWED');
    expect(code(await call('PUT', '/leaseSettingsSection', { body: lease(INFO), headers: { 'content-type': 'text/plain' } }))).toBe(
      '415 Error UNSUPPORTED_MEDIA_TYPE',
    );
    expect(code(await call('PUT', '/leaseSettingsSection', { body: lease(INFO), type: MEDIA.vm }))).toBe(
      '415 Error UNSUPPORTED_MEDIA_TYPE',
    );
    expect(code(await call('GET', '', { accept: 'text/html' }))).toBe('406 Error NOT_ACCEPTABLE');
    expect(code(await call('GET', '', { headers: { authorization: 'Bearer wrong' } }))).toBe('401 Error UNAUTHORIZED');
  });

  it('keeps a tenant in its organization, whatever it asks', async () => {
    const { state } = test.cloud;
    const globex = state.organizations.find((organization) => organization.name === 'globex')?.id;
    const vdc = state.vdcs.find((candidate) => candidate.organizationId === globex)?.id;
    const user = state.users.find((candidate) => candidate.organizationId === globex)?.id;
    const vm = test.cloud.vmsOf(state.vapps.find((vapp) => vapp.name === 'erp') as never)[0]?.id;
    const network = state.orgNetworks.find((candidate) => candidate.vdcId === vdc)?.id;
    const targets = [
      ['GET', `/api/org/${globex}`],
      ['GET', `/api/admin/org/${globex}`],
      ['GET', `/api/vdc/${vdc}`],
      ['GET', `/api/admin/vdc/${vdc}`],
      ['GET', `/api/admin/user/${user}`],
      ['GET', `/api/network/${network}`],
      ['GET', path('erp')],
      ['GET', `${path('erp')}/metadata`],
      ['DELETE', path('erp')],
      ['POST', `${path('erp')}/power/action/powerOn`],
      ['POST', `${path('erp')}/action/enterMaintenanceMode`],
      ['GET', `/api/vApp/vm-${vm}`],
      ['POST', importPath()],
      ['GET', '/api/admin/extension'],
      ['GET', '/api/query?type=virtualCenter'],
    ] as const;
    for (const [method, target] of targets) expect([target, code(await test.call('acme-admin', method, target))]).toEqual([target, DENIED]);
    const names = (await test.call('acme-admin', 'GET', '/api/query?type=vApp')).xml.childrenNamed('VAppRecord');
    expect(names.map((record) => record.attribute('name', ''))).not.toContain('erp');
  });

  it('refuses an import in a wrong order, or of nothing', async () => {
    const send = (content: string) =>
      test.call('administrator', 'POST', importPath(), {
        body: `<x:ImportVmAsVAppParams ${X} name="h">${content}</x:ImportVmAsVAppParams>`,
        type: MEDIA.importVmAsVapp,
      });
    const vdc = `<x:Vdc href="${test.cell.url}/api/vdc/${test.cloud.state.vdcs[0]?.id}"/>`;
    expect(code(await send(`${vdc}<x:VmMoRef>vm-1</x:VmMoRef>`))).toBe(BAD);
    expect(code(await send('<x:VmMoRef>vm-1</x:VmMoRef>'))).toBe(BAD);
    expect((await send(`<x:VmMoRef>vm-99999</x:VmMoRef>${vdc}`)).status).toBe(400);
  });

  it('never stumbled', () => {
    expect(complaints).toEqual([]);
  });
});
