import { MIB, type XmlElement } from '../../../../src/common/index.js';
import { diskLevel, templateLevel } from '../operations/entities.js';
import type { Media, StorageProfile, Vdc, VappTemplate } from '../state.js';
import { build, links, MEDIA, reference } from '../xml-names.js';
import { type Viewer, vimObjectReference } from './viewer.js';

/** A VDC as its organization sees it. */
export function vdcView(viewer: Viewer, vdc: Vdc): XmlElement {
  const { hrefs } = viewer;
  return build(
    'Vdc',
    { status: 1, name: vdc.name, id: `urn:vcloud:vdc:${vdc.id}`, href: hrefs.vdc(vdc.id), type: `${MEDIA.vdc}+xml` },
    links('up', hrefs.org(vdc.organizationId), MEDIA.org),
    links('down', `${hrefs.vdc(vdc.id)}/metadata`, MEDIA.metadata),
    viewer.session.isProvider ? links('alternate', hrefs.adminVdc(vdc.id), MEDIA.adminVdc) : [],
    vdcActions(viewer, vdc),
    vdcContent(viewer, vdc),
  );
}

/** A VDC as the provider sees it: with the resource pool that carries it. */
export function adminVdcView(viewer: Viewer, vdc: Vdc): XmlElement {
  const { cloud, hrefs } = viewer;
  const provider = cloud.state.providerVdcs.find((candidate) => candidate.id === vdc.providerVdcId);
  const href = hrefs.adminVdc(vdc.id);
  return build(
    'AdminVdc',
    { status: 1, isLegacyType: false, name: vdc.name, id: `urn:vcloud:vdc:${vdc.id}`, href, type: `${MEDIA.adminVdc}+xml` },
    build('VCloudExtension', { required: false }, vimObjectReference(viewer, 'vmext:VimObjectRef', vdc.resourcePoolMoRef, 'RESOURCE_POOL')),
    links('up', hrefs.adminOrg(vdc.organizationId), MEDIA.adminOrg),
    links('down', `${href}/metadata`, MEDIA.metadata),
    links('down', `${href}/computePolicies`, MEDIA.computePolicyReferences),
    links('alternate', hrefs.vdc(vdc.id), MEDIA.vdc),
    vdcActions(viewer, vdc),
    vdcContent(viewer, vdc),
    build('ResourceGuaranteedMemory', {}, '0.2'),
    build('ResourceGuaranteedCpu', {}, '0.2'),
    build('VCpuInMhz', {}, 1000),
    build('IsThinProvision', {}, true),
    provider &&
      reference('ProviderVdcReference', {
        href: hrefs.api(`admin/providervdc/${provider.id}`),
        id: `urn:vcloud:providervdc:${provider.id}`,
        name: provider.name,
        media: 'application/vnd.vmware.admin.providervdc',
      }),
    build('ResourcePoolRefs', {}, vimObjectReference(viewer, 'vmext:VimObjectRef', vdc.resourcePoolMoRef, 'RESOURCE_POOL')),
    build('UsesFastProvisioning', {}, false),
  );
}

function vdcContent(viewer: Viewer, vdc: Vdc): XmlElement[] {
  const { cloud, hrefs } = viewer;
  const vapps = cloud.state.vapps.filter((vapp) => vapp.vdcId === vdc.id && cloud.accessLevel(viewer.session, vapp) !== 'none');
  const networks = cloud.state.orgNetworks.filter((network) => network.vdcId === vdc.id);
  const profiles = cloud.state.storageProfiles.filter((profile) => profile.vdcId === vdc.id);
  const memoryMib = vapps.flatMap((vapp) => cloud.vmsOf(vapp)).reduce((sum, vm) => sum + (cloud.hardware(vm)?.memoryMib ?? 0), 0);
  return [
    build('Description', {}, vdc.description),
    build('AllocationModel', {}, vdc.allocationModel),
    build('ComputeCapacity', {}, capacity('Cpu', 'MHz', 0), capacity('Memory', 'MB', memoryMib)),
    build(
      'ResourceEntities',
      {},
      vapps.map((vapp) =>
        reference('ResourceEntity', { href: hrefs.vapp(vapp.id), id: `urn:vcloud:vapp:${vapp.id}`, name: vapp.name, media: MEDIA.vapp }),
      ),
      otherEntities(viewer, vdc),
    ),
    build(
      'AvailableNetworks',
      {},
      networks.map((network) =>
        reference('Network', {
          href: hrefs.network(network.id),
          id: `urn:vcloud:network:${network.id}`,
          name: network.name,
          media: viewer.session.isProvider ? MEDIA.adminNetwork : MEDIA.network,
        }),
      ),
    ),
    build('NicQuota', {}, 0),
    build('NetworkQuota', {}, 50),
    build('UsedNetworkCount', {}, networks.length),
    build('VmQuota', {}, 0),
    build('IsEnabled', {}, vdc.enabled),
    build(
      'VdcStorageProfiles',
      {},
      profiles.map((profile) =>
        reference('VdcStorageProfile', {
          href: hrefs.storageProfile(profile.id),
          id: `urn:vcloud:vdcstorageProfile:${profile.id}`,
          name: profile.name,
          media: viewer.session.isProvider ? MEDIA.adminVdcStorageProfile : MEDIA.vdcStorageProfile,
        }),
      ),
    ),
  ];
}

