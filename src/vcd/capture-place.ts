import type { XmlElement } from '../common/index.js';
import type { EntityReader } from './entity-reader.js';
import { linkHref, referenceOf, urnOf, uuidOf } from './links.js';
import { MEDIA } from './namespaces.js';
import type { VcdReference, VmCapture } from './types.js';

/** Where an entity stands: its VDC, that VDC's organization and, in the provider's view, the resource pool behind it. */
export interface Place {
  vdc: VcdReference;
  organization: VcdReference;
  resourcePool?: { moRef: string; vimServer?: VcdReference };
  vdcEntity: XmlElement;
}

/** The VDC is the entity's `up` link, the organization the VDC's; the admin view, where the VDC links to it, tells the resource pool. */
export async function readPlace(reader: EntityReader, entity: XmlElement): Promise<Place> {
  const vdcHref = linkHref(entity, 'up', MEDIA.vdc) ?? linkHref(entity, 'up', MEDIA.adminVdc);
  if (vdcHref === undefined) return reader.fail('the VDC', 'it has no link to it');
  const vdcEntity = await reader.read(vdcHref, 'the VDC');
  const orgHref = linkHref(vdcEntity, 'up', MEDIA.org) ?? linkHref(vdcEntity, 'up', MEDIA.adminOrg);
  if (orgHref === undefined) return reader.fail('the organization', 'its VDC has no link to it');
  const [organization, pool] = await Promise.all([reader.read(orgHref, 'the organization'), readResourcePool(reader, vdcEntity)]);
  const moRef = pool?.textAt('MoRef');
  const vimServer = referenceOf(pool?.child('VimServerRef'));
  return {
    vdc: self('vdc', vdcHref, vdcEntity),
    organization: self('org', orgHref, organization),
    ...(moRef ? { resourcePool: { moRef, ...(vimServer ? { vimServer } : {}) } } : {}),
    vdcEntity,
  };
}

async function readResourcePool(reader: EntityReader, vdc: XmlElement): Promise<XmlElement | undefined> {
  const shown = resourcePoolOf(vdc);
  const adminHref = linkHref(vdc, 'alternate', MEDIA.adminVdc);
  if (shown !== undefined || adminHref === undefined) return shown;
  const admin = await reader.readOptional(adminHref, 'the resource pool', { keepRaw: false });
  return admin && resourcePoolOf(admin);
}

/** VCloudExtension/VimObjectRef in the admin view; an elastic VDC lists its pools in ResourcePoolRefs, the primary one first. */
export function resourcePoolOf(vdc: XmlElement): XmlElement | undefined {
  const extensions = [...vdc.childrenNamed('VCloudExtension'), ...vdc.childrenNamed('ResourcePoolRefs')];
  return extensions
    .flatMap((extension) => extension.childrenNamed('VimObjectRef'))
    .find((reference) => reference.textAt('VimObjectType') === 'RESOURCE_POOL');
}

function self(kind: 'vdc' | 'org', href: string, entity: XmlElement): VcdReference {
  return { href, id: urnOf(kind, href), name: entity.attribute('name') ?? '', type: entity.attribute('type') ?? '' };
}

/** OVF items name a storage profile by its address alone; the VDC, which has the profile, gives the name. */
export function nameStorageProfiles(vms: readonly VmCapture[], vdc: XmlElement): VmCapture[] {
  const profiles = (vdc.child('VdcStorageProfiles')?.childrenNamed('VdcStorageProfile') ?? []).flatMap((found) => referenceOf(found) ?? []);
  const nameOf = (profile: VcdReference): VcdReference => {
    const uuid = uuidOf(profile.href);
    const name = profile.name ?? profiles.find((candidate) => uuid !== undefined && uuidOf(candidate.href) === uuid)?.name;
    return name === undefined ? profile : { ...profile, name };
  };
  const named = <T extends { storageProfile?: VcdReference }>(item: T): T =>
    item.storageProfile === undefined ? item : { ...item, storageProfile: nameOf(item.storageProfile) };
  return vms.map((vm) => ({ ...named(vm), disks: vm.disks.map(named) }));
}
