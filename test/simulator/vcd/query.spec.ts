import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import demoSeed from '../seeds/demo.json' with { type: 'json' };
import { smallSeed } from '../seeds/small-seed.js';
import { QUERY_TYPES } from './records.js';
import { startTestCell, type TestCell } from './testing.js';

describe('the query service', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(structuredClone(demoSeed)));
  });
  afterAll(() => test.close());

  const query = async (type: string, more: Record<string, string> = {}, version = '37.0') => {
    const parameters = new URLSearchParams({ type, format: 'records', pageSize: '128', ...more });
    const answer = await test.call('administrator', 'GET', `/api/query?${parameters}`, { accept: `application/*+xml;version=${version}` });
    return {
      answer,
      names: answer.xml
        .elements()
        .filter((child) => child.local !== 'Link')
        .map((record) => record.attribute('name', '')),
    };
  };

  it.each(Object.keys(QUERY_TYPES))('answers %s with the record element of the schema', async (type) => {
    const { answer } = await query(type);
    expect(answer.status).toBe(200);
    const records = new Set(
      answer.xml
        .elements()
        .filter((child) => child.local !== 'Link')
        .map((record) => record.local),
    );
    for (const record of records) expect(record).toBe(QUERY_TYPES[type]?.record);
  });

  it('compares metadata by its type and domain', async () => {
    const [vapp, other] = test.cloud.state.vapps;
    if (!vapp || !other) throw new Error('The seed has too few vApps');
    const entry = { domain: 'GENERAL', visibility: 'READWRITE' } as const;
    vapp.metadata = [
      { key: 'size', type: 'MetadataNumberValue', value: '9', ...entry },
      { key: 'until', type: 'MetadataDateTimeValue', value: '2024-05-01T02:00:00+02:00', ...entry },
      { key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'SYSTEM', visibility: 'PRIVATE' },
    ];
    other.metadata = [{ key: 'size', type: 'MetadataStringValue', value: '10', ...entry }];
    test.cloud.changed();
    const found = async (filter: string) => (await query('adminVApp', { filter })).names;
    expect(await found('metadata:size=lt=NUMBER:10')).toEqual([vapp.name]);
    expect(await found('metadata:size==STRING:10')).toEqual([other.name]);
    expect(await found('metadata:until==DATETIME:2024-05-01T00:00:00Z')).toEqual([vapp.name]);
    expect(await found('metadata:tier==STRING:gold')).toEqual([]);
    expect(await found('metadata@SYSTEM:tier==STRING:g*')).toEqual([vapp.name]);
    expect((await query('adminVApp', { filter: 'metadata:size==10' })).answer.status).toBe(400);
    expect((await query('adminVApp', { filter: 'metadata:size==NUMBER:ten' })).answer.status).toBe(400);
  });

  it('finds many by their ids, and pages that fit together', async () => {
    const [a, b] = test.cloud.state.vapps;
    const filter = `(id==urn:vcloud:vapp:${a?.id},id==urn:vcloud:vapp:${b?.id})`;
    expect((await query('adminVApp', { filter })).names).toEqual([a?.name, b?.name].sort());
    const all = (await query('adminVM', { sortDesc: 'name' })).names;
    const paged: (string | undefined)[] = [];
    for (let page = 1; page <= Math.ceil(all.length / 2); page += 1)
      paged.push(...(await query('adminVM', { sortDesc: 'name', pageSize: '2', page: String(page) })).names);
    expect(paged).toEqual(all);
  });

  it('shows a change at once, though a sorted result is kept', async () => {
    const vapp = test.cloud.state.vapps[0];
    if (!vapp) throw new Error('The seed has no vApp');
    const filter = { filter: 'isInMaintenanceMode==true' };
    expect((await query('adminVApp', filter)).names).toEqual([]);
    await test.call('administrator', 'POST', `/api/vApp/vapp-${vapp.id}/action/enterMaintenanceMode`);
    expect((await query('adminVApp', filter)).names).toEqual([vapp.name]);
    await test.call('administrator', 'POST', `/api/vApp/vapp-${vapp.id}/action/exitMaintenanceMode`);
    expect((await query('adminVApp', filter)).names).toEqual([]);
  });

  it('has an event for a change without a task, found by its time', async () => {
    const vapp = test.cloud.state.vapps[0];
    const before = new Date().toISOString();
    await test.call('administrator', 'POST', `/api/vApp/vapp-${vapp?.id}/action/enterMaintenanceMode`);
    await test.call('administrator', 'POST', `/api/vApp/vapp-${vapp?.id}/action/exitMaintenanceMode`);
    const { answer } = await query('adminEvent', { filter: `timeStamp=ge=${before}`, sortAsc: 'timeStamp' });
    const events = answer.xml.elements().filter((child) => child.local === 'AdminEventRecord');
    expect(events.map((event) => event.attribute('eventType', ''))).toEqual([
      'com/vmware/vcloud/event/vapp/enterMaintenanceMode',
      'com/vmware/vcloud/event/vapp/exitMaintenanceMode',
    ]);
    expect(events.map((event) => event.attribute('entityName', ''))).toEqual([vapp?.name, vapp?.name]);
    expect((await query('adminEvent', { filter: 'timeStamp=gt=2999-01-01T00:00:00Z' })).names).toEqual([]);
    test.cloud.events.keepFor(0);
  });

  it('pages VDC compute policies as JSON, filtered, for those who may see them', async () => {
    const read = async (user: string, path: string) => {
      const answer = await test.call(user, 'GET', path, { accept: 'application/json;version=37.0' });
      return { status: answer.status, json: JSON.parse(answer.text) as { resultTotal: number; values: { id: string; name: string }[] } };
    };
    const policies = '/cloudapi/2.0.0/vdcComputePolicies';
    const first = await read('administrator', `${policies}?page=1&pageSize=1`);
    expect(first.json.resultTotal).toBe(test.cloud.state.computePolicies.length);
    expect(first.json.values).toHaveLength(1);
    const placement = await read('administrator', `${policies}?filter=isSizingOnly==false`);
    expect(placement.json.values.map((policy) => policy.name)).toEqual(
      test.cloud.state.computePolicies.filter((policy) => policy.kind === 'placement').map((policy) => policy.name),
    );
    const one = await test.call('administrator', 'GET', `${policies}/${first.json.values[0]?.id}`, {
      accept: 'application/json;version=37.0',
    });
    expect(JSON.parse(one.text)).toMatchObject({ name: first.json.values[0]?.name });
    expect((await read('acme-admin', policies)).status).toBe(403);
  });
});
