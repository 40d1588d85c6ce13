import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/index.js';
import type { CloudResourceKind } from '../vcd/index.js';
import type { SourceKind } from './manifest-content.js';

/** What the last inventory of a cloud saw. Ids of organizations and VDCs are VCD's own (urn:vcloud:…). */
@Entity('organizations')
export class OrganizationEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('text', { name: 'display_name' }) displayName!: string;
  @Column('text') href!: string;
  @Column('boolean') enabled!: boolean;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

@Entity('vdcs')
export class VdcEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('boolean') enabled!: boolean;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

/** A vApp, template or medium under our own id, which it keeps through restores; `vcloudId` is the name VCD has for it today. */
@Entity('vapps')
export class VappEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'cloud_id' }) cloudId!: string;
  @Column('text', { name: 'vcloud_id' }) vcloudId!: string;
  @Column('text') kind!: SourceKind;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('text', { name: 'vdc_id' }) vdcId!: string;
  @Column('text', { name: 'owner_name' }) ownerName!: string;
  @Column('text') status!: string;
  @Column('integer', { name: 'vm_count' }) vmCount!: number;
  @Column(bigint('storage_kib')) storageKib!: number;
  @Column('boolean', { name: 'in_maintenance_mode' }) inMaintenanceMode!: boolean;
  /** '' where it is in none. */
  @Column('text', { name: 'vcd_catalog_id' }) vcdCatalogId!: string;
  @Column('text', { name: 'vcd_catalog_name' }) vcdCatalogName!: string;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

/** Every name VCD has or had for a vApp. */
@Entity('vapp_aliases')
export class VappAliasEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  @PrimaryColumn('text', { name: 'vcloud_id' }) vcloudId!: string;
  @Column('text', { name: 'vapp_id' }) vappId!: string;
}

@Entity('vms')
export class VmEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'cloud_id' }) cloudId!: string;
  @Column('text', { name: 'vcloud_id' }) vcloudId!: string;
  @Column('text', { name: 'vapp_id', nullable: true }) vappId!: string | null;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text') status!: string;
  @Column('text', { name: 'mo_ref' }) moRef!: string;
  @Column('text', { name: 'vim_server_id' }) vimServerId!: string;
  @Column('text', { name: 'host_name' }) hostName!: string;
  @Column('text', { name: 'datastore_name' }) datastoreName!: string;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

export type VmAliasKind = 'vcloud' | 'instance-uuid' | 'mo-ref';

/** Every name VCD and vSphere have or had for a VM. */
@Entity('vm_aliases')
export class VmAliasEntity {
  @PrimaryColumn('text') kind!: VmAliasKind;
  /** Cloud id; for a MoRef the vCenter's instance UUID, because MoRefs repeat from vCenter to vCenter. */
  @PrimaryColumn('text') scope!: string;
  @PrimaryColumn('text') value!: string;
  @Column('text', { name: 'vm_id' }) vmId!: string;
}

@Entity('disks')
export class DiskEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'vm_id' }) vmId!: string;
  @Column('integer', { name: 'device_key' }) deviceKey!: number;
  /** '' where vSphere tells none. */
  @Column('text') uuid!: string;
  @Column('text') label!: string;
}

/** A named (independent) disk: an object of its VDC. */
@Entity('named_disks')
export class NamedDiskEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('text', { name: 'vdc_id' }) vdcId!: string;
  @Column('text', { name: 'owner_name' }) ownerName!: string;
  @Column('text') status!: string;
  @Column(bigint('size_mib')) sizeMib!: number;
  @Column('text', { name: 'storage_profile_name' }) storageProfileName!: string;
  @Column('text', { name: 'bus_type' }) busType!: string;
  @Column('text', { name: 'bus_sub_type' }) busSubType!: string;
  @Column('integer', { name: 'attached_vm_count' }) attachedVmCount!: number;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

/** What stands around vApps: provider VDCs, datastores, networks, policies … in one table, because all are only shown. */
@Entity('cloud_resources')
export class CloudResourceEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  @PrimaryColumn('text') kind!: CloudResourceKind;
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('text', { name: 'vdc_id' }) vdcId!: string;
  @Column('jsonb') details!: Record<string, string>;
  @Column('boolean') present!: boolean;
  @Column('timestamptz', { name: 'last_seen_at' }) lastSeenAt!: Date;
}

/** How far a cloud's inventory is up to date. */
@Entity('inventory_states')
export class InventoryStateEntity {
  @PrimaryColumn('text', { name: 'cloud_id' }) cloudId!: string;
  /** When all of it was last read, by our clock. */
  @Column('timestamptz', { name: 'full_at' }) fullAt!: Date;
  /** Up to when it is complete, by VCD's clock. */
  @Column('timestamptz', { name: 'vcd_time' }) vcdTime!: Date;
}
