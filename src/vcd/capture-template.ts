import type { XmlElement } from '../common/index.js';
import { nameStorageProfiles, readPlace } from './capture-place.js';
import { readCatalogEntry } from './capture-catalog-entry.js';
import { originOf, sectionsOf } from './capture-vm.js';
import { readProductSections, readVmParts } from './capture-vm-parts.js';
import { readTemplate, type VcdContext } from './context.js';
import { EntityReader } from './entity-reader.js';
import { urnOf } from './links.js';
import { leaseOf, networksOf, startupOf, whole } from './sections.js';
import type { VappCapture } from './types.js';

/**
 * A vApp template, read like a vApp: its VMs with their vSphere objects, networks, lease, metadata and owner, and its
 * place in the catalog. What a template has not (start state, access rights: its catalog's) is empty.
 * At most 10 requests, and two per VM.
 *
 * @throws VcdError TEMPLATE_NOT_FOUND, VIM_INFO_MISSING
 */
export async function captureVappTemplate(context: VcdContext, templateHref: string, signal?: AbortSignal): Promise<VappCapture> {
  const { root, text } = await readTemplate(context, templateHref, signal);
  const href = root.attribute('href') ?? templateHref;
  const subject = context.names.label(href);
  const reader = new EntityReader(context, { subject, ownPath: '/vAppTemplate/', goneCode: 'TEMPLATE_NOT_FOUND' }, signal);
  reader.keep(href, text);
  const [place, owner, metadata, products, catalogEntry, vms] = await Promise.all([
    readPlace(reader, root),
    reader.owner(root, href),
    reader.metadata(root, href),
    readProductSections(reader, root),
    readCatalogEntry(reader, root),
    Promise.all((root.child('Children')?.childrenNamed('Vm') ?? []).map((vm) => readVmParts(reader, vm))),
  ]);
  const description = root.textAt('Description');
  return {
    kind: 'vapp-template',
    href,
    id: root.attribute('id') ?? urnOf('vapptemplate', href),
    name: root.attribute('name') ?? '',
    ...(description ? { description } : {}),
    status: whole(root.attribute('status')) ?? 0,
    deployed: false,
    goldMaster: isGoldMaster(root),
    ...(catalogEntry ? { catalogEntry } : {}),
    ...originOf('vapp', metadata),
    organization: place.organization,
    vdc: place.vdc,
    ...(place.resourcePool ? { resourcePool: place.resourcePool } : {}),
    owner: owner ?? reader.fail('the owner', 'the answer names no user'),
    inMaintenanceMode: false,
    lease: leaseOf(root.child('LeaseSettingsSection')),
    startup: startupOf(root.child('StartupSection')),
    networks: networksOf(root.child('NetworkConfigSection')),
    access: { sharedToEveryone: false, grants: [] },
    metadata,
    vms: nameStorageProfiles(vms, place.vdcEntity),
    sections: sectionsOf(root, products),
    apiVersion: context.http.session.apiVersion,
    raw: reader.raw,
  };
}

/** An attribute of the template and of its CustomizationSection: not every release fills both. */
function isGoldMaster(template: XmlElement): boolean {
  return template.attribute('goldMaster') === 'true' || template.child('CustomizationSection')?.attribute('goldMaster') === 'true';
}
