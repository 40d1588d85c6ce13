import { XmlElement, type XmlNode } from '../../../src/common/index.js';

/** Namespaces of the vCloud API and of what it embeds (vcd-xsd, API 37.1). */
export const NAMESPACES = {
  vcloud: 'http://www.vmware.com/vcloud/v1.5',
  vmext: 'http://www.vmware.com/vcloud/extension/v1.5',
  ovf: 'http://schemas.dmtf.org/ovf/envelope/1',
  vssd: 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  rasd: 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  vmw: 'http://www.vmware.com/schema/ovf',
  ovfenv: 'http://schemas.dmtf.org/ovf/environment/1',
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
  versions: 'http://www.vmware.com/vcloud/versions',
} as const;
export type NamespacePrefix = keyof typeof NAMESPACES;

/** What a cell writes: vCloud is the default namespace, and the attributes of OVF elements get a second prefix for it. */
export const WRITE_PREFIXES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(NAMESPACES).map(([prefix, namespace]) => [namespace, prefix === 'vcloud' ? '' : prefix]),
);

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
export type Content = XmlNode | number | boolean | undefined | readonly Content[];

/**
 * `build('vmext:MoRef', {}, 'vm-12')`: names and attribute names carry the prefix of NAMESPACES; a
 * bare element name is in the vCloud namespace, a bare attribute in none. Undefined is left out.
 */
export function build(name: string, attributes: Attributes = {}, ...content: Content[]): XmlElement {
  const { local, namespace } = resolveName(name, NAMESPACES.vcloud);
  const element = new XmlElement(local, namespace);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    const attribute = resolveName(key, '');
    element.setAttribute(attribute.local, String(value), attribute.namespace);
  }
  appendContent(element, content);
  return element;
}

/** An element with text, or nothing at all when there is no text to write. */
export function optional(name: string, text: string | number | boolean | undefined): XmlElement | undefined {
  return text === undefined ? undefined : build(name, {}, text);
}

function appendContent(element: XmlElement, content: readonly Content[]): void {
  for (const item of content) {
    if (item === undefined) continue;
    if (Array.isArray(item)) appendContent(element, item as readonly Content[]);
    else if (item instanceof XmlElement || typeof item === 'string') element.append(item);
    else element.append(String(item));
  }
}

function resolveName(name: string, defaultNamespace: string): { local: string; namespace: string } {
  const colon = name.indexOf(':');
  if (colon < 0) return { local: name, namespace: defaultNamespace };
  return { local: name.slice(colon + 1), namespace: NAMESPACES[name.slice(0, colon) as NamespacePrefix] };
}

