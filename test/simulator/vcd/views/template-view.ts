import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import { catalogItemOf } from '../operations/entities.js';
import type { Vapp, VappTemplate, Vm } from '../state.js';
import { build, links, MEDIA } from '../xml-names.js';
import { ownerOf } from './disk-view.js';
import { virtualHardwareSection } from './hardware-view.js';
import { tasksInProgress } from './task-view.js';
import { networkConfigSection, networkSection } from './vapp-view.js';
import type { Viewer } from './viewer.js';
import { computePolicy, guestCustomizationSection, networkConnectionSection, vimInfo } from './vm-view.js';

/** The hardware of a template is not to be edited piece by piece. */
function withoutLinks(element: XmlElement): XmlElement {
  element.children = element.children.filter((child) => typeof child === 'string' || child.local !== 'Link');
  for (const child of element.elements()) withoutLinks(child);
  return element;
}

const STATUS = { running: 0, failed: -1, done: 8 } as const;

/** Sections write their addresses by `hrefs.vm` and `hrefs.vapp`: in a template those are of the template. */
function inTemplate(viewer: Viewer): Viewer {
  const { hrefs } = viewer;
  return { ...viewer, hrefs: Object.assign(Object.create(hrefs), { vm: hrefs.templateVm, vapp: hrefs.vappTemplate }) };
}

/** A vApp template, elements in the order of VAppTemplateType: Children before the sections. */
export function templateView(viewer: Viewer, template: VappTemplate): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = hrefs.vappTemplate(template.id);
  const vms = cloud.templateVmsOf(template.id);
  return build(
    'VAppTemplate',
    {
      ovfDescriptorUploaded: true,
      goldMaster: template.goldMaster,
      status: STATUS[template.creation],
      name: template.name,
      id: `urn:vcloud:vapptemplate:${template.id}`,
      href,
      type: `${MEDIA.vappTemplate}+xml`,
    },
    templateLinks(viewer, template),
    build('Description', {}, template.description),
    tasksInProgress(viewer, template.id),
    ownerOf(viewer, template.ownerUserId),
    template.creation === 'running'
      ? undefined
      : build(
          'Children',
          {},
          vms.map((vm) => templateVmView(viewer, template, vm, 'Vm')),
        ),
    templateSections(viewer, template),
    build('DateCreated', {}, template.createdAt),
  );
}

function templateLinks({ hrefs, cloud }: Viewer, template: VappTemplate): XmlElement[] {
  const href = hrefs.vappTemplate(template.id);
  const item = catalogItemOf(cloud, template.id);
  return [
    ...links('up', hrefs.vdc(template.vdcId), MEDIA.vdc),
    ...(item ? links('catalogItem', hrefs.catalogItem(item.id), MEDIA.catalogItem) : []),
    ...links('remove', href),
    ...links('edit', href, MEDIA.vappTemplate),
    ...links('down', `${href}/owner`, MEDIA.owner),
    ...links('down', `${href}/metadata`, MEDIA.metadata),
  ];
}

function templateSections(viewer: Viewer, template: VappTemplate): XmlElement[] {
  const asVapp = vappShape(template);
  const shown = inTemplate(viewer);
  const href = viewer.hrefs.vappTemplate(template.id);
  return [
    networkSection(shown, asVapp),
    networkConfigSection(shown, asVapp),
    build(
      'LeaseSettingsSection',
      { href: `${href}/leaseSettingsSection/`, type: `${MEDIA.leaseSettings}+xml`, 'ovf:required': false },
      build('ovf:Info', {}, 'Lease settings section'),
      links('edit', `${href}/leaseSettingsSection/`, MEDIA.leaseSettings),
      build('StorageLeaseInSeconds', {}, template.storageLeaseSeconds),
    ),
    build(
      'CustomizationSection',
      {
        goldMaster: template.goldMaster,
        href: `${href}/customizationSection/`,
        type: `${MEDIA.customizationSection}+xml`,
        'ovf:required': false,
      },
      build('ovf:Info', {}, 'VApp template customization section'),
      build('CustomizeOnInstantiate', {}, template.customizeOnInstantiate),
      links('edit', `${href}/customizationSection/`, MEDIA.customizationSection),
    ),
    ...template.productSections.map((xml) => parseXml(xml)),
  ];
}

/** A template seen as the vApp it was captured from, for what both have alike. */
export function vappShape(template: VappTemplate): Vapp {
  const { storageLeaseSeconds, ...shared } = template;
  return {
    ...shared,
    inMaintenanceMode: false,
    deployed: false,
    autoNature: false,
    lease: { deploymentSeconds: 0, storageSeconds: storageLeaseSeconds },
    access: { sharedToEveryone: false, grants: [] },
  };
}

/** A VM of a template is a VAppTemplateType too. @param element 'Vm' inside the template, 'VAppTemplate' at its own address. */
export function templateVmView(viewer: Viewer, template: VappTemplate, vm: Vm, element: 'Vm' | 'VAppTemplate'): XmlElement {
  const { cloud, hrefs, session } = viewer;
  const href = hrefs.templateVm(vm.id);
  const hardware = cloud.hardware(vm);
  const shown = inTemplate(viewer);
  const profile = cloud.storageProfile(vm.storageProfileId);
  return build(
    element,
    {
      goldMaster: template.goldMaster,
      status: STATUS[template.creation],
      name: vm.name,
      id: `urn:vcloud:vm:${vm.id}`,
      href,
      type: `${MEDIA.vm}+xml`,
    },
    session.isProvider && hardware ? vimInfo(viewer, hardware) : undefined,
    links('up', hrefs.vappTemplate(template.id), MEDIA.vappTemplate),
    profile ? links('storageProfile', hrefs.api(`vdcStorageProfile/${profile.id}`), MEDIA.vdcStorageProfile) : [],
    links('down', `${href}/metadata`, MEDIA.metadata),
    build('Description', {}, vm.description),
    hardware && [networkConnectionSection(shown, vm, hardware)],
    guestCustomizationSection(shown, vm),
    hardware && withoutLinks(virtualHardwareSection(shown, vm, hardware)),
    vm.productSections.map((xml) => parseXml(xml)),
    build('VAppScopedLocalId', {}, vm.localId),
    profile && build('DefaultStorageProfile', {}, profile.name),
    computePolicy(viewer, vm),
    build('DateCreated', {}, vm.createdAt),
  );
}
