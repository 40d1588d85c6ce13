import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/index.js';

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

/** A vApp under our own id, which it keeps through restores; `vcloudId` is the name VCD has for it today. */
@Entity('vapps')
export class VappEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'cloud_id' }) cloudId!: string;
  @Column('text', { name: 'vcloud_id' }) vcloudId!: string;
  @Column('text') name!: string;
  @Column('text') href!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('text', { name: 'vdc_id' }) vdcId!: string;
  @Column('text', { name: 'owner_name' }) ownerName!: string;
  @Column('text') status!: string;
  @Column('integer', { name: 'vm_count' }) vmCount!: number;
  @Column(bigint('storage_kib')) storageKib!: number;
  @Column('boolean', { name: 'in_maintenance_mode' }) inMaintenanceMode!: boolean;
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
