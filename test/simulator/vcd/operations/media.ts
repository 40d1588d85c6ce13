import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { XmlElement } from '../../../../src/common/index.js';
import type { VcdCloud } from '../cloud.js';
import { type Answer, type Exchange, noContent, readBody, requireProvider } from '../exchange.js';
import { badRequest, duplicateName, noAccess, VcdFault } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import type { Catalog, CatalogItem, Media, StorageProfile } from '../state.js';
import type { Task } from '../tasks.js';
import { catalogItemView } from '../views/catalog-view.js';
import { mediaView } from '../views/media-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';
import { catalogItemOf, mediaName, requireCatalog, requireMedia } from './entities.js';
import { accepted, startTask } from './guard.js';
import { createMediaFile, deleteMediaFile, mediaPath, receivedBytes } from './media-bytes.js';
import { isTrue } from './nics.js';

/** How long a transfer waits for its next byte: the cell's default ("transfer session timeout"). */
const TRANSFER_TIMEOUT_MS = 60 * 60 * 1000;

/** Uploads that wait for bytes. Not state: a cell that restarts has lost them, too. */
const waiting = new WeakMap<Media, { arrived: () => void; cancel: () => void }>();

/** POST catalog/{id}/action/upload: 201 with the catalog item; its Entity is the medium, which has the link for the bytes. */
export async function uploadIntoCatalog(exchange: Exchange): Promise<Answer> {
  const { cloud } = exchange;
  const catalog = requireCatalog(exchange, exchange.parameters.id ?? '', 'write');
  const body = readBody(exchange, { element: 'Media', media: MEDIA.media });
  requireNameInCatalog(cloud, catalog, readName(body));
  const profile = readProfile(exchange, catalog.organizationId, body.child('VdcStorageProfile')) ?? profileOf(cloud, catalog);
  const media = await newUpload(exchange, body, profile);
  const item = addCatalogItem(cloud, catalog, media.name, media.description, { kind: 'media', id: media.id });
  const headers = { Location: exchange.hrefs.catalogItem(item.id) };
  return { status: 201, xml: catalogItemView(exchange, item), media: MEDIA.catalogItem, headers };
}

/** POST vdc/{id}/media, of before catalogs took uploads: 201 with the medium, which is in no catalog. */
export async function uploadIntoVdc(exchange: Exchange): Promise<Answer> {
  const { cloud } = exchange;
  const vdc = cloud.requireVdc(exchange.session, exchange.parameters.id ?? '');
  const body = readBody(exchange, { element: 'Media', media: MEDIA.media });
  const profile = readProfile(exchange, vdc.organizationId, body.child('VdcStorageProfile')) ?? cloud.defaultStorageProfile(vdc.id);
  if (profile.vdcId !== vdc.id) throw invalidProfile(profile.name);
  const media = await newUpload(exchange, body, profile);
  return { status: 201, xml: mediaView(exchange, media), media: MEDIA.media, headers: { Location: exchange.hrefs.media(media.id) } };
}

async function newUpload(exchange: Exchange, body: XmlElement, profile: StorageProfile): Promise<Media> {
  const { cloud } = exchange;
  const imageType = body.attribute('imageType', '');
  if (imageType !== 'iso' && imageType !== 'floppy') throw badRequest(`The image type "${imageType ?? ''}" is not supported.`);
  const sizeBytes = Number(body.attribute('size', ''));
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) throw badRequest('The size of a media file must be a positive number of bytes.');
  const media = newMedia(cloud, {
    name: readName(body),
    description: body.textAt('Description') ?? '',
    ownerUserId: exchange.session.user.id,
    imageType,
    sizeBytes,
    profile,
  });
  await createMediaFile(cloud, media);
  media.uploadTransferId = randomUUID();
  const task = startUploadTask(exchange, media);
  media.uploadTaskId = task.id;
  cloud.state.media.push(media);
  cloud.changed();
  return media;
}

export interface NewMediaFields {
  name: string;
  description: string;
  ownerUserId: string | undefined;
  imageType: Media['imageType'];
  sizeBytes: number;
  profile: StorageProfile;
}

/** A medium without bytes, not yet in the state. */
export function newMedia(cloud: VcdCloud, { profile, ...fields }: NewMediaFields): Media {
  const vdc = cloud.vdc(profile.vdcId);
  if (!vdc) throw new Error(`The simulated cloud has lost the VDC of storage profile ${profile.name}`);
  const id = randomUUID();
  return {
    ...fields,
    id,
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    createdAt: new Date().toISOString(),
    storageProfileId: profile.id,
    status: 0,
    receivedRanges: [],
    fileName: `${id}.${fields.imageType}`,
    uploadTransferId: undefined,
    uploadTaskId: undefined,
    downloadTransferId: undefined,
    metadata: [],
  };
}

