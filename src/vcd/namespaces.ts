import { type XmlElement, writeXml } from '../common/index.js';

export const VCLOUD = 'http://www.vmware.com/vcloud/v1.5';
export const VMEXT = 'http://www.vmware.com/vcloud/extension/v1.5';
export const OVF = 'http://schemas.dmtf.org/ovf/envelope/1';
export const XSI = 'http://www.w3.org/2001/XMLSchema-instance';

const PREFIXES: Readonly<Record<string, string>> = {
  [VCLOUD]: 'vcloud',
  [VMEXT]: 'vmext',
  [OVF]: 'ovf',
  [XSI]: 'xsi',
  'http://www.vmware.com/schema/ovf': 'vmw',
  'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData': 'rasd',
  'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData': 'vssd',
};

/** A request body: every namespace declared once, with the prefixes VMware's own documents use. */
export function writeVcloudXml(root: XmlElement): string {
  return writeXml(root, { prefixes: PREFIXES });
}

/** The same without the XML declaration: a part kept in a capture. */
export function writeFragment(root: XmlElement): string {
  return writeXml(root, { prefixes: PREFIXES, declaration: false });
}

/** Media types of request bodies. In answers they come in any case and with `;version=…`. */
export const MEDIA = {
  vapp: 'application/vnd.vmware.vcloud.vApp+xml',
  vm: 'application/vnd.vmware.vcloud.vm+xml',
  vms: 'application/vnd.vmware.vcloud.vms+xml',
  vdc: 'application/vnd.vmware.vcloud.vdc+xml',
  adminVdc: 'application/vnd.vmware.admin.vdc+xml',
  org: 'application/vnd.vmware.vcloud.org+xml',
  adminOrg: 'application/vnd.vmware.admin.organization+xml',
  owner: 'application/vnd.vmware.vcloud.owner+xml',
  metadata: 'application/vnd.vmware.vcloud.metadata+xml',
  controlAccess: 'application/vnd.vmware.vcloud.controlAccess+xml',
  leaseSettings: 'application/vnd.vmware.vcloud.leaseSettingsSection+xml',
  startup: 'application/vnd.vmware.vcloud.startupSection+xml',
  networkConfig: 'application/vnd.vmware.vcloud.networkConfigSection+xml',
  networkConnection: 'application/vnd.vmware.vcloud.networkConnectionSection+xml',
  catalog: 'application/vnd.vmware.vcloud.catalog+xml',
  adminCatalog: 'application/vnd.vmware.admin.catalog+xml',
  catalogItem: 'application/vnd.vmware.vcloud.catalogItem+xml',
  affinityRules: 'application/vnd.vmware.vcloud.vmAffinityRules+xml',
  productSections: 'application/vnd.vmware.vcloud.productSections+xml',
  undeploy: 'application/vnd.vmware.vcloud.undeployVAppParams+xml',
  importVmAsVapp: 'application/vnd.vmware.admin.importVmAsVAppParams+xml',
  importVmIntoExistingVapp: 'application/vnd.vmware.admin.importVmIntoExistingVAppParams+xml',
  importVm: 'application/vnd.vmware.admin.importVmParams+xml',
  disk: 'application/vnd.vmware.vcloud.disk+xml',
  diskCreate: 'application/vnd.vmware.vcloud.diskCreateParams+xml',
  diskAttachOrDetach: 'application/vnd.vmware.vcloud.diskAttachOrDetachParams+xml',
  affinityRule: 'application/vnd.vmware.vcloud.vmAffinityRule+xml',
  captureVapp: 'application/vnd.vmware.vcloud.captureVAppParams+xml',
  vappTemplate: 'application/vnd.vmware.vcloud.vAppTemplate+xml',
  customization: 'application/vnd.vmware.vcloud.customizationSection+xml',
  media: 'application/vnd.vmware.vcloud.media+xml',
} as const;
