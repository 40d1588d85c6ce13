import type { XmlElement } from '../../../../src/common/index.js';
import { receivedBytes } from '../operations/media-bytes.js';
import { catalogItemOf } from '../operations/entities.js';
import type { Media } from '../state.js';
import { build, links, MEDIA } from '../xml-names.js';
import { ownerOf } from './disk-view.js';
import { tasksInProgress } from './task-view.js';
import { storageProfileReference, type Viewer } from './viewer.js';

/** A medium, elements in the order of MediaType. */
export function mediaView(viewer: Viewer, media: Media): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = hrefs.media(media.id);
  const item = catalogItemOf(cloud, media.id);
  return build(
    'Media',
    {
      size: media.sizeBytes,
      imageType: media.imageType,
      status: media.status,
      name: media.name,
      id: `urn:vcloud:media:${media.id}`,
      href,
      type: `${MEDIA.media}+xml`,
    },
    links('up', hrefs.vdc(media.vdcId), MEDIA.vdc),
    item ? links('catalogItem', hrefs.catalogItem(item.id), MEDIA.catalogItem) : [],
    links('remove', href),
    links('edit', href, MEDIA.media),
    media.status === 1 ? links('enable', `${href}/action/enableDownload`) : [],
    media.downloadTransferId === undefined ? [] : links('disable', `${href}/action/disableDownload`),
    links('down', `${href}/owner`, MEDIA.owner),
    links('down', `${href}/metadata`, MEDIA.metadata),
    build('Description', {}, media.description),
    tasksInProgress(viewer, media.id),
    files(viewer, media),
    ownerOf(viewer, media.ownerUserId),
    storageProfileReference(viewer, 'VdcStorageProfile', media.storageProfileId),
  );
}

/** There only while bytes can be sent or fetched. */
function files({ hrefs }: Viewer, media: Media): XmlElement | undefined {
  const transfer =
    media.uploadTransferId !== undefined
      ? links('upload:default', hrefs.transfer(media.uploadTransferId, 'file'))
      : media.downloadTransferId !== undefined
        ? links('download:default', hrefs.transfer(media.downloadTransferId, 'file'))
        : undefined;
  if (!transfer) return undefined;
  return build('Files', {}, build('File', { size: media.sizeBytes, bytesTransferred: receivedBytes(media), name: 'file' }, transfer));
}
