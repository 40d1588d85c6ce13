import type { XmlElement } from '../common/index.js';
import type { EntityReader } from './entity-reader.js';
import { linkHref, urnOf } from './links.js';
import { MEDIA } from './namespaces.js';
import type { CatalogEntry, VcdReference } from './types.js';

/**
 * Where a template or medium stands in its catalog; the catalog item is an entity of its own.
 * @returns undefined for what stands in no catalog (a template that was captured into a VDC, as releases before 5.5 did)
 */
export async function readCatalogEntry(reader: EntityReader, entity: XmlElement): Promise<CatalogEntry | undefined> {
  const itemHref = linkHref(entity, 'catalogItem', MEDIA.catalogItem) ?? linkHref(entity, 'catalogItem');
  if (itemHref === undefined) return undefined;
  const item = await reader.read(itemHref, 'the catalog item');
  const [metadata, catalog] = await Promise.all([
    reader.metadata(item, itemHref, 'the metadata of the catalog item'),
    readCatalog(reader, item),
  ]);
  const description = item.textAt('Description');
  return {
    catalog,
    item: { href: itemHref, id: item.attribute('id') ?? urnOf('catalogitem', itemHref), name: item.attribute('name') ?? '' },
    ...(description ? { description } : {}),
    metadata,
  };
}

/** The item links to its catalog without its name; the catalog names itself, and every item in it, which nobody wants kept. */
async function readCatalog(reader: EntityReader, item: XmlElement): Promise<VcdReference> {
  const href = linkHref(item, 'up', MEDIA.catalog) ?? linkHref(item, 'up', MEDIA.adminCatalog);
  if (href === undefined) return reader.fail('the catalog', 'its catalog item has no link to it');
  const catalog = await reader.read(href, 'the catalog', { keepRaw: false });
  return { href, id: urnOf('catalog', href), name: catalog.attribute('name') ?? '' };
}
