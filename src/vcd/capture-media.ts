import { readCatalogEntry } from './capture-catalog-entry.js';
import { readPlace } from './capture-place.js';
import { readMedia, type VcdContext } from './context.js';
import { EntityReader } from './entity-reader.js';
import { urnOf } from './links.js';
import { optionalReference, whole } from './sections.js';
import type { MediaCapture } from './types.js';

/**
 * A medium without its bytes, by at most 9 requests.
 * @throws VcdError MEDIA_NOT_FOUND; BAD_ANSWER for one that stands in no catalog
 */
export async function captureMedia(context: VcdContext, mediaHref: string, signal?: AbortSignal): Promise<MediaCapture> {
  const { root, text } = await readMedia(context, mediaHref, signal);
  const href = root.attribute('href') ?? mediaHref;
  const subject = context.names.label(href);
  const reader = new EntityReader(context, { subject, ownPath: '/media/', goneCode: 'MEDIA_NOT_FOUND' }, signal);
  reader.keep(href, text);
  const [place, owner, metadata, catalogEntry] = await Promise.all([
    readPlace(reader, root),
    reader.owner(root, href),
    reader.metadata(root, href),
    readCatalogEntry(reader, root),
  ]);
  const description = root.textAt('Description');
  return {
    kind: 'media',
    href,
    id: root.attribute('id') ?? urnOf('media', href),
    name: root.attribute('name') ?? '',
    ...(description ? { description } : {}),
    imageType: root.attribute('imageType') ?? 'iso',
    sizeBytes: whole(root.attribute('size')) ?? reader.fail('the size', 'the answer tells none'),
    organization: place.organization,
    vdc: place.vdc,
    ...(owner ? { owner } : {}),
    ...optionalReference('storageProfile', root.child('VdcStorageProfile')),
    metadata,
    catalogEntry: catalogEntry ?? reader.fail('the catalog item', 'it stands in no catalog'),
    apiVersion: context.http.session.apiVersion,
    raw: reader.raw,
  };
}
