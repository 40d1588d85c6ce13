import { MIB } from '../../../src/common/index.js';
import { type FieldTable, type QueryType, queryType } from './query-type.js';
import type { Catalog, CatalogItem, Media, NamedDisk, VappTemplate } from './state.js';
import type { Viewer } from './views/viewer.js';
import { MEDIA } from './xml-names.js';

function seesCatalog({ session }: Viewer, catalog: Catalog): boolean {
  if (session.isProvider) return true;
  if (catalog.organizationId !== session.organization.id) return false;
  if (session.user.role === 'Organization Administrator' || catalog.ownerUserId === session.user.id) return true;
  return catalog.access.sharedToEveryone || catalog.access.grants.some((grant) => grant.subjectId === session.user.id);
}

const catalogOf = (id: string, { cloud }: Viewer): Catalog | undefined => cloud.state.catalogs.find((catalog) => catalog.id === id);
const itemOf = (entityId: string, { cloud }: Viewer): CatalogItem | undefined =>
  cloud.state.catalogItems.find((item) => item.entityId === entityId);
const catalogOfEntity = (entityId: string, viewer: Viewer): Catalog | undefined =>
  catalogOf(itemOf(entityId, viewer)?.catalogId ?? '', viewer);
const countItems = (catalog: Catalog, kind: CatalogItem['entityKind'], { cloud }: Viewer): number =>
  cloud.state.catalogItems.filter((item) => item.catalogId === catalog.id && item.entityKind === kind).length;
/** An entity in no catalog belongs to its organization only. */
function seesEntity(viewer: Viewer, entity: VappTemplate | Media): boolean {
  if (viewer.session.isProvider) return true;
  const catalog = catalogOfEntity(entity.id, viewer);
  return catalog ? seesCatalog(viewer, catalog) : entity.organizationId === viewer.session.organization.id;
}

interface Owned {
  ownerUserId: string | undefined;
}
interface Placed {
  vdcId: string;
  organizationId: string;
}
const ownerName = (entity: Owned, { cloud }: Viewer) => cloud.user(entity.ownerUserId ?? '')?.name;
const ownerHref = (entity: Owned, { hrefs }: Viewer) => (entity.ownerUserId === undefined ? undefined : hrefs.user(entity.ownerUserId));
const orgHref = (entity: { organizationId: string }, { hrefs }: Viewer) => hrefs.org(entity.organizationId);
const vdcHref = (entity: Placed, { hrefs }: Viewer) => hrefs.vdc(entity.vdcId);
const vdcName = (entity: Placed, { cloud }: Viewer) => cloud.vdc(entity.vdcId)?.name;
const isVdcEnabled = (entity: Placed, { cloud }: Viewer) => cloud.vdc(entity.vdcId)?.enabled;

const inCatalog: FieldTable<VappTemplate | Media> = {
  catalog: (entity, viewer) => {
    const catalog = catalogOfEntity(entity.id, viewer);
    return catalog && viewer.hrefs.catalog(catalog.id);
  },
  catalogName: (entity, viewer) => catalogOfEntity(entity.id, viewer)?.name,
};
const catalogItemHref = (entity: VappTemplate | Media, viewer: Viewer) => {
  const item = itemOf(entity.id, viewer);
  return item && viewer.hrefs.catalogItem(item.id);
};

const TEMPLATE_FIELDS: FieldTable<VappTemplate> = {
  name: (template) => template.name,
  ownerName,
  ...inCatalog,
  isPublished: () => false,
  vdc: vdcHref,
  vdcName,
  org: orgHref,
  creationDate: (template) => template.createdAt,
  isBusy: (template, { cloud }) => template.creation === 'running' || cloud.isBusy(template.id),
  isGoldMaster: (template) => template.goldMaster,
  isEnabled: () => true,
  status: (template) => ({ running: 'UNRESOLVED', failed: 'FAILED_CREATION', done: 'RESOLVED' })[template.creation],
  isDeployed: () => false,
  isExpired: () => false,
  storageProfileName: (template, { cloud }) => cloud.storageProfile(cloud.templateVmsOf(template.id)[0]?.storageProfileId ?? '')?.name,
};

const templateType = (record: string, providerOnly: boolean, more: FieldTable<VappTemplate>): QueryType =>
  queryType<VappTemplate>({
    record,
    reference: 'VAppTemplateReference',
    media: MEDIA.vappTemplate,
    providerOnly,
    list: (viewer) => viewer.cloud.state.vappTemplates.filter((template) => seesEntity(viewer, template)),
    href: (template, { hrefs }) => hrefs.vappTemplate(template.id),
    urn: (template) => `urn:vcloud:vapptemplate:${template.id}`,
    metadata: (template) => template.metadata,
    fields: { ...TEMPLATE_FIELDS, ...more },
  });

