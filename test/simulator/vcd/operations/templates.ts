import { randomUUID } from 'node:crypto';
import type { XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import type { VcdCloud } from '../cloud.js';
import { type Answer, type Exchange, readBody } from '../exchange.js';
import { badRequest, duplicateName } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import {
  type Catalog,
  type MetadataEntry,
  NETWORK_NONE,
  type StorageProfile,
  type Vapp,
  type VappTemplate,
  type Vdc,
  type Vm,
} from '../state.js';
import { taskView } from '../views/task-view.js';
import { templateView, vappShape } from '../views/template-view.js';
import { vappView } from '../views/vapp-view.js';
import { MEDIA } from '../xml-names.js';
import { catalogItemOf, requireCatalog, requireTemplate, templateName } from './entities.js';
import { accepted, startTask, writableVapp } from './guard.js';
import { makeVappFolder, nameInVcenter, powerOnVms, requireStopped } from './life.js';
import { addCatalogItem, readProfile, requireNameInCatalog } from './media.js';
import { applyNetworks, portGroupOf, readNetworks } from './networks.js';
import { isTrue } from './nics.js';

/** POST catalog/{id}/action/captureVApp: 202; Task.Owner is the new template. */
export function captureIntoCatalog(exchange: Exchange): Answer {
  const catalog = requireCatalog(exchange, exchange.parameters.id ?? '', 'write');
  const { template, task } = capture(exchange, catalog);
  if (!task) throw new Error(`No task captures ${template.name}`);
  return { status: 202, xml: taskView(exchange, task), media: MEDIA.task, headers: { Location: exchange.hrefs.task(task.id) } };
}

/** POST vdc/{id}/action/captureVApp, the older way: 201 with the template, which is in no catalog until an item is made for it. */
export function captureIntoVdc(exchange: Exchange): Answer {
  exchange.cloud.requireVdc(exchange.session, exchange.parameters.id ?? '');
  const { template } = capture(exchange, undefined);
  return templateAnswer(exchange, template);
}

function templateAnswer(exchange: Exchange, template: VappTemplate): Answer {
  const headers = { Location: exchange.hrefs.vappTemplate(template.id) };
  return { status: 201, xml: templateView(exchange, template), media: MEDIA.vappTemplate, headers };
}

function capture(exchange: Exchange, catalog: Catalog | undefined) {
  const { cloud, session } = exchange;
  const body = readBody(exchange, { element: 'CaptureVAppParams', media: MEDIA.captureVapp });
  const vapp = writableVapp(exchange, idFromHref(body.child('Source')?.attribute('href', '') ?? '', 'vApp/vapp-'));
  requireStopped(cloud, vapp);
  const name = readName(body);
  const target = body.child('TargetCatalogItem')?.attribute('href', '');
  const replaced =
    target === undefined ? undefined : cloud.state.catalogItems.find((item) => item.id === idFromHref(target, 'catalogItem/'));
  if (target !== undefined && !replaced) throw badRequest(`The catalog item "${target}" to be replaced does not exist.`);
  if (catalog && replaced?.name !== name) requireNameInCatalog(cloud, catalog, name);
  const vdc = cloud.vdcOf(vapp);
  const profile = readProfile(exchange, vapp.organizationId, body.child('VdcStorageProfile'));
  const customize = body.child('CustomizationSection')?.textAt('CustomizeOnInstantiate');
  const template = newTemplate(cloud, vdc, name, body.textAt('Description') ?? '', session.user.id);
  template.customizeOnInstantiate = customize === undefined || isTrue(customize);
  template.networks = vapp.networks.map((network) => ({ ...network, id: randomUUID(), portGroupMoRef: undefined }));
  template.startup = structuredClone(vapp.startup);
  template.productSections = [...vapp.productSections];
  template.metadata = structuredClone(vapp.metadata);
  if (catalog) addCatalogItem(cloud, catalog, name, template.description, { kind: 'vappTemplate', id: template.id });
  const task = startTask(exchange, {
    operationName: 'vdcCaptureTemplate',
    operation: 'Capturing Virtual Application Template',
    entity: templateName(template),
    alsoBlocks: [vapp.id],
    work: async () => {
      for (const vm of cloud.vmsOf(vapp)) await captureVm(cloud, template, vm, profile);
      if (replaced) await deleteContent(cloud, replaced.entityId);
      template.creation = 'done';
      cloud.changed();
    },
    undo: () => {
      template.creation = 'failed';
    },
  });
  return { template, task };
}

export function newTemplate(cloud: VcdCloud, vdc: Vdc, name: string, description: string, ownerUserId: string | undefined): VappTemplate {
  const template: VappTemplate = {
    id: randomUUID(),
    name,
    description,
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    ownerUserId,
    createdAt: new Date().toISOString(),
    creation: 'running',
    folderMoRef: '',
    storageLeaseSeconds: cloud.organization(vdc.organizationId)?.templateStorageLeaseSeconds ?? 0,
    goldMaster: false,
    customizeOnInstantiate: true,
    networks: [],
    startup: [],
    metadata: [],
    productSections: [],
    transferId: undefined,
  };
  template.folderMoRef = cloud.vsphere.createFolder(vdc.folderMoRef, `${name} (${template.id})`).moRef;
  cloud.state.vappTemplates.push(template);
  cloud.changed();
  return template;
}

/** A VM of a template is a VM of vCenter's that is off, with its own copy of every disk. */
async function captureVm(cloud: VcdCloud, template: VappTemplate, vm: Vm, profile: StorageProfile | undefined): Promise<void> {
  const copy = await copyVm(cloud, vm, template);
  if (profile) copy.storageProfileId = profile.id;
  cloud.state.templateVms.push(copy);
  cloud.changed();
}

interface VmHome {
  id: string;
  folderMoRef: string;
  vdcId: string;
  /** A template's have no port groups of their own. */
  networks: Vapp['networks'];
}

/** Clones in vCenter; VCD's own record goes with it, with the NICs and disks that the clone got. */
export async function copyVm(cloud: VcdCloud, vm: Vm, home: VmHome): Promise<Vm> {
  const hardware = cloud.hardware(vm);
  const vdc = cloud.vdc(home.vdcId);
  if (!hardware || !vdc) throw badRequest(`The VM "${vm.name}" does not exist in vCenter any more.`);
  const clone = await cloud.vsphere.cloneVm(vm.moRef, {
    name: nameInVcenter(vm.name),
    folderMoRef: home.folderMoRef,
    resourcePoolMoRef: vdc.resourcePoolMoRef,
  });
  const nics = cloud.nics(vm, hardware).map(({ record }, position) => ({ ...record, deviceKey: clone.nics[position]?.key ?? 0 }));
  // Out of the port groups of where it comes from: those go with their vApp.
  await cloud.vsphere.setNics(
    clone.moRef,
    clone.nics.map(({ key, adapterType, macAddress }, position) => {
      const { network, connected } = nics[position] ?? { network: NETWORK_NONE, connected: false };
      return { key, adapterType, macAddress, networkMoRef: portGroupOf(cloud, home, network), connected };
    }),
  );
  return {
    ...structuredClone(vm),
    id: randomUUID(),
    vappId: home.id,
    moRef: clone.moRef,
    createdAt: new Date().toISOString(),
    deployed: false,
    nics,
    disks: copiedDisks(vm, hardware, clone),
  };
}

/** A named disk's copy is a disk like any other. */
function copiedDisks(vm: Vm, source: SimVm, clone: SimVm): Vm['disks'] {
  return source.disks.flatMap((disk, position) => {
    const record = vm.disks.find((candidate) => candidate.deviceKey === disk.key);
    const copy = clone.disks[position];
    return record?.storageProfileId === undefined || !copy
      ? []
      : [{ deviceKey: copy.key, storageProfileId: record.storageProfileId, namedDiskId: undefined }];
  });
}

/** POST vdc/{id}/action/instantiateVAppTemplate: 201 with the vApp being made. */
export function instantiate(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const vdc = cloud.requireVdc(exchange.session, exchange.parameters.id ?? '');
  const body = readBody(exchange, { element: 'InstantiateVAppTemplateParams', media: MEDIA.instantiateVappTemplate });
  const href = body.child('Source')?.attribute('href', '') ?? '';
  const template = requireTemplate(exchange, idFromHref(href.replace('/vappTemplate-', '/'), 'vAppTemplate/'));
  if (template.creation !== 'done') throw badRequest(`The vApp template "${template.name}" is not ready.`);
  const name = readName(body);
  if (cloud.state.vapps.some((vapp) => vapp.vdcId === vdc.id && vapp.name === name)) throw duplicateName(name);
  const vapp = vappFromTemplate(cloud, vdc, template, {
    name,
    description: body.textAt('Description') ?? '',
    ownerUserId: exchange.session.user.id,
  });
  const section = body.child('InstantiationParams')?.child('NetworkConfigSection');
  if (section) vapp.networks = readNetworks(cloud, vapp, section);
  makeVappFolder(cloud, vapp);
  cloud.state.vapps.push(vapp);
  cloud.changed();
  const powerOn = isTrue(body.attribute('powerOn', '') ?? 'true') && isTrue(body.attribute('deploy', '') ?? 'true');
  startTask(exchange, {
    operationName: 'vdcInstantiateVapp',
    operation: 'Creating Virtual Application',
    entity: vapp,
    alsoBlocks: [template.id],
    work: async () => {
      await fillFromTemplate(cloud, vapp, template);
      vapp.creation = 'done';
      if (powerOn) await powerOnVms(cloud, vapp, cloud.vmsOf(vapp));
      if (isTrue(body.textAt('IsSourceDelete'))) await deleteContent(cloud, template.id);
      cloud.changed();
    },
    undo: () => {
      vapp.creation = 'failed';
    },
  });
  return { status: 201, xml: vappView(exchange, vapp), media: MEDIA.vapp, headers: { Location: exchange.hrefs.vapp(vapp.id) } };
}

/** Not yet in the state, and without VMs. */
export function vappFromTemplate(
  cloud: VcdCloud,
  vdc: Vdc,
  template: VappTemplate,
  fields: { name: string; description: string; ownerUserId: string | undefined },
): Vapp {
  const { transferId: _, goldMaster: __, customizeOnInstantiate: ___, ...shared } = vappShape(template) as Vapp & VappTemplate;
  return {
    ...shared,
    ...fields,
    id: randomUUID(),
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    createdAt: new Date().toISOString(),
    creation: 'running',
    folderMoRef: '',
    lease: { ...(cloud.organization(vdc.organizationId)?.lease ?? { deploymentSeconds: 0, storageSeconds: 0 }) },
    startup: structuredClone(template.startup),
    networks: template.networks.map((network) => ({ ...network, id: randomUUID() })),
    metadata: [
      ...structuredClone(template.metadata),
      ...origin('vapp', template.id, template.name, 'com.vmware.vcloud.entity.vappTemplate'),
    ],
  };
}

/** Clones the VMs; own networks get their port groups. */
export async function fillFromTemplate(cloud: VcdCloud, vapp: Vapp, template: VappTemplate): Promise<void> {
  applyNetworks(cloud, vapp, vapp.networks);
  for (const source of cloud.templateVmsOf(template.id)) {
    const vm = await copyVm(cloud, source, vapp);
    if (cloud.storageProfile(vm.storageProfileId)?.vdcId !== vapp.vdcId) {
      vm.storageProfileId = cloud.defaultStorageProfile(vapp.vdcId).id;
      vm.disks = [];
    }
    vm.metadata = [...vm.metadata, ...origin('vm', source.id, source.name, 'com.vmware.vcloud.entity.vm')];
    cloud.state.vms.push(vm);
    cloud.changed();
  }
}

/** VCD tells by SYSTEM metadata where a vApp and each VM came from. */
function origin(prefix: 'vapp' | 'vm', id: string, name: string, type: string): MetadataEntry[] {
  return Object.entries({ id, name, type }).map(([field, value]) => ({
    key: `${prefix}.origin.${field}`,
    type: 'MetadataStringValue',
    value,
    domain: 'SYSTEM',
    visibility: 'READONLY',
  }));
}

/** PUT vAppTemplate/{id}: name, Description and goldMaster; its catalog item goes by the same name. */
export function updateTemplate(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const template = requireTemplate(exchange, exchange.parameters.id ?? '', 'write');
  const body = readBody(exchange, { element: 'VAppTemplate', media: MEDIA.vappTemplate });
  const name = readName(body);
  const item = catalogItemOf(cloud, template.id);
  const catalog = cloud.state.catalogs.find((candidate) => candidate.id === item?.catalogId);
  if (catalog && name !== template.name) requireNameInCatalog(cloud, catalog, name);
  const goldMaster = body.attribute('goldMaster', '');
  return accepted(exchange, {
    operationName: 'vdcUpdateTemplate',
    operation: 'Updating Virtual Application Template',
    entity: templateName(template),
    work: () => {
      template.name = name;
      template.description = body.textAt('Description') ?? '';
      if (goldMaster !== undefined) template.goldMaster = isTrue(goldMaster);
      if (item) item.name = name;
      cloud.changed();
    },
  });
}

export function deleteTemplate(exchange: Exchange): Answer {
  const template = requireTemplate(exchange, exchange.parameters.id ?? '', 'write');
  return accepted(exchange, {
    operationName: 'vdcDeleteTemplate',
    operation: 'Deleting Virtual Application Template',
    entity: templateName(template),
    work: () => deleteContent(exchange.cloud, template.id),
  });
}

/** A template with its VMs, folder and catalog item. Absent is fine. */
export async function deleteContent(cloud: VcdCloud, templateId: string): Promise<void> {
  const template = cloud.state.vappTemplates.find((candidate) => candidate.id === templateId);
  for (const vm of cloud.templateVmsOf(templateId)) if (cloud.hardware(vm)) await cloud.vsphere.destroyVm(vm.moRef);
  if (template?.folderMoRef) cloud.vsphere.remove(template.folderMoRef);
  cloud.state.templateVms = cloud.state.templateVms.filter((vm) => vm.vappId !== templateId);
  cloud.state.vappTemplates = cloud.state.vappTemplates.filter((candidate) => candidate.id !== templateId);
  cloud.state.catalogItems = cloud.state.catalogItems.filter((item) => item.entityId !== templateId);
  cloud.changed();
}

/** The lease and the CustomizationSection of a template, each by PUT of its section. */
export function updateTemplateSection(exchange: Exchange, kind: 'lease' | 'customization'): Answer {
  const { cloud } = exchange;
  const template = requireTemplate(exchange, exchange.parameters.id ?? '', 'write');
  const body =
    kind === 'lease'
      ? readBody(exchange, { element: 'LeaseSettingsSection', media: MEDIA.leaseSettings })
      : readBody(exchange, { element: 'CustomizationSection', media: MEDIA.customizationSection });
  const seconds = Number(body.textAt('StorageLeaseInSeconds') ?? template.storageLeaseSeconds);
  const limit = cloud.organization(template.organizationId)?.templateStorageLeaseSeconds ?? 0;
  if (limit > 0 && (seconds === 0 || seconds > limit))
    throw badRequest(`The storage lease of vApp template "${template.name}" exceeds the organization's limit of ${limit} seconds.`);
  return accepted(exchange, {
    operationName: 'vdcUpdateTemplate',
    operation: 'Updating Virtual Application Template',
    entity: templateName(template),
    work: () => {
      template.storageLeaseSeconds = seconds;
      if (kind === 'customization') {
        template.customizeOnInstantiate = isTrue(body.textAt('CustomizeOnInstantiate'));
        template.goldMaster = isTrue(body.attribute('goldMaster', '') ?? String(template.goldMaster));
      }
      cloud.changed();
    },
  });
}

function readName(body: XmlElement): string {
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The name must have 1 to 128 characters.');
  return name;
}
