/** What VCD's query service lists, a record for each object. */

export interface OrganizationRecord {
  id: string;
  name: string;
  displayName: string;
  href: string;
  enabled: boolean;
}
export interface VdcRecord {
  id: string;
  name: string;
  href: string;
  organizationId: string;
  organizationName: string;
  enabled: boolean;
}
export interface VappRecord {
  id: string;
  name: string;
  href: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  vmCount: number;
  storageKib: number;
  inMaintenanceMode: boolean;
  busy: boolean;
  /** Made by VCD around a standalone VM (isAutoNature): not a vApp of the tenant's. */
  standalone: boolean;
}
export interface VmRecord {
  id: string;
  name: string;
  href: string;
  vappId: string;
  vdcId: string;
  organizationId: string;
  status: string;
  moRef: string;
  vimServerId: string;
  hostName: string;
  datastoreName: string;
  localId: string | undefined;
  /** Of a vApp template, whose id is then in `vappId`. Listed only where asked for. */
  inTemplate: boolean;
}

/** What templates and media have in common: a place in a catalog. */
interface CatalogedRecord {
  id: string;
  name: string;
  href: string;
  /** '' where the record does not tell. */
  catalogId: string;
  catalogName: string;
  catalogItemId: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  busy: boolean;
}
export interface VappTemplateRecord extends CatalogedRecord {
  storageKib: number;
  goldMaster: boolean;
}
export interface MediaRecord extends CatalogedRecord {
  sizeBytes: number;
}
export interface NamedDiskRecord {
  id: string;
  name: string;
  href: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  sizeMib: number;
  storageProfileName: string;
  busType: string;
  busSubType: string;
  attachedVmCount: number;
}

/** What stands around vApps: listed for people and for mapping, never changed by us. */
export type CloudResourceKind =
  | 'provider-vdc'
  | 'vcenter'
  | 'datastore'
  | 'storage-profile'
  | 'compute-policy'
  | 'external-network'
  | 'organization-network'
  | 'catalog';
export interface CloudResourceRecord {
  kind: CloudResourceKind;
  /** urn:vcloud:…; made from the href where VCD gives none. */
  id: string;
  name: string;
  href: string;
  /** '' where it belongs to none. */
  organizationId: string;
  vdcId: string;
  /** Attributes of the record worth showing, as VCD names them. */
  details: Record<string, string>;
}
export interface VimServerRecord {
  id: string;
  name: string;
  href: string;
  url: string;
  instanceUuid: string;
}