const MEDIA_FIELDS: FieldTable<Media> = {
  name: (media) => media.name,
  ownerName,
  owner: ownerHref,
  isPublished: () => false,
  storageB: (media) => media.sizeBytes,
  vdc: vdcHref,
  vdcName,
  org: orgHref,
  ...inCatalog,
  catalogItem: catalogItemHref,
  creationDate: (media) => media.createdAt,
  isBusy: (media, { cloud }) => cloud.isBusy(media.id),
  status: (media) => ({ '-1': 'FAILED_CREATION', '0': 'UNRESOLVED', '1': 'RESOLVED' })[String(media.status)],
  storageProfileName: (media, { cloud }) => cloud.storageProfile(media.storageProfileId)?.name,
};

const mediaType = (record: string, providerOnly: boolean, more: FieldTable<Media>): QueryType =>
  queryType<Media>({
    record,
    reference: 'MediaReference',
    media: MEDIA.media,
    providerOnly,
    list: (viewer) => viewer.cloud.state.media.filter((media) => seesEntity(viewer, media)),
    href: (media, { hrefs }) => hrefs.media(media.id),
    urn: (media) => `urn:vcloud:media:${media.id}`,
    metadata: (media) => media.metadata,
    fields: { ...MEDIA_FIELDS, ...more },
  });

const CATALOG_FIELDS: FieldTable<Catalog> = {
  name: (catalog) => catalog.name,
  isPublished: () => false,
  isShared: (catalog) => catalog.access.sharedToEveryone || catalog.access.grants.length > 0,
  creationDate: (catalog) => catalog.createdAt,
  orgName: (catalog, { cloud }) => cloud.organization(catalog.organizationId)?.name,
  ownerName,
  owner: ownerHref,
  numberOfMedia: (catalog, viewer) => countItems(catalog, 'media', viewer),
  isLocal: () => true,
};

const catalogType = (record: string, providerOnly: boolean, more: FieldTable<Catalog>): QueryType =>
  queryType<Catalog>({
    record,
    reference: 'CatalogReference',
    media: providerOnly ? MEDIA.adminCatalog : MEDIA.catalog,
    providerOnly,
    list: (viewer) => viewer.cloud.state.catalogs.filter((catalog) => seesCatalog(viewer, catalog)),
    href: (catalog, { hrefs }) => (providerOnly ? hrefs.adminCatalog(catalog.id) : hrefs.catalog(catalog.id)),
    urn: (catalog) => `urn:vcloud:catalog:${catalog.id}`,
    metadata: (catalog) => catalog.metadata,
    fields: { ...CATALOG_FIELDS, ...more },
  });

function contentOf(item: CatalogItem, { cloud }: Viewer): VappTemplate | Media | undefined {
  return item.entityKind === 'media'
    ? cloud.state.media.find((media) => media.id === item.entityId)
    : cloud.state.vappTemplates.find((template) => template.id === item.entityId);
}
const ofContent =
  <V>(read: (content: VappTemplate | Media, viewer: Viewer) => V) =>
  (item: CatalogItem, viewer: Viewer): V | undefined => {
    const content = contentOf(item, viewer);
    return content && read(content, viewer);
  };

const ITEM_FIELDS: FieldTable<CatalogItem> = {
  name: (item) => item.name,
  entity: (item, { hrefs }) => (item.entityKind === 'media' ? hrefs.media(item.entityId) : hrefs.vappTemplate(item.entityId)),
  entityName: ofContent((content) => content.name),
  entityType: (item) => (item.entityKind === 'media' ? 'media' : 'vapptemplate'),
  catalog: (item, { hrefs }) => hrefs.catalog(item.catalogId),
  catalogName: (item, viewer) => catalogOf(item.catalogId, viewer)?.name,
  ownerName: ofContent(ownerName),
  owner: ofContent(ownerHref),
  isPublished: () => false,
  vdc: ofContent(vdcHref),
  vdcName: ofContent(vdcName),
  isVdcEnabled: ofContent(isVdcEnabled),
  creationDate: (item) => item.createdAt,
  isExpired: () => false,
  status: ofContent((content, viewer) =>
    String('sizeBytes' in content ? MEDIA_FIELDS.status?.(content, viewer) : TEMPLATE_FIELDS.status?.(content, viewer)),
  ),
};