/** Runs until the last byte is there; a cancelled or timed-out upload takes its medium with it. */
function startUploadTask(exchange: Exchange, media: Media): Task {
  const { cloud } = exchange;
  return startTask(exchange, {
    operationName: 'vdcUploadMedia',
    operation: 'Importing Media',
    entity: mediaName(media),
    onCancel: () => waiting.get(media)?.cancel(),
    work: async () => {
      await allBytes(media);
      media.status = 1;
      media.uploadTransferId = undefined;
      cloud.changed();
    },
    undo: () => removeMedia(cloud, media),
  });
}

function allBytes(media: Media): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (finish: () => void): void => {
      clearTimeout(timer);
      waiting.delete(media);
      finish();
    };
    const fail = (message: string): void => end(() => reject(new VcdFault(400, 'TRANSFER_ERROR', message)));
    const arrived = (): void => {
      clearTimeout(timer);
      if (receivedBytes(media) === media.sizeBytes) end(resolve);
      else timer = setTimeout(() => fail(`The transfer of media "${media.name}" has timed out.`), TRANSFER_TIMEOUT_MS).unref();
    };
    waiting.set(media, { arrived, cancel: () => fail(`The transfer of media "${media.name}" was cancelled.`) });
    arrived();
  });
}

/** Told by the transfer door after each piece. */
export function bytesArrived(cloud: VcdCloud, media: Media): void {
  cloud.changed();
  waiting.get(media)?.arrived();
}

async function removeMedia(cloud: VcdCloud, media: Media): Promise<void> {
  await deleteMediaFile(cloud, media);
  cloud.state.catalogItems = cloud.state.catalogItems.filter((item) => item.entityId !== media.id);
  cloud.state.media = cloud.state.media.filter((candidate) => candidate.id !== media.id);
  cloud.changed();
}

export function deleteMedia(exchange: Exchange): Answer {
  const media = requireMedia(exchange, exchange.parameters.id ?? '', 'write');
  return accepted(exchange, {
    operationName: 'vdcDeleteMedia',
    operation: 'Deleting Media File',
    entity: mediaName(media),
    work: () => removeMedia(exchange.cloud, media),
  });
}

/** PUT media/{id}: name and Description; its catalog item goes by the same name. */
export function updateMedia(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const media = requireMedia(exchange, exchange.parameters.id ?? '', 'write');
  const body = readBody(exchange, { element: 'Media', media: MEDIA.media });
  const name = readName(body);
  const item = catalogItemOf(cloud, media.id);
  const catalog = cloud.state.catalogs.find((candidate) => candidate.id === item?.catalogId);
  if (catalog && name !== media.name) requireNameInCatalog(cloud, catalog, name);
  return accepted(exchange, {
    operationName: 'vdcUpdateMedia',
    operation: 'Updating Media File',
    entity: mediaName(media),
    work: () => {
      media.name = name;
      media.description = body.textAt('Description') ?? '';
      if (item) item.name = name;
      cloud.changed();
    },
  });
}

/** 202; from its end on, and until disableDownload, the medium has a File with the link for its bytes. */
export function enableMediaDownload(exchange: Exchange): Answer {
  const media = requireMedia(exchange, exchange.parameters.id ?? '', 'write');
  if (media.status !== 1) throw badRequest(`The media "${media.name}" is not ready to be downloaded.`);
  return accepted(exchange, {
    operationName: 'vdcEnableDownload',
    operation: 'Enabling download of Media File',
    entity: mediaName(media),
    work: () => {
      media.downloadTransferId ??= randomUUID();
      exchange.cloud.changed();
    },
  });
}

export function disableMediaDownload(exchange: Exchange): Answer {
  const media = requireMedia(exchange, exchange.parameters.id ?? '', 'write');
  media.downloadTransferId = undefined;
  exchange.cloud.changed();
  return noContent;
}

