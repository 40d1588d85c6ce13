import { MIB, type XmlElement } from '../../../../src/common/index.js';
import type { SimDatastore } from '../../model/vsphere-types.js';
import type { ProviderVdc } from '../state.js';
import { build, links, MEDIA, reference } from '../xml-names.js';
import { type Viewer, vimObjectReference, vimServerReference } from './viewer.js';

/** Resources under /api/admin/extension: the provider's own. */
export function extensionView({ hrefs }: Viewer): XmlElement {
  const at = (path: string): string => hrefs.api(`admin/extension/${path}`);
  return build(
    'vmext:VMWExtension',
    { href: hrefs.api('admin/extension'), type: `${MEDIA.extension}+xml` },
    links('down', at('vimServerReferences'), MEDIA.vimServerReferences),
    links('down', at('providerVdcReferences'), MEDIA.providerVdcReferences),
    links('down', at('hostReferences'), MEDIA.hostReferences),
    links('down', at('datastores'), MEDIA.datastores),
  );
}

export function vimServerReferencesView(viewer: Viewer): XmlElement {
  return build(
    'vmext:VMWVimServerReferences',
    { href: viewer.hrefs.api('admin/extension/vimServerReferences'), type: `${MEDIA.vimServerReferences}+xml` },
    vimServerReference(viewer, 'vmext:VimServerReference'),
  );
}

export function vimServerView(viewer: Viewer): XmlElement {
  const { cloud, hrefs } = viewer;
  const { vimServer } = cloud.state;
  const href = hrefs.vimServer(vimServer.id);
  return build(
    'vmext:VimServer',
    { name: vimServer.name, id: `urn:vcloud:vimserver:${vimServer.id}`, href, type: `${MEDIA.vimServer}+xml` },
    links('down', `${href}/vmsList`, MEDIA.vmsObjectRefsList),
    links('down', `${href}/hostReferences`, MEDIA.hostReferences),
    links('importVmAsVApp', `${href}/importVmAsVApp`, MEDIA.importVmAsVapp),
    links('importVmIntoExistingVApp', `${href}/importVmIntoExistingVApp`, MEDIA.importVmIntoVapp),
    links('importVm', `${href}/importVm`, MEDIA.importVm),
    links('importVmAsVAppTemplate', `${href}/importVmAsVAppTemplate`, MEDIA.importVmAsVappTemplate),
    links('importMedia', `${href}/importMedia`, MEDIA.importMedia),
    build('Description', {}, ''),
    build('vmext:Username', {}, vimServer.userName),
    build('vmext:Url', {}, vimServer.url),
    build('vmext:IsEnabled', {}, true),
    build('vmext:IsConnected', {}, true),
    build('vmext:Uuid', {}, cloud.vsphere.instanceUuid),
    build('vmext:VcProxy', {}, 'simulated-cell'),
    build('vmext:VcVersion', {}, vimServer.version),
    build('vmext:UseVsphereService', {}, true),
  );
}

/** The PHP SDK's page limit. */
export const VMS_LIST_PAGE = 100;

/** VMs of vCenter that VCD does not manage: what can be imported. */
export function vmsListView(viewer: Viewer, page: number): XmlElement {
  const { vms: ofVapps, templateVms } = viewer.cloud.state;
  const managed = new Set([...ofVapps, ...templateVms].map((vm) => vm.moRef));
  const vms = viewer.cloud.vsphere.vms().filter((vm) => !managed.has(vm.moRef));
  const numberOfPages = Math.max(1, Math.ceil(vms.length / VMS_LIST_PAGE));
  return build(
    'vmext:VmObjectRefsList',
    { numberOfPages, page },
    vms
      .slice((page - 1) * VMS_LIST_PAGE, page * VMS_LIST_PAGE)
      .map((vm) => vimObjectReference(viewer, 'vmext:VmObjectRef', vm.moRef, 'VIRTUAL_MACHINE', vm.name)),
  );
}

export function hostReferencesView(viewer: Viewer): XmlElement {
  return build(
    'vmext:VMWHostReferences',
    { href: viewer.hrefs.api('admin/extension/hostReferences'), type: `${MEDIA.hostReferences}+xml` },
    viewer.cloud.vsphere.hosts().map((host) =>
      reference('vmext:HostReference', {
        href: viewer.hrefs.api(`admin/extension/host/${host.moRef}`),
        name: host.name,
        media: 'application/vnd.vmware.admin.host',
      }),
    ),
  );
}

