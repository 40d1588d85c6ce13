import { type Exchange, noContent, ok } from '../exchange.js';
import { requireMedia } from '../operations/entities.js';
import {
  deleteMedia,
  disableMediaDownload,
  enableMediaDownload,
  importMedia,
  updateMedia,
  uploadIntoCatalog,
  uploadIntoVdc,
} from '../operations/media.js';
import { type Route, route } from '../router.js';
import { mediaView } from '../views/media-view.js';
import { MEDIA } from '../xml-names.js';
import { ownerAnswer, readOwner } from './disk-routes.js';

const idOf = (exchange: Exchange): string => exchange.parameters.id ?? '';

/** Media (ISO and floppy images); their bytes go through /transfer/. */
export const mediaRoutes: readonly Route[] = [
  route('POST', 'catalog/:id/action/upload', uploadIntoCatalog),
  route('POST', 'vdc/:id/media', uploadIntoVdc),
  route('POST', 'admin/extension/vimServer/:id/importMedia', importMedia),
  route('GET', 'media/:id', (exchange) => ok(mediaView(exchange, requireMedia(exchange, idOf(exchange))), MEDIA.media)),
  route('PUT', 'media/:id', updateMedia),
  route('DELETE', 'media/:id', deleteMedia),
  route('POST', 'media/:id/action/enableDownload', enableMediaDownload),
  route('POST', 'media/:id/action/disableDownload', disableMediaDownload),
  route('GET', 'media/:id/owner', (exchange) => {
    const media = requireMedia(exchange, idOf(exchange));
    return ownerAnswer(exchange, media.name, media.ownerUserId);
  }),
  route('PUT', 'media/:id/owner', (exchange) => {
    const media = requireMedia(exchange, idOf(exchange), 'write');
    media.ownerUserId = readOwner(exchange, media);
    exchange.cloud.changed();
    return noContent;
  }),
];
