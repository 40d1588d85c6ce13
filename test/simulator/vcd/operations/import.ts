import { randomUUID } from 'node:crypto';
import type { XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import { badRequest, duplicateName, noAccess, VcdFault } from '../faults.js';
import { type Answer, type Exchange, readBody, requireProvider } from '../exchange.js';
import { idFromHref } from '../hrefs.js';
import { NETWORK_NONE, type StorageProfile, type Vapp, type Vdc, type Vm, type VmNic } from '../state.js';
import type { VcdCloud } from '../cloud.js';
import { templateView, vappShape } from '../views/template-view.js';
import { vappView } from '../views/vapp-view.js';
import { vmView } from '../views/vm-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';
import { requireCatalog, templateName } from './entities.js';
import { accepted, startTask, writableVapp } from './guard.js';
import { makeVappFolder, nameInVcenter, powerOnVms } from './life.js';
import { addCatalogItem, profileOf, requireNameInCatalog } from './media.js';
import { bridgedNetwork } from './networks.js';
import { isTrue } from './nics.js';
import { newTemplate } from './templates.js';

/** What both imports say about the VM. */
interface VmImport {
  source: SimVm;
  sourceMove: boolean;
  vmName: string;
  description: string;
  computerName: string;
  localId: string;
  profile: StorageProfile;
  /** ImportedDisk: device key -> id of a storage profile of its own. */
  diskProfiles: ReadonlyMap<number, string>;
}

/** POST vimServer/{id}/importVmAsVApp: 201 with the vApp being made; the task is in it. */
export function importVmAsVapp(exchange: Exchange): Answer {
  const { cloud } = exchange;
  requireVimServer(exchange);
  const body = readBody(exchange, { element: 'ImportVmAsVAppParams', namespace: NAMESPACES.vmext, media: MEDIA.importVmAsVapp });
  const vdc = referencedVdc(exchange, body);
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The vApp name must have 1 to 128 characters.');
  if (cloud.state.vapps.some((vapp) => vapp.vdcId === vdc.id && vapp.name === name)) throw duplicateName(name);
  const request = readVmImport(exchange, body, vdc, []);
  const vapp = newVapp(exchange, vdc, name, body.textAt('Description') ?? '');
  // Both default to true in the schema's text for instantiation; a client that wants neither says so.
  const powerOn = isTrue(body.attribute('powerOn', '') ?? 'true') && isTrue(body.attribute('deploy', '') ?? 'true');
  startTask(exchange, {
    operationName: 'importSingletonVapp',
    operation: 'Importing Virtual Application',
    entity: vapp,
    work: async () => {
      const vm = await takeOver(cloud, vapp, request);
      if (powerOn) await powerOnVms(cloud, vapp, [vm]);
      vapp.creation = 'done';
      cloud.changed();
    },
    undo: () => {
      vapp.creation = 'failed';
    },
  });
  return { status: 201, xml: vappView(exchange, vapp), media: MEDIA.vapp, headers: { Location: exchange.hrefs.vapp(vapp.id) } };
}

/** POST vimServer/{id}/importVmIntoExistingVApp: 202 with the task. */
export function importVmIntoVapp(exchange: Exchange): Answer {
  const { cloud } = exchange;
  requireVimServer(exchange);
  const body = readBody(exchange, {
    element: 'ImportVmIntoExistingVAppParams',
    namespace: NAMESPACES.vmext,
    media: MEDIA.importVmIntoVapp,
  });
  const vapp = writableVapp(exchange, idFromHref(body.child('VApp', NAMESPACES.vmext)?.attribute('href', '') ?? '', 'vApp/vapp-'));
  const request = readVmImport(exchange, body, cloud.vdcOf(vapp), cloud.vmsOf(vapp));
  return accepted(exchange, {
    operationName: 'importIntoExistingVapp',
    operation: 'Importing a VM into Virtual Application',
    entity: vapp,
    work: async () => {
      await takeOver(cloud, vapp, request);
    },
  });
}

/** POST vimServer/{id}/importVm (30.0): 201 with the Vm, in a vApp that VCD makes around it. */
export function importStandaloneVm(exchange: Exchange): Answer {
  const { cloud } = exchange;
  requireVimServer(exchange);
  const body = readBody(exchange, { element: 'ImportVmParams', namespace: NAMESPACES.vmext, media: MEDIA.importVm });
  const vdc = referencedVdc(exchange, body);
  const request = { ...readVmImport(exchange, body, vdc, []), description: body.textAt('Description') ?? '' };
  const isTaken = cloud.state.vapps.some(
    (vapp) => vapp.autoNature && vapp.vdcId === vdc.id && cloud.vmsOf(vapp)[0]?.name === request.vmName,
  );
  if (isTaken) throw duplicateName(request.vmName);
  const vapp = newVapp(exchange, vdc, `${request.vmName}-${randomUUID().slice(0, 8)}`, '');
  vapp.autoNature = true;
  const vm = importedVm(cloud, vapp, request, request.source.moRef);
  cloud.state.vms.push(vm);
  cloud.changed();
  startTask(exchange, {
    operationName: 'importSingletonVm',
    operation: 'Importing Virtual Machine',
    entity: vm,
    alsoBlocks: [vapp.id],
    work: async () => {
      const moRef = await moveIn(cloud, vapp, request);
      Object.assign(vm, importedVm(cloud, vapp, request, moRef), { id: vm.id });
      startsWithOthers(vapp, vm);
      vapp.creation = 'done';
      cloud.changed();
    },
    undo: () => {
      // The VM in vCenter is still its own: VCD's record of it goes without it.
      cloud.state.vms = cloud.state.vms.filter((candidate) => candidate.id !== vm.id);
      cloud.state.vapps = cloud.state.vapps.filter((candidate) => candidate.id !== vapp.id);
      if (cloud.vsphere.vms().every((each) => each.folderMoRef !== vapp.folderMoRef)) cloud.vsphere.remove(vapp.folderMoRef);
      cloud.changed();
    },
  });
  return { status: 201, xml: vmView(exchange, vm), media: MEDIA.vm, headers: { Location: exchange.hrefs.vm(vm.id) } };
}

/** POST vimServer/{id}/importVmAsVAppTemplate: 201 with a template of one VM. */
export function importVmAsTemplate(exchange: Exchange): Answer {
  const { cloud } = exchange;
  requireVimServer(exchange);
  const body = readBody(exchange, {
    element: 'ImportVmAsVAppTemplateParams',
    namespace: NAMESPACES.vmext,
    media: MEDIA.importVmAsVappTemplate,
  });
  const catalogHref = body.child('Catalog', NAMESPACES.vmext)?.attribute('href', '');
  const catalog = catalogHref === undefined ? undefined : requireCatalog(exchange, idFromHref(catalogHref, 'catalog/'), 'write');
  const vdc = body.child('Vdc', NAMESPACES.vmext) ? referencedVdc(exchange, body) : catalog && cloud.vdc(profileOf(cloud, catalog).vdcId);
  if (!vdc) throw badRequest('A template needs a VDC or a catalog.');
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The vApp template name must have 1 to 128 characters.');
  if (catalog) requireNameInCatalog(cloud, catalog, name);
  const request = readVmImport(exchange, body, vdc, []);
  if (request.source.powerState !== 'poweredOff')
    throw badRequest(`The VM "${request.source.name}" must be powered off to become a template.`);
  const template = newTemplate(cloud, vdc, name, body.textAt('Description') ?? '', exchange.session.user.id);
  template.goldMaster = isTrue(body.attribute('goldMaster', ''));
  if (catalog) addCatalogItem(cloud, catalog, name, template.description, { kind: 'vappTemplate', id: template.id });
  startTask(exchange, {
    operationName: 'vdcImportTemplate',
    operation: 'Importing Virtual Application Template',
    entity: templateName(template),
    work: async () => {
      const home = vappShape(template);
      const moRef = await moveIn(cloud, home, request);
      cloud.state.templateVms.push(importedVm(cloud, home, request, moRef));
      template.networks = home.networks;
      template.creation = 'done';
      cloud.changed();
    },
    undo: () => {
      template.creation = 'failed';
    },
  });
  const headers = { Location: exchange.hrefs.vappTemplate(template.id) };
  return { status: 201, xml: templateView(exchange, template), media: MEDIA.vappTemplate, headers };
}

function requireVimServer(exchange: Exchange): void {
  requireProvider(exchange);
  const id = exchange.parameters.id ?? '';
  if (exchange.cloud.state.vimServer.id !== id) throw noAccess('vimServer', id);
}

function referencedVdc(exchange: Exchange, body: XmlElement): Vdc {
  return exchange.cloud.requireVdc(exchange.session, idFromHref(body.child('Vdc', NAMESPACES.vmext)?.attribute('href', '') ?? '', 'vdc/'));
}

function readVmImport(exchange: Exchange, body: XmlElement, vdc: Vdc, siblings: readonly Vm[]): VmImport {
  const { cloud } = exchange;
  const text = (local: string): string | undefined => body.child(local, NAMESPACES.vmext)?.text() || undefined;
  const moRef = text('VmMoRef') ?? '';
  const source = cloud.vsphere.vm(moRef);
  if (!source) {
    throw new VcdFault(400, 'INVALID_REFERENCE', `The VM with MoRef "${moRef}" does not exist in vCenter "${cloud.state.vimServer.name}".`);
  }
  if ([...cloud.state.vms, ...cloud.state.templateVms].some((vm) => vm.moRef === moRef)) {
    throw badRequest(`The VM "${source.name}" (${moRef}) is already managed by VMware Cloud Director and cannot be imported.`);
  }
  const sourceMove = isTrue(body.attribute('sourceMove', '') ?? 'false');
  if (!sourceMove && source.powerState !== 'poweredOff') {
    throw badRequest(`The VM "${source.name}" is running: it can only be imported with sourceMove="true".`);
  }
  const vmName = text('VmName') ?? source.name;
  if (siblings.some((vm) => vm.name === vmName)) throw duplicateName(vmName);
  const localId = text('VAppScopedLocalId') ?? randomUUID();
  if (siblings.some((vm) => vm.localId === localId)) throw badRequest(`The vApp has a VM with the local id "${localId}" already.`);
  const profileHref = body.child('VdcStorageProfile', NAMESPACES.vmext)?.attribute('href', '');
  const profile =
    profileHref === undefined ? cloud.defaultStorageProfile(vdc.id) : cloud.storageProfile(idFromHref(profileHref, 'vdcStorageProfile/'));
  if (!profile || profile.vdcId !== vdc.id) throw badRequest(`The storage profile "${profileHref}" is not one of VDC "${vdc.name}".`);
  return {
    source,
    sourceMove,
    vmName,
    description: text('VmDescription') ?? '',
    computerName: requireComputerName(text('ComputerName') ?? hostNameFrom(vmName)),
    localId,
    profile,
    diskProfiles: readImportedDisks(cloud, body, vdc, source),
  };
}

/** @throws VcdFault 400 for a disk the VM does not have and for a profile of another VDC. */
function readImportedDisks(cloud: VcdCloud, body: XmlElement, vdc: Vdc, source: SimVm): Map<number, string> {
  const profiles = new Map<number, string>();
  for (const element of body.childrenNamed('ImportedDisk', NAMESPACES.vmext)) {
    const instanceId = element.attribute('instanceId', '') ?? '';
    const disk = source.disks.find((candidate) => String(candidate.key) === instanceId);
    if (!disk) throw badRequest(`The VM "${source.name}" has no disk with the instance id "${instanceId}".`);
    const href = element.child('VdcStorageProfile', NAMESPACES.vmext)?.attribute('href', '');
    if (href === undefined) continue;
    const profile = cloud.storageProfile(idFromHref(href, 'vdcStorageProfile/'));
    if (!profile || profile.vdcId !== vdc.id) throw badRequest(`The storage profile "${href}" is not one of VDC "${vdc.name}".`);
    profiles.set(disk.key, profile.id);
  }
  return profiles;
}

function requireComputerName(name: string): string {
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name)) throw badRequest(`The computer name "${name}" is not valid.`);
  return name;
}