/** Templates, media and named disks of the VDC that the viewer may see. */
function otherEntities(viewer: Viewer, vdc: Vdc): XmlElement[] {
  const { cloud, hrefs, session } = viewer;
  const here = (entity: { vdcId: string }): boolean => entity.vdcId === vdc.id;
  const isSeen = (entity: VappTemplate | Media): boolean => here(entity) && templateLevel(cloud, session, entity) !== 'none';
  const entity = (kind: string, href: string, media: string, { id, name }: { id: string; name: string }): XmlElement =>
    reference('ResourceEntity', { href, id: `urn:vcloud:${kind}:${id}`, name, media });
  return [
    ...cloud.state.vappTemplates
      .filter(isSeen)
      .map((template) => entity('vapptemplate', hrefs.vappTemplate(template.id), MEDIA.vappTemplate, template)),
    ...cloud.state.media.filter(isSeen).map((media) => entity('media', hrefs.media(media.id), MEDIA.media, media)),
    ...cloud.state.disks
      .filter((disk) => here(disk) && diskLevel(session, disk) !== 'none')
      .map((disk) => entity('disk', hrefs.disk(disk.id), MEDIA.disk, disk)),
  ];
}

function vdcActions({ hrefs }: Viewer, vdc: Vdc): XmlElement[] {
  const href = hrefs.vdc(vdc.id);
  return [
    ...links('add', `${href}/action/instantiateVAppTemplate`, MEDIA.instantiateVappTemplate),
    ...links('add', `${href}/action/captureVApp`, MEDIA.captureVapp),
    ...links('add', `${href}/media`, MEDIA.media),
    ...links('add', `${href}/disk`, MEDIA.diskCreateParams),
    ...links('down', `${href}/vmAffinityRules/`, MEDIA.affinityRules),
    ...links('add', `${href}/vmAffinityRules/`, MEDIA.affinityRule),
  ];
}

function capacity(name: string, units: string, used: number): XmlElement {
  return build(
    name,
    {},
    build('Units', {}, units),
    build('Allocated', {}, 0),
    build('Limit', {}, 0),
    build('Reserved', {}, 0),
    build('Used', {}, used),
  );
}

/** Bytes of the disks of VCD's VMs on this profile, thin or not: what VCD counts. */
export function storageUsedMib(viewer: Viewer, profile: StorageProfile): number {
  const bytes = viewer.cloud.state.vms
    .filter((vm) => vm.storageProfileId === profile.id)
    .flatMap((vm) => viewer.cloud.hardware(vm)?.disks ?? [])
    .reduce((sum, disk) => sum + disk.capacityBytes, 0);
  return Math.ceil(bytes / MIB);
}

export function storageProfileView(viewer: Viewer, profile: StorageProfile, admin: boolean): XmlElement {
  const { hrefs } = viewer;
  const media = admin ? MEDIA.adminVdcStorageProfile : MEDIA.vdcStorageProfile;
  const href = hrefs.api(`${admin ? 'admin/' : ''}vdcStorageProfile/${profile.id}`);
  const vdc = viewer.cloud.vdc(profile.vdcId);
  return build(
    admin ? 'AdminVdcStorageProfile' : 'VdcStorageProfile',
    { name: profile.name, id: `urn:vcloud:vdcstorageProfile:${profile.id}`, href, type: `${media}+xml` },
    links('up', admin ? hrefs.adminVdc(profile.vdcId) : hrefs.vdc(profile.vdcId), admin ? MEDIA.adminVdc : MEDIA.vdc),
    build('Enabled', {}, true),
    build('Units', {}, 'MB'),
    build('Limit', {}, profile.limitMib),
    build('Default', {}, profile.isDefault),
    build('StorageUsedMB', {}, storageUsedMib(viewer, profile)),
    admin
      ? reference('ProviderVdcStorageProfile', {
          href: hrefs.api(`admin/pvdcStorageProfile/${vdc?.providerVdcId ?? ''}`),
          name: profile.name,
          media: 'application/vnd.vmware.admin.pvdcStorageProfile',
        })
      : undefined,
  );
}

export function computePolicyReferences(viewer: Viewer, vdc: Vdc): XmlElement {
  return build(
    'VdcComputePolicyReferences',
    { href: `${viewer.hrefs.adminVdc(vdc.id)}/computePolicies`, type: `${MEDIA.computePolicyReferences}+xml` },
    viewer.cloud.state.computePolicies
      .filter((policy) => vdc.computePolicyIds.includes(policy.id))
      .map((policy) =>
        reference('VdcComputePolicyReference', {
          href: viewer.hrefs.computePolicy(policy.id),
          id: `urn:vcloud:vdcComputePolicy:${policy.id}`,
          name: policy.name,
        }),
      ),
  );
}
