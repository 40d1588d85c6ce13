import type { XmlElement } from '../../../../src/common/index.js';
import { type Answer, type Exchange, noContent, ok, readBody } from '../exchange.js';
import { badRequest, VcdFault } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import { readAccess } from '../operations/access.js';
import {
  catalogItemOf,
  requireCatalog,
  requireCatalogItem,
  requireMedia,
  requireTemplate,
  requireTemplateVm,
} from '../operations/entities.js';
import { addCatalogItem, requireNameInCatalog } from '../operations/media.js';
import { deleteMediaFile } from '../operations/media-bytes.js';
import {
  captureIntoCatalog,
  captureIntoVdc,
  deleteContent,
  deleteTemplate,
  instantiate,
  updateTemplate,
  updateTemplateSection,
} from '../operations/templates.js';
import { type Route, route } from '../router.js';
import { catalogItemView, catalogView } from '../views/catalog-view.js';
import { templateView, templateVmView } from '../views/template-view.js';
import { accessView } from '../views/vapp-view.js';
import { MEDIA } from '../xml-names.js';
import { ownerAnswer, readOwner } from './disk-routes.js';

const idOf = (exchange: Exchange): string => exchange.parameters.id ?? '';
const TEMPLATE = 'vAppTemplate/vappTemplate-:id';

/** Catalogs, their items, and vApp templates. */
export const catalogRoutes: readonly Route[] = [
  route('GET', 'catalog/:id', (exchange) => getCatalog(exchange, false)),
  route('GET', 'admin/catalog/:id', (exchange) => getCatalog(exchange, true)),
  ...['catalog/:id', 'admin/catalog/:id'].flatMap((path) => [
    route('GET', `${path}/owner`, (exchange) => {
      const catalog = requireCatalog(exchange, idOf(exchange));
      return ownerAnswer(exchange, catalog.name, catalog.ownerUserId);
    }),
    route('PUT', `${path}/owner`, (exchange) => {
      const catalog = requireCatalog(exchange, idOf(exchange), 'write');
      catalog.ownerUserId = readOwner(exchange, catalog);
      exchange.cloud.changed();
      return noContent;
    }),
  ]),
  route('GET', 'org/:org/catalog/:id/controlAccess', (exchange) =>
    ok(accessView(exchange, requireCatalog(exchange, idOf(exchange)).access), MEDIA.controlAccess),
  ),
  route('POST', 'org/:org/catalog/:id/action/controlAccess', (exchange) => {
    const catalog = requireCatalog(exchange, idOf(exchange), 'write');
    catalog.access = readAccess(exchange, catalog);
    exchange.cloud.changed();
    return ok(accessView(exchange, catalog.access), MEDIA.controlAccess);
  }),
  route('POST', 'catalog/:id/catalogItems', addItem),
  route('POST', 'catalog/:id/action/captureVApp', captureIntoCatalog),
  route('POST', 'vdc/:id/action/captureVApp', captureIntoVdc),
  route('POST', 'vdc/:id/action/instantiateVAppTemplate', instantiate),
  route('GET', 'catalogItem/:id', (exchange) =>
    ok(catalogItemView(exchange, requireCatalogItem(exchange, idOf(exchange))), MEDIA.catalogItem),
  ),
  route('PUT', 'catalogItem/:id', updateItem),
  route('DELETE', 'catalogItem/:id', removeItem),
  route('GET', TEMPLATE, (exchange) => ok(templateView(exchange, requireTemplate(exchange, idOf(exchange))), MEDIA.vappTemplate)),
  route('PUT', TEMPLATE, updateTemplate),
  route('DELETE', TEMPLATE, deleteTemplate),
  route('GET', `${TEMPLATE}/owner`, (exchange) => {
    const template = requireTemplate(exchange, idOf(exchange));
    return ownerAnswer(exchange, template.name, template.ownerUserId);
  }),
  route('PUT', `${TEMPLATE}/owner`, (exchange) => {
    const template = requireTemplate(exchange, idOf(exchange), 'write');
    template.ownerUserId = readOwner(exchange, template);
    exchange.cloud.changed();
    return noContent;
  }),
  ...(
    [
      ['leaseSettingsSection', MEDIA.leaseSettings, 'LeaseSettingsSection'],
      ['customizationSection', MEDIA.customizationSection, 'CustomizationSection'],
      ['networkConfigSection', MEDIA.networkConfig, 'NetworkConfigSection'],
      ['networkSection', MEDIA.networkSection, 'NetworkSection'],
    ] as const
  ).map(([path, media, element]) => route('GET', `${TEMPLATE}/${path}`, (exchange) => templateSection(exchange, element, media))),
  route('PUT', `${TEMPLATE}/leaseSettingsSection`, (exchange) => updateTemplateSection(exchange, 'lease')),
  route('PUT', `${TEMPLATE}/customizationSection`, (exchange) => updateTemplateSection(exchange, 'customization')),
  route('GET', 'vAppTemplate/vm-:id', (exchange) => {
    const vm = requireTemplateVm(exchange, idOf(exchange));
    return ok(templateVmView(exchange, requireTemplate(exchange, vm.vappId), vm, 'VAppTemplate'), MEDIA.vm);
  }),
  ...(
    [
      ['networkConnectionSection', MEDIA.networkConnection, 'NetworkConnectionSection'],
      ['guestCustomizationSection', MEDIA.guestCustomization, 'GuestCustomizationSection'],
    ] as const
  ).map(([path, media, element]) =>
    route('GET', `vAppTemplate/vm-:id/${path}`, (exchange) => {
      const vm = requireTemplateVm(exchange, idOf(exchange));
      return sectionOf(templateVmView(exchange, requireTemplate(exchange, vm.vappId), vm, 'VAppTemplate'), element, media);
    }),
  ),
];