function hostNameFrom(vmName: string): string {
  return (
    vmName
      .replace(/[^A-Za-z0-9-]/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 63) || 'vm'
  );
}

/** A vApp as an import starts it: nothing but a name, the organization's lease, and VCD's own user as owner. */
function newVapp(exchange: Exchange, vdc: Vdc, name: string, description: string): Vapp {
  const { cloud } = exchange;
  const system = cloud.systemOrganization();
  const vapp: Vapp = {
    id: randomUUID(),
    name,
    description,
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    ownerUserId:
      cloud.variants.importOwner === 'importer'
        ? exchange.session.user.id
        : cloud.state.users.find((user) => user.organizationId === system.id && user.name === 'system')?.id,
    createdAt: new Date().toISOString(),
    inMaintenanceMode: false,
    deployed: false,
    creation: 'running',
    folderMoRef: '',
    lease: { ...(cloud.organization(vdc.organizationId)?.lease ?? { deploymentSeconds: 0, storageSeconds: 0 }) },
    access: { sharedToEveryone: false, grants: [] },
    startup: [],
    networks: [],
    metadata: [],
    productSections: [],
    autoNature: false,
  };
  makeVappFolder(cloud, vapp);
  cloud.state.vapps.push(vapp);
  cloud.changed();
  return vapp;
}