const itemType = (record: string, providerOnly: boolean, more: FieldTable<CatalogItem>): QueryType =>
  queryType<CatalogItem>({
    record,
    reference: 'CatalogItemReference',
    media: MEDIA.catalogItem,
    providerOnly,
    list: (viewer) =>
      viewer.cloud.state.catalogItems.filter((item) => {
        const catalog = catalogOf(item.catalogId, viewer);
        return catalog !== undefined && seesCatalog(viewer, catalog);
      }),
    href: (item, { hrefs }) => hrefs.catalogItem(item.id),
    urn: (item) => `urn:vcloud:catalogitem:${item.id}`,
    metadata: (item) => item.metadata,
    fields: { ...ITEM_FIELDS, ...more },
  });

const DISK_FIELDS: FieldTable<NamedDisk> = {
  name: (disk) => disk.name,
  vdc: vdcHref,
  description: (disk) => disk.description,
  // Bytes were replaced by mebibytes in 33.0; the schema still has both.
  sizeMb: (disk) => Math.ceil(disk.sizeBytes / MIB),
  uuid: (disk) => disk.uuid,
  datastoreName: (disk) => /^\[([^\]]+)\]/.exec(disk.path)?.[1],
  ownerName,
  vdcName,
  storageProfile: (disk, { hrefs }) => hrefs.api(`vdcStorageProfile/${disk.storageProfileId}`),
  storageProfileName: (disk, { cloud }) => cloud.storageProfile(disk.storageProfileId)?.name,
  status: (disk) => ({ running: 'UNRESOLVED', failed: 'FAILED_CREATION', done: 'RESOLVED' })[disk.creation],
  busType: () => '6',
  busTypeDesc: () => 'SCSI',
  busSubType: (disk) => disk.busSubType,
  attachedVmCount: (disk) => (disk.attachedVmId === undefined ? 0 : 1),
  isAttached: (disk) => disk.attachedVmId !== undefined,
  isShareable: (disk) => disk.sharingType !== undefined,
  sharingType: (disk, { apiVersion }) => (apiVersion >= 36 ? (disk.sharingType ?? 'None') : undefined),
};

const diskType = (record: string, reference: string, providerOnly: boolean, more: FieldTable<NamedDisk>): QueryType =>
  queryType<NamedDisk>({
    record,
    reference,
    media: MEDIA.disk,
    providerOnly,
    list: ({ cloud, session }) => cloud.state.disks.filter((disk) => session.isProvider || disk.organizationId === session.organization.id),
    href: (disk, { hrefs }) => hrefs.disk(disk.id),
    urn: (disk) => `urn:vcloud:disk:${disk.id}`,
    metadata: (disk) => disk.metadata,
    fields: { ...DISK_FIELDS, ...more },
  });

/** Templates, media, catalogs and their items, named disks. */
export const CATALOG_QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  vAppTemplate: templateType('VAppTemplateRecord', false, { description: (template) => template.description }),
  adminVAppTemplate: templateType('AdminVAppTemplateRecord', true, { owner: ownerHref, isVdcEnabled, catalogItem: catalogItemHref }),
  media: mediaType('MediaRecord', false, {}),
  adminMedia: mediaType('AdminMediaRecord', true, { isVdcEnabled }),
  catalog: catalogType('CatalogRecord', false, {
    description: (catalog) => catalog.description,
    numberOfVAppTemplates: (catalog, viewer) => countItems(catalog, 'vappTemplate', viewer),
    version: (catalog) => catalog.versionNumber,
    status: () => 'READY',
  }),
  adminCatalog: catalogType('AdminCatalogRecord', true, {
    org: orgHref,
    numberOfTemplates: (catalog, viewer) => countItems(catalog, 'vappTemplate', viewer),
  }),
  catalogItem: itemType('CatalogItemRecord', false, {}),
  adminCatalogItem: itemType('AdminCatalogItemRecord', true, {
    org: (item, viewer) => {
      const catalog = catalogOf(item.catalogId, viewer);
      return catalog && orgHref(catalog, viewer);
    },
  }),
  disk: diskType('DiskRecord', 'DiskReference', false, {}),
  adminDisk: diskType('AdminDiskRecord', 'AdminDiskReference', true, {
    org: orgHref,
    vc: (_, { cloud, hrefs }) => hrefs.vimServer(cloud.state.vimServer.id),
  }),
};
