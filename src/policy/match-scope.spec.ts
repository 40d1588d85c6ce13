import { describe, expect, it } from 'vitest';
import { SOURCE_KINDS } from '../catalog/index.js';
import { expectations, judge, kindsOf, type ScopeCandidate } from './match-scope.js';
import type { Scope } from './scope-types.js';

const shop: ScopeCandidate = {
  id: '01a1fde0-b3e7-76ff-aa1f-06cb44de415c',
  vcloudId: 'urn:vcloud:vapp:0000-shop',
  kind: 'vapp',
  name: 'shop-01',
  organizationId: 'urn:vcloud:org:acme',
  organizationName: 'acme',
  vdcId: 'urn:vcloud:vdc:gold',
  vdcName: 'acme-gold',
  vcdCatalogId: '',
  vcdCatalogName: '',
  ownerName: 'Olivia',
  vms: [
    { id: 'vm-id-1', vcloudId: 'urn:vcloud:vm:web', name: 'web' },
    { id: 'vm-id-2', vcloudId: 'urn:vcloud:vm:tmp', name: 'web-scratch' },
  ],
};
const template: ScopeCandidate = {
  ...shop,
  kind: 'vapp-template',
  vcloudId: 'urn:vcloud:vapptemplate:1',
  vcdCatalogId: 'urn:vcloud:catalog:1',
  vcdCatalogName: 'base images',
};
const lone: ScopeCandidate = { ...shop, kind: 'standalone-vm', vms: [{ id: 'vm-id-9', vcloudId: 'urn:vcloud:vm:LONE', name: 'lone' }] };

const kind = (scope: Omit<Scope, 'cloudId'>, object = shop) => judge({ cloudId: 'c', ...scope }, object).kind;

describe('what a scope means', () => {
  it.each<[string, Omit<Scope, 'cloudId'>, string]>([
    ['everything where nothing is said', {}, 'matched'],
    ['an organization by name', { organizations: ['acme'] }, 'matched'],
    ['an organization by pattern', { organizations: ['other', 'a?m*'] }, 'matched'],
    ['an organization by URN, in any case', { organizations: ['URN:vcloud:org:ACME'] }, 'matched'],
    ['no organization of another case', { organizations: ['ACME'] }, 'outside'],
    ['a URN is no pattern', { organizations: ['urn:vcloud:org:*'] }, 'outside'],
    ['a VDC by name', { vdcs: ['*-gold'] }, 'matched'],
    ['a VDC by URN', { vdcs: ['urn:vcloud:vdc:gold'] }, 'matched'],
    ['a name by pattern', { vappNames: ['shop-??'] }, 'matched'],
    ['no part of a name', { vappNames: ['shop'] }, 'outside'],
    ['a name with the signs of a regular expression', { vappNames: ['shop.01', 'shop-[0-9]+'] }, 'outside'],
    ['our id', { ids: [shop.id] }, 'matched'],
    ['the URN', { ids: ['urn:vcloud:vapp:0000-SHOP'] }, 'matched'],
    ['not the URN of one of its VMs', { ids: ['urn:vcloud:vm:web'] }, 'outside'],
    ['an owner in any case', { owners: ['OLIVIA'] }, 'matched'],
    ['another owner', { owners: ['oliv'] }, 'outside'],
    ['all conditions together', { organizations: ['acme'], vappNames: ['shop*'], owners: ['o*'] }, 'matched'],
    ['nothing where one condition fails', { organizations: ['acme'], vappNames: ['web*'] }, 'outside'],
    ['no vApp of a VCD catalog', { vcdCatalogs: ['*'], kinds: ['vapp'] }, 'outside'],
    ['another kind', { kinds: ['media'] }, 'outside'],
  ])('%s', (_what, scope, expected) => {
    expect(kind(scope)).toBe(expected);
  });

  it('a template by its VCD catalog, and not where only vApps are meant', () => {
    expect(kind({ vcdCatalogs: ['base *'] }, template)).toBe('matched');
    expect(kind({ vcdCatalogs: ['urn:vcloud:catalog:1'] }, template)).toBe('matched');
    expect(kind({}, template)).toBe('outside');
    expect(kind({ ids: ['urn:vcloud:vapptemplate:1'] }, template)).toBe('matched');
    expect(kind({ vcdCatalogs: ['base *'], vappNames: ['shop-01'] }, template)).toBe('matched');
    expect(kind({ vcdCatalogs: ['base *'], vappNames: ['other'] }, template)).toBe('outside');
  });

  it('a standalone VM by the URN of the VM', () => {
    expect(kind({ ids: ['urn:vcloud:vm:lone'] }, lone)).toBe('matched');
    expect(kind({ ids: ['vm-id-9'] }, lone)).toBe('matched');
    expect(kind({ ids: ['urn:vcloud:vm:other'] }, lone)).toBe('outside');
  });

  it('vApps and standalone VMs where nothing is said of kinds', () => {
    expect(kindsOf({})).toEqual(['vapp', 'standalone-vm']);
    expect(kindsOf({ vcdCatalogs: ['x'] })).toEqual(['vapp-template', 'media']);
    expect(kindsOf({ ids: ['x'] })).toEqual(SOURCE_KINDS);
    expect(kindsOf({ vcdCatalogs: ['x'], kinds: ['media'] })).toEqual(['media']);
  });

  it('says why', () => {
    expect(judge({ cloudId: 'c', organizations: ['a*', 'acme'], owners: ['olivia'] }, shop)).toMatchObject({
      why: ['organization "a*"', 'organization "acme"', 'owner "olivia"'],
    });
  });

  it('tells which entries are met even where another leaves the object out', () => {
    const scope: Scope = { cloudId: 'c', organizations: ['acme', 'nobody'], vappNames: ['x'] };
    expect(judge(scope, shop)).toEqual({ kind: 'outside', met: ['organization "acme"'] });
    expect(expectations(scope)).toEqual(['organization "acme"', 'organization "nobody"', 'name "x"']);
  });
});

