import { randomUUID } from 'node:crypto';
import type { XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import { badRequest, duplicateName, noAccess, VcdFault } from '../faults.js';
import { type Answer, type Exchange, readBody, requireProvider } from '../exchange.js';
import { idFromHref } from '../hrefs.js';
import { NETWORK_NONE, type StorageProfile, type Vapp, type Vdc, type Vm, type VmNic } from '../state.js';
import type { VcdCloud } from '../cloud.js';
import { vappView } from '../views/vapp-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';
import { accepted, startTask, writableVapp } from './guard.js';
import { makeVappFolder, nameInVcenter, powerOnVms } from './life.js';
import { bridgedNetwork } from './networks.js';
import { isTrue } from './nics.js';

/** What both imports say about the VM. */
interface VmImport {
  source: SimVm;
  sourceMove: boolean;
  vmName: string;
  description: string;
  computerName: string;
  localId: string;
  profile: StorageProfile;
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
  if (cloud.state.vms.some((vm) => vm.moRef === moRef)) {
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
  };
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
    ownerUserId: cloud.state.users.find((user) => user.organizationId === system.id && user.name === 'system')?.id,
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
  };
  makeVappFolder(cloud, vapp);
  cloud.state.vapps.push(vapp);
  cloud.changed();
  return vapp;
}

/** The VM becomes VCD's: moved or cloned into VCD's folder and resource pool, renamed, its NICs mapped by port group. */
async function takeOver(cloud: VcdCloud, vapp: Vapp, request: VmImport): Promise<Vm> {
  const { vsphere } = cloud;
  const { source } = request;
  const target = { folderMoRef: vapp.folderMoRef, resourcePoolMoRef: cloud.vdcOf(vapp).resourcePoolMoRef };
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
  const vm = importedVm(cloud, vapp, request, moRef);
  cloud.state.vms.push(vm);
  vapp.startup.push({
    vmName: vm.name,
    order: 0,
    startAction: 'powerOn',
    startDelaySeconds: 0,
    stopAction: 'powerOff',
    stopDelaySeconds: 0,
  });
  vapp.deployed ||= vm.deployed;
  cloud.changed();
  return vm;
}

function importedVm(cloud: VcdCloud, vapp: Vapp, request: VmImport, moRef: string): Vm {
  const hardware = cloud.vsphere.vm(moRef) as SimVm;
  const nics = hardware.nics.map((device, index): VmNic => {
    const network = deriveNetwork(cloud, vapp, device.networkMoRef);
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
    sizingPolicyId: cloud.state.computePolicies.find((policy) => policy.kind === 'sizing')?.id,
    needsCustomization: false,
    nics,
    primaryNicIndex: nics[0]?.index,
    guestCustomization: defaultGuestCustomization(request.computerName),
    capabilities: { memoryHotAdd: false, cpuHotAdd: false },
    bootOptions: { BootDelay: '0', EnterBIOSSetup: 'false' },
    metadata: [],
    productSections: [],
  };
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