/** Media types of the entities this side knows, without the +xml / +json ending. */
export const MEDIA = {
  session: 'application/vnd.vmware.vcloud.session',
  orgList: 'application/vnd.vmware.vcloud.orgList',
  org: 'application/vnd.vmware.vcloud.org',
  adminOrg: 'application/vnd.vmware.admin.organization',
  vcloud: 'application/vnd.vmware.admin.vcloud',
  vdc: 'application/vnd.vmware.vcloud.vdc',
  adminVdc: 'application/vnd.vmware.admin.vdc',
  vapp: 'application/vnd.vmware.vcloud.vApp',
  vm: 'application/vnd.vmware.vcloud.vm',
  task: 'application/vnd.vmware.vcloud.task',
  tasksList: 'application/vnd.vmware.vcloud.tasksList',
  user: 'application/vnd.vmware.admin.user',
  owner: 'application/vnd.vmware.vcloud.owner',
  metadata: 'application/vnd.vmware.vcloud.metadata',
  metadataValue: 'application/vnd.vmware.vcloud.metadata.value',
  controlAccess: 'application/vnd.vmware.vcloud.controlAccess',
  network: 'application/vnd.vmware.vcloud.network',
  adminNetwork: 'application/vnd.vmware.admin.network',
  orgVdcNetwork: 'application/vnd.vmware.vcloud.orgVdcNetwork',
  vappNetwork: 'application/vnd.vmware.vcloud.vAppNetwork',
  vdcStorageProfile: 'application/vnd.vmware.vcloud.vdcStorageProfile',
  adminVdcStorageProfile: 'application/vnd.vmware.admin.vdcStorageProfile',
  queryList: 'application/vnd.vmware.vcloud.query.queryList',
  queryRecords: 'application/vnd.vmware.vcloud.query.records',
  queryReferences: 'application/vnd.vmware.vcloud.query.references',
  queryIdRecords: 'application/vnd.vmware.vcloud.query.idrecords',
  error: 'application/vnd.vmware.vcloud.error',
  extension: 'application/vnd.vmware.admin.vmwExtension',
  vimServer: 'application/vnd.vmware.admin.vmwvirtualcenter',
  vimServerReferences: 'application/vnd.vmware.admin.vmwVimServerReferences',
  vmsObjectRefsList: 'application/vnd.vmware.admin.vmsObjectRefsList',
  importVmAsVapp: 'application/vnd.vmware.admin.importVmAsVAppParams',
  importVmIntoVapp: 'application/vnd.vmware.admin.importVmIntoExistingVAppParams',
  providerVdc: 'application/vnd.vmware.admin.vmwprovidervdc',
  providerVdcReferences: 'application/vnd.vmware.admin.vmwProviderVdcReferences',
  datastore: 'application/vnd.vmware.admin.datastore',
  datastores: 'application/vnd.vmware.admin.datastoreList',
  hostReferences: 'application/vnd.vmware.admin.vmwHostReferences',
  computePolicyReferences: 'application/vnd.vmware.vcloud.vdcComputePolicyReferences',
  leaseSettings: 'application/vnd.vmware.vcloud.leaseSettingsSection',
  startup: 'application/vnd.vmware.vcloud.startupSection',
  networkSection: 'application/vnd.vmware.vcloud.networkSection',
  networkConfig: 'application/vnd.vmware.vcloud.networkConfigSection',
  networkConnection: 'application/vnd.vmware.vcloud.networkConnectionSection',
  guestCustomization: 'application/vnd.vmware.vcloud.guestCustomizationSection',
  virtualHardware: 'application/vnd.vmware.vcloud.virtualHardwareSection',
  rasdItem: 'application/vnd.vmware.vcloud.rasdItem',
  rasdItemsList: 'application/vnd.vmware.vcloud.rasdItemsList',
  operatingSystem: 'application/vnd.vmware.vcloud.operatingSystemSection',
  runtimeInfo: 'application/vnd.vmware.vcloud.runtimeInfoSection',
  snapshotSection: 'application/vnd.vmware.vcloud.snapshotSection',
  productSections: 'application/vnd.vmware.vcloud.productSections',
  bootOptions: 'application/vnd.vmware.vcloud.bootOptionsSection',
  recompose: 'application/vnd.vmware.vcloud.recomposeVAppParams',
  vmCapabilities: 'application/vnd.vmware.vcloud.vmCapabilitiesSection',
  undeploy: 'application/vnd.vmware.vcloud.undeployVAppParams',
  deploy: 'application/vnd.vmware.vcloud.deployVAppParams',
  importVm: 'application/vnd.vmware.admin.importVmParams',
  importVmAsVappTemplate: 'application/vnd.vmware.admin.importVmAsVAppTemplateParams',
  importMedia: 'application/vnd.vmware.admin.importMediaParams',
  createSnapshot: 'application/vnd.vmware.vcloud.createSnapshotParams',
  disk: 'application/vnd.vmware.vcloud.disk',
  diskCreateParams: 'application/vnd.vmware.vcloud.diskCreateParams',
  diskAttachOrDetachParams: 'application/vnd.vmware.vcloud.diskAttachOrDetachParams',
  vms: 'application/vnd.vmware.vcloud.vms',
  catalog: 'application/vnd.vmware.vcloud.catalog',
  adminCatalog: 'application/vnd.vmware.admin.catalog',
  catalogItem: 'application/vnd.vmware.vcloud.catalogItem',
  vappTemplate: 'application/vnd.vmware.vcloud.vAppTemplate',
  media: 'application/vnd.vmware.vcloud.media',
  captureVapp: 'application/vnd.vmware.vcloud.captureVAppParams',
  instantiateVappTemplate: 'application/vnd.vmware.vcloud.instantiateVAppTemplateParams',
  customizationSection: 'application/vnd.vmware.vcloud.customizationSection',
  // In lower case, as go-vcloud-director looks for them in the links.
  affinityRule: 'application/vnd.vmware.vcloud.vmaffinityrule',
  affinityRules: 'application/vnd.vmware.vcloud.vmaffinityrules',
  orgSettings: 'application/vnd.vmware.admin.orgSettings',
  vappLeaseSettings: 'application/vnd.vmware.admin.vAppLeaseSettings',
  vappTemplateLeaseSettings: 'application/vnd.vmware.admin.vAppTemplateLeaseSettings',
} as const;

/**
 * From 10.x every typed Link is written twice, once for XML and once for JSON (captured AdminVdc).
 * A link without a type is an action without a body.
 */
export function links(rel: string, href: string, media?: string, name?: string): XmlElement[] {
  if (media === undefined) return [build('Link', { rel, href, name })];
  return [build('Link', { rel, href, type: `${media}+xml`, name }), build('Link', { rel, href, type: `${media}+json`, name })];
}

export interface ReferenceFields {
  href: string;
  id?: string;
  name?: string;
  media?: string;
}
export function reference(element: string, { href, id, name, media }: ReferenceFields): XmlElement {
  return build(element, { href, id, type: media === undefined ? undefined : `${media}+xml`, name });
}
