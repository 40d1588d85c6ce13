import { type Level, levelOf } from '../access-level.js';
import type { VcdCloud } from '../cloud.js';
import { type VcdFault, noAccess, operationDenied } from '../faults.js';
import type { Exchange } from '../exchange.js';
import type { Session } from '../sessions.js';
import type { AffinityRule, Catalog, CatalogItem, Media, NamedDisk, Vapp, VappTemplate, Vm } from '../state.js';
import type { OwnedEntity } from './guard.js';

/** What a VM is in: a vApp, or a vApp template. */
export function containerOf(cloud: VcdCloud, vm: Vm): Vapp | VappTemplate {
  const template = cloud.state.vappTemplates.find((candidate) => candidate.id === vm.vappId);
  return template ?? cloud.vappOf(vm);
}

/** The catalog item that leads to a template or medium; one that was never put into a catalog has none. */
export function catalogItemOf(cloud: VcdCloud, entityId: string): CatalogItem | undefined {
  return cloud.state.catalogItems.find((item) => item.entityId === entityId);
}
export function catalogOf(cloud: VcdCloud, entityId: string): Catalog | undefined {
  const item = catalogItemOf(cloud, entityId);
  return cloud.state.catalogs.find((catalog) => catalog.id === item?.catalogId);
}

const catalogLevel = (session: Session, catalog: Catalog): Level => levelOf(session, catalog, catalog.access);

export function templateLevel(cloud: VcdCloud, session: Session, entity: VappTemplate | Media): Level {
  return levelOf(session, entity, catalogOf(cloud, entity.id)?.access);
}

/** A named disk is its owner's and the administrators'; nobody else sees it. */
export const diskLevel = (session: Session, disk: NamedDisk): Level => levelOf(session, disk, undefined);

type Need = 'read' | 'write';

function granted(level: Level, need: Need, fault: () => VcdFault): void {
  if (level === 'none') throw fault();
  if (need === 'write' && level === 'ReadOnly') throw operationDenied('Catalog: Edit Properties');
}

export function requireCatalog({ cloud, session }: Exchange, id: string, need: Need = 'read'): Catalog {
  const catalog = cloud.state.catalogs.find((candidate) => candidate.id === id);
  if (!catalog) throw noAccess('catalog', id);
  granted(catalogLevel(session, catalog), need, () => noAccess('catalog', id));
  if (need === 'write' && catalog.subscribedTo !== undefined) throw operationDenied('Catalog: Edit Properties');
  return catalog;
}

export function requireCatalogItem(exchange: Exchange, id: string, need: Need = 'read'): CatalogItem {
  const item = exchange.cloud.state.catalogItems.find((candidate) => candidate.id === id);
  if (!item) throw noAccess('catalogitem', id);
  requireCatalog(exchange, item.catalogId, need);
  return item;
}

export function requireTemplate({ cloud, session }: Exchange, id: string, need: Need = 'read'): VappTemplate {
  const template = cloud.state.vappTemplates.find((candidate) => candidate.id === id);
  if (!template) throw noAccess('vapptemplate', id);
  granted(templateLevel(cloud, session, template), need, () => noAccess('vapptemplate', id));
  if (need === 'write') cloud.tasks.requireIdle(templateName(template), ...cloud.templateVmsOf(template.id).map((vm) => cloud.nameOf(vm)));
  return template;
}

export function requireTemplateVm(exchange: Exchange, id: string, need: Need = 'read'): Vm {
  const vm = exchange.cloud.state.templateVms.find((candidate) => candidate.id === id);
  if (!vm) throw noAccess('vm', id);
  requireTemplate(exchange, vm.vappId, need);
  return vm;
}

export function requireMedia({ cloud, session }: Exchange, id: string, need: Need = 'read'): Media {
  const media = cloud.state.media.find((candidate) => candidate.id === id);
  if (!media) throw noAccess('media', id);
  granted(templateLevel(cloud, session, media), need, () => noAccess('media', id));
  if (need === 'write') cloud.tasks.requireIdle(mediaName(media));
  return media;
}

export function requireDisk({ cloud, session }: Exchange, id: string, need: Need = 'read'): NamedDisk {
  const disk = cloud.state.disks.find((candidate) => candidate.id === id);
  if (!disk || diskLevel(session, disk) === 'none') throw noAccess('disk', id);
  if (need === 'write') cloud.tasks.requireIdle(diskName(disk));
  return disk;
}

export function requireAffinityRule(exchange: Exchange, id: string, need: Need = 'read'): AffinityRule {
  const rule = exchange.cloud.state.affinityRules.find((candidate) => candidate.id === id);
  if (!rule) throw noAccess('vmaffinityrule', id);
  const vdc = exchange.cloud.requireVdc(exchange.session, rule.vdcId);
  if (need === 'write') exchange.cloud.tasks.requireIdle(ruleName(rule, vdc.organizationId));
  return rule;
}

export const templateName = (template: VappTemplate): OwnedEntity => ({
  kind: 'vapptemplate',
  id: template.id,
  name: template.name,
  organizationId: template.organizationId,
});
export const mediaName = (media: Media): OwnedEntity => ({
  kind: 'media',
  id: media.id,
  name: media.name,
  organizationId: media.organizationId,
});
export const diskName = (disk: NamedDisk): OwnedEntity => ({
  kind: 'disk',
  id: disk.id,
  name: disk.name,
  organizationId: disk.organizationId,
});
export const catalogName = (catalog: Catalog): OwnedEntity => ({
  kind: 'catalog',
  id: catalog.id,
  name: catalog.name,
  organizationId: catalog.organizationId,
});
export const catalogItemName = (item: CatalogItem, organizationId: string): OwnedEntity => ({
  kind: 'catalogitem',
  id: item.id,
  name: item.name,
  organizationId,
});
export const ruleName = (rule: AffinityRule, organizationId: string): OwnedEntity => ({
  kind: 'vmaffinityrule',
  id: rule.id,
  name: rule.name,
  organizationId,
});