/** The VM becomes VCD's: moved or cloned into VCD's folder and resource pool, renamed, its NICs mapped by port group. */
async function takeOver(cloud: VcdCloud, vapp: Vapp, request: VmImport): Promise<Vm> {
  const vm = importedVm(cloud, vapp, request, await moveIn(cloud, vapp, request));
  cloud.state.vms.push(vm);
  startsWithOthers(vapp, vm);
  cloud.changed();
  return vm;
}

/** @returns the MoRef it has from now on: its own, or the clone's. */
async function moveIn(cloud: VcdCloud, vapp: Pick<Vapp, 'folderMoRef' | 'vdcId'>, request: VmImport): Promise<string> {
  const { vsphere } = cloud;
  const { source } = request;
  const target = { folderMoRef: vapp.folderMoRef, resourcePoolMoRef: cloud.vdc(vapp.vdcId)?.resourcePoolMoRef };
  const vcenterName = nameInVcenter(request.vmName);
  if (!vsphere.vm(source.moRef)) {
    throw new VcdFault(400, 'INVALID_REFERENCE', `The VM "${source.name}" (${source.moRef}) vanished from vCenter during the import.`);
  }
  let { moRef } = source;
  if (request.sourceMove) {
    await vsphere.moveVm(moRef, target);
    await vsphere.renameVm(moRef, vcenterName);
  } else {
    moRef = (await vsphere.cloneVm(moRef, { name: vcenterName, ...target })).moRef;
  }
  return moRef;
}

