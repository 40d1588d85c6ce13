import { captureAffinityRules } from './capture-affinity-rules.js';
import { captureNamedDisks } from './capture-named-disks.js';
import { nameStorageProfiles, readPlace } from './capture-place.js';
import { originOf, sectionsOf } from './capture-vm.js';
import { readProductSections, readVmParts } from './capture-vm-parts.js';
import { readVapp, type VcdContext } from './context.js';
import { EntityReader } from './entity-reader.js';
import { linkHref, under, urnOf } from './links.js';
import { MEDIA } from './namespaces.js';
import { accessOf, leaseOf, networksOf, startupOf, whole } from './sections.js';
import type { VappCapture } from './types.js';

/**
 * Reads everything the guide's chapter 8 wants kept of a vApp: the entity with its VMs in one answer, and beside it
 * what has a resource of its own. At most 9 requests, and two per VM and three per named disk, a few at a time (the
 * client's limit), so that a vApp of a hundred VMs does not stand in VCD's way.
 *
 * @throws VcdError VAPP_NOT_FOUND, VIM_INFO_MISSING
 */
export async function captureVapp(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<VappCapture> {
  const { root, text } = await readVapp(context, vappHref, signal);
  const href = root.attribute('href') ?? vappHref;
  const subject = context.names.label(href);
  const reader = new EntityReader(context, { subject, ownPath: '/vApp/', goneCode: 'VAPP_NOT_FOUND' }, signal);
  reader.keep(href, text);
  const [place, owner, access, metadata, products, read] = await Promise.all([
    readPlace(reader, root),
    reader.owner(root, href),
    reader.read(linkHref(root, 'down', MEDIA.controlAccess) ?? under(href, 'controlAccess', ''), 'the access rights'),
    reader.metadata(root, href),
    readProductSections(reader, root),
    Promise.all((root.child('Children')?.childrenNamed('Vm') ?? []).map((vm) => readVmParts(reader, vm))),
  ]);
  const vms = nameStorageProfiles(read, place.vdcEntity);
  const [namedDisks, affinityRules] = await Promise.all([captureNamedDisks(reader, vms), captureAffinityRules(reader, place, vms)]);
  const description = root.textAt('Description');
  return {
    // A standalone VM is in a vApp of VCD's own making, which nobody sees.
    kind: root.textAt('autoNature') === 'true' ? 'standalone-vm' : 'vapp',
    href,
    id: root.attribute('id') ?? urnOf('vapp', href),
    name: root.attribute('name') ?? '',
    ...(description ? { description } : {}),
    status: whole(root.attribute('status')) ?? 0,
    deployed: root.attribute('deployed') === 'true',
    ...originOf('vapp', metadata),
    organization: place.organization,
    vdc: place.vdc,
    ...(place.resourcePool ? { resourcePool: place.resourcePool } : {}),
    owner: owner ?? reader.fail('the owner', 'the answer names no user'),
    inMaintenanceMode: root.textAt('InMaintenanceMode') === 'true',
    lease: leaseOf(root.child('LeaseSettingsSection')),
    startup: startupOf(root.child('StartupSection')),
    networks: networksOf(root.child('NetworkConfigSection')),
    access: accessOf(access),
    metadata,
    vms,
    namedDisks,
    ...(affinityRules ? { affinityRules } : {}),
    sections: sectionsOf(root, products),
    apiVersion: context.http.session.apiVersion,
    raw: reader.raw,
  };
}
