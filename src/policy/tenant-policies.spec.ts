import { expect, it } from 'vitest';
import type { CatalogService } from '../catalog/index.js';
import type { PolicyObjectStore } from './object-store.js';
import type { PolicyView } from './policy.service.js';
import { TenantPolicies } from './tenant-policies.js';

const ACME = 'urn:vcloud:org:acme';
const policy = (name: string, over: Partial<PolicyView> = {}, organizations?: string[]): PolicyView => ({
  id: name,
  name,
  level: 'provider',
  enabled: true,
  offered: true,
  scope: { cloudId: 'c', ...(organizations && { organizations }) },
  rules: {},
  createdAt: '',
  updatedAt: '',
  ...over,
});
const catalog = {
  organizations: async () => [
    { id: ACME, cloudId: 'c', name: 'acme' },
    { id: 'urn:vcloud:org:other', cloudId: 'another', name: 'other' },
  ],
  vapp: async (id: string) => (id === 'nobody' ? undefined : { organizationId: id === 'mine' ? ACME : 'urn:vcloud:org:other' }),
} as unknown as CatalogService;
const missed = (organizationId: string) => ({ organizationId, vappName: organizationId, sinceAt: new Date(0), lastRestorePointAt: null });
const objects = { missedRpo: async () => [missed(ACME), missed('urn:vcloud:org:other')] } as unknown as PolicyObjectStore;
const tenants = new TenantPolicies(catalog, objects);
const all = [
  policy('for all'),
  policy('by name', {}, ['ac*', 'umbrella']),
  policy('by URN', {}, [ACME.toUpperCase().replace('URN', 'urn')]),
  policy('for others', {}, ['umbrella']),
  policy('for all but it', { scope: { cloudId: 'c', exclude: { organizations: ['acme'] } } }),
  policy('of another cloud', { scope: { cloudId: 'another' } }),
  policy('not offered', { offered: false }),
  policy('switched off', { enabled: false }),
];

it('shows a tenant what it may choose, without the names of others', async () => {
  const seen = await tenants.seen(all, ACME);
  expect(seen.map(({ name }) => name)).toEqual(['for all', 'by name', 'by URN']);
  expect(seen.map(({ scope }) => scope)).toEqual([{ cloudId: 'c' }, { cloudId: 'c' }, { cloudId: 'c' }]);
  await expect(tenants.seenOne(policy('for others', {}, ['umbrella']), ACME)).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
});

it('shows the provider everything', async () => {
  expect(await tenants.seen(all, null)).toEqual(all);
  await expect(tenants.refuseForeign('nobody', null)).resolves.toBeUndefined();
  expect(await tenants.missedRpo(null)).toHaveLength(2);
});

it('knows of a vApp of another organization as little as of one that is not there', async () => {
  await expect(tenants.refuseForeign('mine', ACME)).resolves.toBeUndefined();
  await expect(tenants.refuseForeign('theirs', ACME)).rejects.toMatchObject({ code: 'POLICY_VAPP_NOT_FOUND' });
  await expect(tenants.refuseForeign('nobody', ACME)).rejects.toMatchObject({ code: 'POLICY_VAPP_NOT_FOUND' });
  expect(await tenants.missedRpo(ACME)).toMatchObject([{ organizationId: ACME, sinceAt: '1970-01-01T00:00:00.000Z' }]);
});
