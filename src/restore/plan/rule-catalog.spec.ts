import { describe, expect, it } from 'vitest';
import type { CloudResourceRecord, VcdClientApi } from '../../vcd/index.js';
import { examineCatalogs } from './examine-catalog.js';
import { type ItemKind, ruleCatalog, type TodaysCatalogs } from './rule-catalog.js';
import { payload } from './testing.js';

const catalog = (uuid: string, name: string) => ({
  id: `urn:vcloud:catalog:${uuid}`,
  name,
  href: `https://vcd/api/catalog/${uuid}`,
});
const IMAGES = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const GLOBEX = '33333333-3333-4333-8333-333333333333';
const images = catalog(IMAGES, 'images');
const captured = { name: 'pair', catalog: images };

describe('the catalog of a template or medium, and the name in it', () => {
  const today = (more: Partial<TodaysCatalogs> = {}): TodaysCatalogs => ({
    all: [images, catalog(OTHER, 'other'), catalog('x', 'mirror')],
    chosen: images,
    readOnly: false,
    namesake: undefined,
    ...more,
  });
  const namesake = (kind: ItemKind) => ({ namesake: { entityHref: 'old', kind } });
  const replace = { choices: { existingItem: 'replace' as const } };
  type Row = [string, Partial<TodaysCatalogs>, Partial<Parameters<typeof ruleCatalog>[3]>, string[], boolean];
  it.each([
    ['both as they were', {}, {}, ['catalogEntry.catalog fits', 'name fits'], false],
    ['catalogEntry.catalog renamed', { chosen: { ...images, name: 'pictures' } }, {}, ['catalogEntry.catalog changed', 'name fits'], false],
    ['catalogEntry.catalog gone', { chosen: undefined }, {}, ['catalogEntry.catalog missing', 'name fits'], true],
    ['catalogEntry.catalog only read', { readOnly: true }, {}, ['catalogEntry.catalog not-permitted', 'name fits'], true],
    ['another catalog', { chosen: catalog(OTHER, 'other') }, { catalogId: OTHER }, ['catalogEntry.catalog changed', 'name fits'], false],
    ['another name', {}, { name: 'pair-2' }, ['catalogEntry.catalog fits', 'name changed', 'catalogEntry.name changed'], false],
    ['name taken', namesake('vapp-template'), {}, ['catalogEntry.catalog fits', 'name not-permitted'], true],
    [
      'name taken, to be replaced',
      namesake('vapp-template'),
      replace,
      ['catalogEntry.catalog fits', 'name fits', 'existingItem changed'],
      false,
    ],
    [
      'name taken by a medium, which no template replaces',
      namesake('media'),
      replace,
      ['catalogEntry.catalog fits', 'name not-permitted'],
      true,
    ],
    ['nothing to be replaced', {}, replace, ['catalogEntry.catalog fits', 'name fits'], false],
  ] satisfies Row[])('%s', (_, more, request, items, asks) => {
    const ruled = ruleCatalog('vapp-template', captured, today(more), { choices: {}, ...request });
    expect(ruled.items.map((item) => `${item.attribute} ${item.conformity}`)).toEqual(items);
    expect(ruled.items.some((item) => item.needsChoice)).toBe(asks);
    for (const item of ruled.items) expect(item.explanation === '').toBe(item.conformity === 'fits');
  });

  it('asks for a catalog where a template was in none', () => {
    const inNone = { name: 'pair', catalog: undefined };
    const asked = ruleCatalog('vapp-template', inNone, today({ chosen: undefined }), { choices: {} });
    expect(asked.items[0]).toMatchObject({ conformity: 'missing', needsChoice: true });
    expect(ruleCatalog('vapp-template', inNone, today(), { choices: {}, catalogId: IMAGES }).items[0]?.needsChoice).toBe(false);
  });

  it('offers the catalogs that take something, and says what is replaced', () => {
    const ruled = ruleCatalog('vapp-template', captured, today(namesake('vapp-template')), { choices: { existingItem: 'replace' } });
    expect(ruled.items[0]?.choice).toMatchObject({
      field: 'catalogId',
      chosen: images.id,
      options: [
        { value: images.id, label: 'images' },
        { value: `urn:vcloud:catalog:${OTHER}`, label: 'other' },
        { value: 'urn:vcloud:catalog:x', label: 'mirror' },
      ],
    });
    expect(ruled.place).toEqual({ catalog: images, name: 'pair', replaced: { entityHref: 'old', name: 'pair' } });
  });
});