function getCatalog(exchange: Exchange, admin: boolean): Answer {
  const catalog = requireCatalog(exchange, idOf(exchange));
  return ok(catalogView(exchange, catalog, admin), admin ? MEDIA.adminCatalog : MEDIA.catalog);
}

function templateSection(exchange: Exchange, element: string, media: string): Answer {
  return sectionOf(templateView(exchange, requireTemplate(exchange, idOf(exchange))), element, media);
}

function sectionOf(view: XmlElement, element: string, media: string): Answer {
  const found = view.elements().find((child) => child.local === element);
  if (!found) throw new VcdFault(404, 'NOT_FOUND', `The vApp template has no ${element}.`);
  return ok(found, media);
}

/** POST catalog/{id}/catalogItems: an entity of the organization that is in no catalog yet. 201. */
function addItem(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const catalog = requireCatalog(exchange, idOf(exchange), 'write');
  const body = readBody(exchange, { element: 'CatalogItem', media: MEDIA.catalogItem });
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The catalog item name must have 1 to 128 characters.');
  const href = body.child('Entity')?.attribute('href', '') ?? '';
  const isMedia = href.includes('/media/');
  const entity = isMedia
    ? requireMedia(exchange, idFromHref(href, 'media/'))
    : requireTemplate(exchange, idFromHref(href, 'vAppTemplate/vappTemplate-'));
  if (entity.organizationId !== catalog.organizationId || catalogItemOf(cloud, entity.id))
    throw badRequest(`"${entity.name}" cannot be added to catalog "${catalog.name}".`);
  requireNameInCatalog(cloud, catalog, name);
  const item = addCatalogItem(cloud, catalog, name, body.textAt('Description') ?? '', {
    kind: isMedia ? 'media' : 'vappTemplate',
    id: entity.id,
  });
  const headers = { Location: exchange.hrefs.catalogItem(item.id) };
  return { status: 201, xml: catalogItemView(exchange, item), media: MEDIA.catalogItem, headers };
}

/** 200 with the item, and no task. */
function updateItem(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const item = requireCatalogItem(exchange, idOf(exchange), 'write');
  const body = readBody(exchange, { element: 'CatalogItem', media: MEDIA.catalogItem });
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The catalog item name must have 1 to 128 characters.');
  if (name !== item.name) requireNameInCatalog(cloud, requireCatalog(exchange, item.catalogId), name);
  item.name = name;
  item.description = body.textAt('Description') ?? '';
  item.versionNumber += 1;
  const entity = [...cloud.state.media, ...cloud.state.vappTemplates].find((candidate) => candidate.id === item.entityId);
  if (entity) entity.name = name;
  cloud.changed();
  return ok(catalogItemView(exchange, item), MEDIA.catalogItem);
}

/** 204, no task; what the item leads to goes with it. */
async function removeItem(exchange: Exchange): Promise<Answer> {
  const { cloud } = exchange;
  const item = requireCatalogItem(exchange, idOf(exchange), 'write');
  if (item.entityKind === 'media') {
    const media = requireMedia(exchange, item.entityId, 'write');
    await deleteMediaFile(cloud, media);
    cloud.state.media = cloud.state.media.filter((candidate) => candidate.id !== media.id);
  } else {
    await deleteContent(cloud, requireTemplate(exchange, item.entityId, 'write').id);
  }
  cloud.state.catalogItems = cloud.state.catalogItems.filter((candidate) => candidate.id !== item.id);
  cloud.changed();
  return noContent;
}