describe('what a scope excludes', () => {
  it.each<[string, NonNullable<Scope['exclude']>, string[]]>([
    ['an organization', { organizations: ['acme'] }, ['excluded by organization "acme"']],
    ['a VDC', { vdcs: ['urn:vcloud:vdc:gold'] }, ['excluded by VDC "urn:vcloud:vdc:gold"']],
    ['a name', { vappNames: ['*-01'] }, ['excluded by name "*-01"']],
    ['an id', { ids: [shop.vcloudId] }, [`excluded by id "${shop.vcloudId}"`]],
    ['all of its VMs', { vms: ['web*'] }, ['all of its VMs are excluded']],
  ])('%s', (_what, exclude, why) => {
    expect(judge({ cloudId: 'c', exclude }, shop)).toMatchObject({ kind: 'excluded', why });
  });

  it.each(['base *', 'URN:vcloud:catalog:1'])('what is in a VCD catalog, and nothing that is in none: %s', (catalog) => {
    const scope = { kinds: ['vapp', 'vapp-template'] satisfies Scope['kinds'], exclude: { vcdCatalogs: [catalog] } };
    expect(judge({ cloudId: 'c', ...scope }, template)).toMatchObject({
      kind: 'excluded',
      why: [`excluded by VCD catalog "${catalog}"`],
    });
    expect(kind(scope)).toBe('matched');
    expect(kind({ exclude: { vcdCatalogs: ['*'] } })).toBe('matched');
  });

  it('single VMs and disks, and hands on what concerns this vApp', () => {
    const exclude = {
      vms: ['*-scratch', 'urn:vcloud:vm:of-another', 'urn:vcloud:vm:TMP'],
      disks: [
        { vm: 'web', disk: 'Hard disk 2' },
        { vm: 'urn:vcloud:vm:of-another', disk: 'Hard disk 1' },
      ],
    };
    expect(judge({ cloudId: 'c', exclude }, shop)).toMatchObject({
      kind: 'matched',
      exclude: { vms: ['*-scratch', 'urn:vcloud:vm:TMP'], disks: [{ vm: 'web', disk: 'Hard disk 2' }] },
      excludedVms: [{ id: 'vm-id-2', name: 'web-scratch', why: 'excluded by VM "*-scratch"' }],
    });
  });

  it('does not report what was never meant as excluded', () => {
    expect(kind({ organizations: ['other'], exclude: { vappNames: ['*'] } })).toBe('outside');
  });
});
