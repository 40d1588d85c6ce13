import type { XmlElement } from '../../../../src/common/index.js';
import type { Catalog, CatalogItem } from '../state.js';
import { build, links, MEDIA, reference } from '../xml-names.js';
import { ownerOf } from './disk-view.js';
import { storageProfileReference, type Viewer } from './viewer.js';

/** A catalog as its organization (CatalogType) or the provider's admin view (AdminCatalogType) shows it. */
export function catalogView(viewer: Viewer, catalog: Catalog, admin: boolean): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = admin ? hrefs.adminCatalog(catalog.id) : hrefs.catalog(catalog.id);
  const plain = hrefs.catalog(catalog.id);
  const ofOrganization = `${hrefs.org(catalog.organizationId)}/catalog/${catalog.id}`;
  const profile = storageProfileReference(viewer, 'VdcStorageProfile', catalog.storageProfileId ?? '');
  return build(
    admin ? 'AdminCatalog' : 'Catalog',
    {
      name: catalog.name,
      id: `urn:vcloud:catalog:${catalog.id}`,
      href,
      type: `${admin ? MEDIA.adminCatalog : MEDIA.catalog}+xml`,
    },
    admin ? links('up', hrefs.adminOrg(catalog.organizationId), MEDIA.adminOrg) : links('up', hrefs.org(catalog.organizationId), MEDIA.org),
    admin ? links('alternate', plain, MEDIA.catalog) : [],
    links('down', `${href}/metadata`, MEDIA.metadata),
    links('add', `${plain}/catalogItems`, MEDIA.catalogItem),
    links('add', `${plain}/action/upload`, MEDIA.media),
    links('add', `${plain}/action/captureVApp`, MEDIA.captureVapp),
    links('down', `${ofOrganization}/controlAccess/`, MEDIA.controlAccess),
    links('controlAccess', `${ofOrganization}/action/controlAccess`, MEDIA.controlAccess),
    build('Description', {}, catalog.description),
    ownerOf(viewer, catalog.ownerUserId),
    build(
      'CatalogItems',
      {},
      cloud.state.catalogItems.filter((item) => item.catalogId === catalog.id).map((item) => catalogItemReference(viewer, item)),
    ),
    build('IsPublished', {}, false),
    build('DateCreated', {}, catalog.createdAt),
    build('VersionNumber', {}, catalog.versionNumber),
    admin && profile ? build('CatalogStorageProfiles', {}, profile) : undefined,
    admin && catalog.subscribedTo !== undefined
      ? build(
          'ExternalCatalogSubscriptionParams',
          {},
          build('SubscribeToExternalFeeds', {}, true),
          build('Location', {}, catalog.subscribedTo),
          build('LocalCopy', {}, false),
        )
      : undefined,
  );
}

function catalogItemReference({ hrefs }: Viewer, item: CatalogItem): XmlElement {
  return reference('CatalogItem', { href: hrefs.catalogItem(item.id), id: item.id, name: item.name, media: MEDIA.catalogItem });
}

export function catalogReference({ hrefs }: Viewer, element: string, catalog: Catalog, admin: boolean): XmlElement {
  return reference(element, {
    href: admin ? hrefs.adminCatalog(catalog.id) : hrefs.catalog(catalog.id),
    id: `urn:vcloud:catalog:${catalog.id}`,
    name: catalog.name,
    media: admin ? MEDIA.adminCatalog : MEDIA.catalog,
  });
}

export function catalogItemView(viewer: Viewer, item: CatalogItem): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = hrefs.catalogItem(item.id);
  const isMedia = item.entityKind === 'media';
  const media = cloud.state.media.find((candidate) => candidate.id === item.entityId);
  const disks = cloud.templateVmsOf(item.entityId).flatMap((vm) => cloud.hardware(vm)?.disks ?? []);
  return build(
    'CatalogItem',
    {
      size: media?.sizeBytes ?? disks.reduce((sum, disk) => sum + disk.capacityBytes, 0),
      name: item.name,
      id: `urn:vcloud:catalogitem:${item.id}`,
      href,
      type: `${MEDIA.catalogItem}+xml`,
    },
    links('up', hrefs.catalog(item.catalogId), MEDIA.catalog),
    links('down', `${href}/metadata`, MEDIA.metadata),
    links('edit', href, MEDIA.catalogItem),
    links('remove', href),
    build('Description', {}, item.description),
    reference('Entity', {
      href: isMedia ? hrefs.media(item.entityId) : hrefs.vappTemplate(item.entityId),
      id: `urn:vcloud:${isMedia ? 'media' : 'vapptemplate'}:${item.entityId}`,
      name: item.name,
      media: isMedia ? MEDIA.media : MEDIA.vappTemplate,
    }),
    build('DateCreated', {}, item.createdAt),
    build('VersionNumber', {}, item.versionNumber),
  );
}
