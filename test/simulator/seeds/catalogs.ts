import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { seededBytes } from '../guest/random-bytes.js';
import type { VcdCloud } from '../vcd/cloud.js';
import { makeVappFolder } from '../vcd/operations/life.js';
import { addCatalogItem, newMedia, profileOf } from '../vcd/operations/media.js';
import { mediaPath } from '../vcd/operations/media-bytes.js';
import { copyVm, fillFromTemplate, newTemplate, vappFromTemplate } from '../vcd/operations/templates.js';
import type { Catalog } from '../vcd/state.js';
import type { CatalogSeed, Seed } from './schema.js';

/** The seed's catalogs with their templates (captured from its vApps) and media, then the vApps made from templates. */
export async function addCatalogs(cloud: VcdCloud, seed: Seed): Promise<void> {
  for (const catalog of seed.catalogs) await addCatalog(cloud, catalog);
  for (const instance of seed.instances) {
    const organization = named(cloud.state.organizations, instance.organization, 'organization');
    const catalog = named(cloud.state.catalogs.filter(ofOrganization(organization.id)), instance.catalog, 'catalog');
    const item = named(
      cloud.state.catalogItems.filter((candidate) => candidate.catalogId === catalog.id),
      instance.template,
      'template',
    );
    const template = cloud.state.vappTemplates.find((candidate) => candidate.id === item.entityId);
    if (!template) throw new Error(`The seed instantiates "${instance.template}", which is no template`);
    const vdc = named(cloud.state.vdcs.filter(ofOrganization(organization.id)), instance.vdc, 'VDC');
    const owner = named(cloud.state.users.filter(ofOrganization(organization.id)), instance.owner, 'user');
    const vapp = vappFromTemplate(cloud, vdc, template, { name: instance.name, description: instance.description, ownerUserId: owner.id });
    makeVappFolder(cloud, vapp);
    cloud.state.vapps.push(vapp);
    cloud.changed();
    await fillFromTemplate(cloud, vapp, template);
    vapp.creation = 'done';
  }
  for (const { vapp, vm, name, description } of seed.snapshots) {
    const found = named(cloud.vmsOf(named(cloud.state.vapps, vapp, 'vApp')), vm, 'VM');
    await cloud.vsphere.createSnapshot(found.moRef, { name, description });
  }
}

async function addCatalog(cloud: VcdCloud, seed: CatalogSeed): Promise<void> {
  const { state } = cloud;
  const organization = named(state.organizations, seed.organization, 'organization');
  const users = state.users.filter(ofOrganization(organization.id));
  const vdc = seed.storageProfile && named(state.vdcs.filter(ofOrganization(organization.id)), seed.storageProfile.vdc, 'VDC');
  const profiles = state.storageProfiles.filter((profile) => profile.vdcId === vdc?.id);
  const catalog: Catalog = {
    id: randomUUID(),
    name: seed.name,
    description: seed.description,
    organizationId: organization.id,
    ownerUserId: named(users, seed.owner, 'user').id,
    createdAt: new Date().toISOString(),
    versionNumber: 1,
    access: {
      sharedToEveryone: false,
      grants: seed.access.map((grant) => ({
        subjectKind: 'user' as const,
        subjectId: named(users, grant.user, 'user').id,
        accessLevel: grant.level,
      })),
    },
    metadata: structuredClone(seed.metadata),
    ...(seed.subscribedTo !== undefined && { subscribedTo: seed.subscribedTo }),
    storageProfileId: seed.storageProfile && named(profiles, seed.storageProfile.name, 'storage profile').id,
  };
  state.catalogs.push(catalog);
  for (const template of seed.templates) await addTemplate(cloud, catalog, template);
  for (const media of seed.media) await addMedia(cloud, catalog, media);
}

async function addTemplate(cloud: VcdCloud, catalog: Catalog, seed: CatalogSeed['templates'][number]): Promise<void> {
  const vapps = cloud.state.vapps.filter(ofOrganization(catalog.organizationId));
  const vapp = named(vapps, seed.fromVapp, 'vApp');
  const template = newTemplate(cloud, cloud.vdcOf(vapp), seed.name, seed.description, catalog.ownerUserId);
  template.goldMaster = seed.goldMaster;
  template.customizeOnInstantiate = seed.customizeOnInstantiate;
  template.networks = vapp.networks.map((network) => ({ ...network, id: randomUUID(), portGroupMoRef: undefined }));
  template.startup = structuredClone(vapp.startup);
  template.metadata = structuredClone(seed.metadata);
  for (const vm of cloud.vmsOf(vapp)) cloud.state.templateVms.push(await copyVm(cloud, vm, template));
  template.creation = 'done';
  addCatalogItem(cloud, catalog, seed.name, seed.description, { kind: 'vappTemplate', id: template.id });
}

async function addMedia(cloud: VcdCloud, catalog: Catalog, seed: CatalogSeed['media'][number]): Promise<void> {
  const { name, description, imageType, sizeBytes } = seed;
  const media = newMedia(cloud, {
    name,
    description,
    imageType,
    sizeBytes,
    ownerUserId: catalog.ownerUserId,
    profile: profileOf(cloud, catalog),
  });
  await mkdir(dirname(mediaPath(cloud, media)), { recursive: true });
  await writeFile(mediaPath(cloud, media), seededBytes(`${catalog.name}/${name}`, sizeBytes));
  media.receivedRanges = [{ startByte: 0, endByteExclusive: sizeBytes }];
  media.status = 1;
  media.metadata = structuredClone(seed.metadata);
  cloud.state.media.push(media);
  addCatalogItem(cloud, catalog, name, description, { kind: 'media', id: media.id });
}

const ofOrganization =
  (organizationId: string) =>
  (entity: { organizationId: string }): boolean =>
    entity.organizationId === organizationId;

export function named<T extends { name: string }>(list: readonly T[], name: string, kind: string): T {
  const found = list.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`The seed names the ${kind} "${name}", which is not in it`);
  return found;
}
