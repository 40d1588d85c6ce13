import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InventoryCounts } from '../../src/catalog/index.js';
import type { ScopeResolution } from '../../src/policy/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import { World } from './world.js';

type Preview = ScopeResolution & { matchedCount: number; excludedCount: number };

/** What a scope means, through the whole service and the simulated cloud. */
describe('the preview of a scope', () => {
  let world: World;
  let cloudId: string;

  beforeAll(async () => {
    world = await World.start();
    cloudId = await world.register();
  });
  afterAll(() => world?.close());

  const preview = (scope: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    world.api.post<Preview>('/api/v1/scopes/preview', { scope: { cloudId, ...scope }, ...more });
  const names = async (scope: Record<string, unknown>) => (await preview(scope)).items.map(({ name }) => name);
  const metadata = (key: string, type: string, value: string, domain?: string) => ({
    metadata: [{ key, type: `Metadata${type}Value`, value, ...(domain === undefined ? {} : { domain }) }],
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['the whole cloud', {}, ['erp', 'intranet', 'sandbox', 'shop']],
    ['an organization', { organizations: ['acme'] }, ['intranet', 'sandbox', 'shop']],
    ['VDCs by pattern', { vdcs: ['*-production', 'globex-*'] }, ['erp', 'intranet', 'shop']],
    ['names by pattern', { vappNames: ['s*'] }, ['sandbox', 'shop']],
    ['an owner', { owners: ['OLIVIA'] }, ['sandbox', 'shop']],
    [
      'text, with the signs of the filter language and the key of another type',
      metadata('cost-center', 'String', '4711 / sales & web'),
      ['shop'],
    ],
    ['text with a wildcard, which stands for itself', metadata('cost-center', 'String', '4711*'), []],
    ['a number', metadata('tier', 'Number', '1'), ['shop']],
    ['a truth', metadata('pci', 'Boolean', 'true'), ['shop']],
    ['another truth', metadata('pci', 'Boolean', 'false'), []],
    ['a moment', metadata('reviewed', 'DateTime', '2026-03-31T10:15:30.000Z'), ['shop']],
    ['the domain SYSTEM', metadata('provider-note', 'String', 'migrated from rack 7', 'SYSTEM'), ['shop']],
    ['no SYSTEM entry in GENERAL', metadata('provider-note', 'String', 'migrated from rack 7'), []],
    ['no metadata of a VM in a vApp', metadata('role', 'String', 'frontend'), []],
    ['all conditions together', { organizations: ['acme'], owners: ['olivia'], ...metadata('tier', 'Number', '1') }, ['shop']],
  ])('means %s', async (_what, scope, expected) => {
    expect(await names(scope)).toEqual(expected);
  });

  it('takes our ids, URNs of VDCs and organizations as well as names', async () => {
    const { items } = await world.api.get<{
      items: { id: string; vcloudId: string; vdcId: string; organizationId: string; name: string }[];
    }>('/api/v1/vapps?name=shop');
    const shop = items[0];
    for (const scope of [{ ids: [shop?.id] }, { ids: [shop?.vcloudId] }, { vdcs: [shop?.vdcId], vappNames: ['shop'] }]) {
      expect(await names(scope)).toEqual(['shop']);
    }
    expect(await names({ organizations: [shop?.organizationId] })).toEqual(['intranet', 'sandbox', 'shop']);
  });

  it('says why, what is excluded, down to VM and disk, and what nothing fits', async () => {
    const view = await preview({
      organizations: ['acme', 'nobody'],
      exclude: { vdcs: ['acme-test'], vms: ['web-*', 'wiki'], disks: [{ vm: 'db-1', disk: 'Hard disk 2' }] },
    });
    expect(view.items).toEqual([
      {
        vappId: await world.vappId('shop'),
        name: 'shop',
        kind: 'vapp',
        organizationName: 'acme',
        vdcName: 'acme-production',
        why: ['organization "acme"'],
        exclude: { vms: ['web-*', 'wiki'], disks: [{ vm: 'db-1', disk: 'Hard disk 2' }] },
        excludedVms: [{ id: expect.any(String), name: 'web-1', why: 'excluded by VM "web-*"' }],
      },
    ]);
    expect(view.excluded).toMatchObject([
      { name: 'intranet', why: ['all of its VMs are excluded'] },
      { name: 'sandbox', why: ['excluded by VDC "acme-test"'] },
    ]);
    expect(view).toMatchObject({ matchedCount: 1, excludedCount: 2 });
    expect(view.warnings).toEqual(['Nothing in the inventory of cloud "test" fits organization "nobody".']);
  });

  it('shows as many as asked for, and counts all', async () => {
    const { items, matchedCount } = await preview({}, { limit: 2 });
    expect([items.length, matchedCount]).toEqual([2, 4]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a list without an entry', { organizations: [] }, /422.*organizations/],
    ['a field there is not', { vapps: ['shop'] }, /422.*vapps/],
    ['text for a number', metadata('tier', 'Number', 'one'), /422.*must be a number/],
    ['a type there is not', metadata('tier', 'Text', 'one'), /422.*type/],
    ['a cloud there is not', { cloudId: '00000000-0000-4000-8000-000000000000' }, /404.*cloud/],
  ])('refuses %s', async (_what, scope, problem) => {
    await expect(preview(scope)).rejects.toThrow(problem);
  });

  it('follows the cloud by a refresh that reads what has changed', async () => {
    const vcd = await connectProvider(world.simulator);
    try {
      for await (const vapp of vcd.vapps('name==sandbox')) await vcd.writeVapp(vapp.href, { name: 'sandpit' });
    } finally {
      await vcd.close();
    }
    expect(await names({ vappNames: ['sand*'] })).toEqual(['sandbox']);
    const refreshed = await world.api.post<InventoryCounts>(`/api/v1/clouds/${cloudId}/refresh`, {});
    expect(refreshed).toMatchObject({ mode: 'changes', fullReason: null, vapps: 4, vanishedVapps: 0 });
    expect(await names({ vappNames: ['sand*'] })).toEqual(['sandpit']);

    await world.deleteVapp('sandpit');
    const afterwards = await world.api.post<InventoryCounts>(`/api/v1/clouds/${cloudId}/refresh`, {});
    expect(afterwards).toMatchObject({ mode: 'changes', vapps: 3, vanishedVapps: 1 });
    expect(await names({})).toEqual(['erp', 'intranet', 'shop']);
    expect(await world.api.post<InventoryCounts>(`/api/v1/clouds/${cloudId}/refresh`, { full: true })).toMatchObject({
      mode: 'full',
      fullReason: 'requested',
      vapps: 3,
    });
  });
});

describe('a scope of what is no vApp', () => {
  let world: World;
  let cloudId: string;

  beforeAll(async () => {
    world = await World.start({ seed: everythingSeed() });
    cloudId = await world.register();
  });
  afterAll(() => world?.close());

  const found = async (scope: Record<string, unknown>) =>
    (await world.api.post<Preview>('/api/v1/scopes/preview', { scope: { cloudId, ...scope } })).items.map(
      ({ name, kind }) => `${kind} ${name}`,
    );

  it.each<[string, Record<string, unknown>, string[]]>([
    ['a standalone VM is meant with the vApps', { vappNames: ['lone*', 'golden'] }, ['vapp golden', 'standalone-vm lone']],
    ['standalone VMs alone', { kinds: ['standalone-vm'] }, ['standalone-vm lone']],
    [
      'templates and media by their VCD catalog',
      { vcdCatalogs: ['acme-*'] },
      ['media installer', 'vapp-template pair', 'vapp-template single'],
    ],
    ['media alone', { vcdCatalogs: ['acme-images'], kinds: ['media'] }, ['media installer']],
    ['an empty VCD catalog', { vcdCatalogs: ['globex-images'] }, []],
    [
      'a template by its metadata',
      { kinds: ['vapp-template', 'media'], metadata: [{ key: 'build', type: 'MetadataNumberValue', value: '42' }] },
      ['vapp-template pair'],
    ],
    [
      'a medium by its metadata',
      { kinds: ['vapp-template', 'media'], metadata: [{ key: 'release', type: 'MetadataStringValue', value: '9.1' }] },
      ['media installer'],
    ],
    ['templates without what is excluded', { kinds: ['vapp-template'], exclude: { vappNames: ['sing*'] } }, ['vapp-template pair']],
  ])('%s', async (_what, scope, expected) => {
    expect((await found(scope)).toSorted()).toEqual(expected.toSorted());
  });

  it('a standalone VM by the URN of the VM, and its metadata on the VM', async () => {
    const vcd = await connectProvider(world.simulator);
    try {
      for await (const vm of vcd.vms('isAutoNature==true')) {
        expect(await found({ ids: [vm.id] })).toEqual(['standalone-vm lone']);
        const entry = { key: 'site', type: 'MetadataStringValue', value: 'north', domain: 'GENERAL' } as const;
        const scope = { metadata: [entry] };
        expect(await found(scope)).toEqual([]);
        await vcd.writeMetadata(vm.href, [{ ...entry, visibility: 'READWRITE' }]);
        expect(await found(scope)).toEqual(['standalone-vm lone']);
        expect(await found({ metadata: [{ ...entry, value: 'n*' }] })).toEqual([]);
      }
    } finally {
      await vcd.close();
    }
    expect.assertions(4);
  });
});