/** POST vimServer/{id}/importMedia: an image that lies on a datastore; 201 with the medium. */
export async function importMedia(exchange: Exchange): Promise<Answer> {
  requireProvider(exchange);
  const { cloud } = exchange;
  const vimServerId = exchange.parameters.id ?? '';
  if (cloud.state.vimServer.id !== vimServerId) throw noAccess('vimServer', vimServerId);
  const body = readBody(exchange, { element: 'ImportMediaParams', namespace: NAMESPACES.vmext, media: MEDIA.importMedia });
  const vdc = cloud.requireVdc(exchange.session, idFromHref(body.child('Vdc', NAMESPACES.vmext)?.attribute('href', '') ?? '', 'vdc/'));
  const moRef = body.child('DatastoreMoRef', NAMESPACES.vmext)?.text() ?? '';
  const datastore = cloud.vsphere.datastores().find((candidate) => candidate.moRef === moRef);
  if (!datastore) throw new VcdFault(400, 'INVALID_REFERENCE', `The datastore "${moRef}" does not exist.`);
  const sourcePath = body.child('SourcePath', NAMESPACES.vmext)?.text() ?? '';
  if (sourcePath.split('/').includes('..')) throw badRequest(`The path "${sourcePath}" is not valid.`);
  const source = `${datastore.directory}/${sourcePath}`;
  const size = await stat(source).then(
    (info) => (info.isFile() ? info.size : 0),
    () => 0,
  );
  if (size === 0) throw badRequest(`The file "${sourcePath}" does not exist on datastore "${datastore.name}".`);
  const catalogHref = body.child('Catalog', NAMESPACES.vmext)?.attribute('href', '');
  const catalog = catalogHref === undefined ? undefined : requireCatalog(exchange, idFromHref(catalogHref, 'catalog/'), 'write');
  const profile =
    readProfile(exchange, vdc.organizationId, body.child('VdcStorageProfile', NAMESPACES.vmext)) ?? cloud.defaultStorageProfile(vdc.id);
  const fields = { name: readName(body), description: body.textAt('Description') ?? '', imageType: 'iso' as const, sizeBytes: size };
  if (catalog) requireNameInCatalog(cloud, catalog, fields.name);
  const media = newMedia(cloud, { ...fields, ownerUserId: exchange.session.user.id, profile });
  cloud.state.media.push(media);
  if (catalog) addCatalogItem(cloud, catalog, media.name, media.description, { kind: 'media', id: media.id });
  cloud.changed();
  startTask(exchange, {
    operationName: 'vdcImportMedia',
    operation: 'Importing Media',
    entity: mediaName(media),
    work: async () => {
      await mkdir(dirname(mediaPath(cloud, media)), { recursive: true });
      await copyFile(source, mediaPath(cloud, media));
      if (isTrue(body.attribute('sourceMove', ''))) await rm(source, { force: true });
      media.receivedRanges = [{ startByte: 0, endByteExclusive: size }];
      media.status = 1;
      cloud.changed();
    },
    undo: () => removeMedia(cloud, media),
  });
  return { status: 201, xml: mediaView(exchange, media), media: MEDIA.media, headers: { Location: exchange.hrefs.media(media.id) } };
}

/** @throws VcdFault 400 DUPLICATE_NAME: names are unique in a catalog, whatever they are of. */
export function requireNameInCatalog(cloud: VcdCloud, catalog: Catalog, name: string): void {
  if (cloud.state.catalogItems.some((item) => item.catalogId === catalog.id && item.name === name)) throw duplicateName(name);
}

export function addCatalogItem(
  cloud: VcdCloud,
  catalog: Catalog,
  name: string,
  description: string,
  entity: { kind: CatalogItem['entityKind']; id: string },
): CatalogItem {
  const item: CatalogItem = {
    id: randomUUID(),
    catalogId: catalog.id,
    name,
    description,
    createdAt: new Date().toISOString(),
    versionNumber: 1,
    entityKind: entity.kind,
    entityId: entity.id,
    metadata: [],
  };
  cloud.state.catalogItems.push(item);
  catalog.versionNumber += 1;
  cloud.changed();
  return item;
}

function readName(body: XmlElement): string {
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The media name must have 1 to 128 characters.');
  return name;
}

/** @throws VcdFault 400 for a profile of no VDC of this organization. */
export function readProfile(exchange: Exchange, organizationId: string, reference: XmlElement | undefined): StorageProfile | undefined {
  const href = reference?.attribute('href', '');
  if (href === undefined) return undefined;
  const { cloud } = exchange;
  const profile = cloud.storageProfile(idFromHref(href, 'vdcStorageProfile/'));
  if (!profile || cloud.vdc(profile.vdcId)?.organizationId !== organizationId) throw invalidProfile(href);
  return profile;
}

function invalidProfile(name: string): VcdFault {
  return new VcdFault(400, 'INVALID_REFERENCE', `The storage profile "${name}" cannot be used here.`);
}

/** Where a catalog keeps what comes without a storage profile: on its own profile, else on any of its organization's. */
export function profileOf(cloud: VcdCloud, catalog: Catalog): StorageProfile {
  const own = cloud.storageProfile(catalog.storageProfileId ?? '');
  const vdc = cloud.state.vdcs.find((candidate) => candidate.organizationId === catalog.organizationId);
  if (!own && !vdc) throw badRequest(`The organization of catalog "${catalog.name}" has no VDC to keep it in.`);
  return own ?? cloud.defaultStorageProfile(vdc?.id ?? '');
}