describe('the catalogs of today', () => {
  const record = (uuid: string, name: string, organizationId: string): CloudResourceRecord => ({
    ...{ kind: 'catalog', id: `urn:vcloud:catalog:${uuid}`, name, vdcId: '', organizationId, details: {} },
    href: `https://vcd/api/admin/catalog/${uuid}`,
  });
  function cloud(records: CloudResourceRecord[]) {
    const asked: string[] = [];
    const vcd: Pick<VcdClientApi, 'resources' | 'findInCatalog' | 'isSubscribedCatalog'> = {
      async *resources() {
        yield* records;
      },
      isSubscribedCatalog: async (href) => href.endsWith(OTHER),
      findInCatalog: async (href, name) => {
        asked.push(`${href} ${name}`);
        return name === 'pair' ? { itemHref: 'item', entityHref: 'there', kind: 'vapp-template' } : undefined;
      },
    };
    const examine = (request: Partial<Parameters<typeof examineCatalogs>[0]> = {}) =>
      examineCatalogs(
        payload({ mode: 'template', ...request }),
        { catalog: images, organization: { href: 'https://vcd/api/org/acme', id: 'acme' }, name: 'pair' },
        vcd,
        new AbortController().signal,
      );
    return { asked, examine };
  }
  const all = [record(GLOBEX, 'images', 'globex'), record(IMAGES, 'images', 'acme'), record(OTHER, 'mirror', 'acme')];

  it('takes the captured one, offers those of its organization, and asks it for the name', async () => {
    const { asked, examine } = cloud(all);
    const { catalogs, organizationId } = await examine();
    expect(catalogs.chosen).toMatchObject({ href: images.href });
    expect(catalogs.readOnly).toBe(false);
    expect(catalogs.all.map(({ name }) => name)).toEqual(['images', 'mirror']);
    expect(catalogs.namesake).toEqual({ entityHref: 'there', kind: 'vapp-template' });
    expect([organizationId, asked]).toEqual(['acme', [`${images.href} pair`]]);
  });
  it('finds out which one takes nothing', async () => {
    const { catalogs } = await cloud(all).examine({ catalogId: `urn:vcloud:catalog:${OTHER}` });
    expect([catalogs.chosen?.name, catalogs.readOnly]).toEqual(['mirror', true]);
  });
  it('finds one that was made anew by its name, in its organization only', async () => {
    const anew = cloud([record(GLOBEX, 'images', 'globex'), record(OTHER, 'images', 'acme')]);
    expect((await anew.examine()).catalogs.chosen?.id).toBe(`urn:vcloud:catalog:${OTHER}`);
    const gone = cloud([record(GLOBEX, 'images', 'globex')]);
    expect((await gone.examine()).catalogs).toMatchObject({ chosen: undefined, namesake: undefined });
    expect(gone.asked).toEqual([]);
  });
  it('takes the one that is named, and its organization with it', async () => {
    const { examine } = cloud(all);
    const { catalogs, organizationId } = await examine({ catalogId: `urn:vcloud:catalog:${GLOBEX}`, name: 'other' });
    expect([catalogs.chosen?.href, catalogs.namesake, organizationId]).toEqual([`https://vcd/api/catalog/${GLOBEX}`, undefined, 'globex']);
    expect((await examine({ organizationId: 'globex' })).catalogs.chosen?.href).toBe(`https://vcd/api/catalog/${GLOBEX}`);
  });
  it('refuses one that is not there, or not in the organization that is named', async () => {
    const { examine } = cloud(all);
    await expect(examine({ catalogId: 'urn:vcloud:catalog:x' })).rejects.toThrow(/catalogId names VCD catalog .*"images"/);
    const elsewhere = { catalogId: `urn:vcloud:catalog:${GLOBEX}`, organizationId: 'acme' };
    await expect(examine(elsewhere)).rejects.toMatchObject({ code: 'CATALOG_GONE' });
  });
});