/** Its place in the startup section: the first, as all that are added. */
export function startsWithOthers(vapp: Vapp, vm: Vm): void {
  vapp.startup.push({
    vmName: vm.name,
    order: 0,
    startAction: 'powerOn',
    startDelaySeconds: 0,
    stopAction: 'powerOff',
    stopDelaySeconds: 0,
  });
  vapp.deployed ||= vm.deployed;
}

function importedVm(cloud: VcdCloud, vapp: Vapp, request: VmImport, moRef: string): Vm {
  const hardware = cloud.vsphere.vm(moRef) as SimVm;
  const nics = hardware.nics.map((device, index): VmNic => {
    const network = cloud.variants.importNetworks === 'none' ? NETWORK_NONE : deriveNetwork(cloud, vapp, device.networkMoRef);
    return {
      deviceKey: device.key,
      index,
      network,
      allocationMode: network === NETWORK_NONE ? 'NONE' : 'DHCP',
      ipAddress: undefined,
      connected: network !== NETWORK_NONE && device.startConnected,
      needsCustomization: false,
    };
  });
  return {
    id: randomUUID(),
    vappId: vapp.id,
    moRef,
    name: request.vmName,
    description: request.description,
    localId: request.localId,
    createdAt: new Date().toISOString(),
    deployed: hardware.powerState === 'poweredOn',
    storageProfileId: request.profile.id,
    placementPolicyId: undefined,
    sizingPolicyId: defaultSizingPolicyId(cloud, vapp.vdcId),
    needsCustomization: false,
    nics,
    primaryNicIndex: nics[0]?.index,
    guestCustomization: defaultGuestCustomization(request.computerName),
    capabilities: { memoryHotAdd: false, cpuHotAdd: false },
    bootOptions: { BootDelay: '0', EnterBIOSSetup: 'false' },
    metadata: [],
    productSections: [],
    disks: [...request.diskProfiles].map(([deviceKey, storageProfileId]) => ({ deviceKey, storageProfileId, namedDiskId: undefined })),
  };
}

/** A VDC's default: the first sizing policy published to it. */
export function defaultSizingPolicyId(cloud: VcdCloud, vdcId: string): string | undefined {
  const published = cloud.vdc(vdcId)?.computePolicyIds ?? [];
  return cloud.state.computePolicies.find((policy) => policy.kind === 'sizing' && published.includes(policy.id))?.id;
}

/** The vApp network for a port group: the organization network it carries, bridged into the vApp; else none. */
function deriveNetwork(cloud: VcdCloud, vapp: Vapp, portGroupMoRef: string): string {
  const own = vapp.networks.find((network) => network.portGroupMoRef === portGroupMoRef);
  if (own) return own.name;
  const vdcIds = cloud.state.vdcs.filter((vdc) => vdc.organizationId === vapp.organizationId).map((vdc) => vdc.id);
  const parent = cloud.state.orgNetworks.find((network) => network.portGroupMoRef === portGroupMoRef && vdcIds.includes(network.vdcId));
  if (!parent) return NETWORK_NONE;
  if (!vapp.networks.some((network) => network.name === parent.name)) vapp.networks.push(bridgedNetwork(parent));
  return parent.name;
}

export function defaultGuestCustomization(computerName: string): Record<string, string> {
  return {
    Enabled: 'false',
    ChangeSid: 'false',
    JoinDomainEnabled: 'false',
    UseOrgSettings: 'false',
    AdminPasswordEnabled: 'false',
    AdminPasswordAuto: 'true',
    AdminAutoLogonEnabled: 'false',
    AdminAutoLogonCount: '0',
    ResetPasswordRequired: 'false',
    ComputerName: computerName,
  };
}