export function providerVdcReferencesView(viewer: Viewer): XmlElement {
  return build(
    'vmext:VMWProviderVdcReferences',
    { href: viewer.hrefs.api('admin/extension/providerVdcReferences'), type: `${MEDIA.providerVdcReferences}+xml` },
    viewer.cloud.state.providerVdcs.map((provider) =>
      reference('vmext:ProviderVdcReference', {
        href: viewer.hrefs.providerVdc(provider.id),
        id: `urn:vcloud:providervdc:${provider.id}`,
        name: provider.name,
        media: MEDIA.providerVdc,
      }),
    ),
  );
}

export function providerVdcView(viewer: Viewer, provider: ProviderVdc): XmlElement {
  const { cloud, hrefs } = viewer;
  const capacity = (name: string, units: string): XmlElement =>
    build(
      name,
      {},
      build('Units', {}, units),
      build('Allocation', {}, 0),
      build('Reserved', {}, 0),
      build('Total', {}, 65_536),
      build('Used', {}, 0),
    );
  return build(
    'vmext:VMWProviderVdc',
    {
      status: 1,
      name: provider.name,
      id: `urn:vcloud:providervdc:${provider.id}`,
      href: hrefs.providerVdc(provider.id),
      type: `${MEDIA.providerVdc}+xml`,
    },
    links('up', hrefs.api('admin/extension'), MEDIA.extension),
    build('Description', {}, ''),
    build('ComputeCapacity', {}, capacity('Cpu', 'MHz'), capacity('Memory', 'MB'), build('IsElastic', {}, false), build('IsHA', {}, false)),
    build(
      'Vdcs',
      {},
      cloud.state.vdcs
        .filter((vdc) => vdc.providerVdcId === provider.id)
        .map((vdc) =>
          reference('Vdc', { href: hrefs.adminVdc(vdc.id), id: `urn:vcloud:vdc:${vdc.id}`, name: vdc.name, media: MEDIA.adminVdc }),
        ),
    ),
    build('IsEnabled', {}, true),
    build(
      'vmext:DataStoreRefs',
      {},
      cloud.vsphere.datastores().map((datastore) => vimObjectReference(viewer, 'vmext:VimObjectRef', datastore.moRef, 'DATASTORE')),
    ),
    build('vmext:ResourcePoolRefs', {}, vimObjectReference(viewer, 'vmext:VimObjectRef', provider.resourcePoolMoRef, 'RESOURCE_POOL')),
    vimServerReference(viewer, 'vmext:VimServer'),
    build('vmext:HighestSupportedHardwareVersion', {}, 'vmx-19'),
  );
}

export function datastoresView(viewer: Viewer): XmlElement {
  return build(
    'vmext:DatastoreReferences',
    { href: viewer.hrefs.api('admin/extension/datastores'), type: `${MEDIA.datastores}+xml` },
    viewer.cloud.vsphere.datastores().map((datastore) =>
      reference('Reference', {
        href: datastoreHref(viewer, datastore),
        id: `urn:vcloud:datastore:${datastore.moRef}`,
        name: datastore.name,
        media: MEDIA.datastore,
      }),
    ),
  );
}

export function datastoreHref(viewer: Viewer, datastore: SimDatastore): string {
  return viewer.hrefs.api(`admin/extension/datastore/${datastore.moRef}`);
}

export function datastoreView(viewer: Viewer, datastore: SimDatastore): XmlElement {
  const usedMib = Math.round((datastore.capacityBytes - datastore.freeBytes) / MIB);
  return build(
    'vmext:Datastore',
    { name: datastore.name, href: datastoreHref(viewer, datastore), type: `${MEDIA.datastore}+xml` },
    links('up', viewer.hrefs.api('admin/extension'), MEDIA.extension),
    vimObjectReference(viewer, 'vmext:VimObjectRef', datastore.moRef, 'DATASTORE'),
    build('vmext:Enabled', {}, true),
    build('vmext:Busy', {}, false),
    build('vmext:ThresholdYellowGb', {}, 10),
    build('vmext:ThresholdRedGb', {}, 5),
    build('vmext:DatastoreFsType', {}, 'VMFS-6'),
    build('vmext:VcDisplayName', {}, viewer.cloud.state.vimServer.name),
    build('vmext:TotalCapacityMb', {}, Math.round(datastore.capacityBytes / MIB)),
    build('vmext:UsedCapacityMb', {}, usedMib),
  );
}
