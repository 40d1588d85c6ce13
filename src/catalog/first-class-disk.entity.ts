import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { FirstClassDiskUse } from './types.js';

/** What only vSphere knows of a first class disk; its name, size and owner are in its row of `vapps`. */
@Entity('first_class_disks')
export class FirstClassDiskEntity {
  @PrimaryColumn('text', { name: 'vapp_id' }) vappId!: string;
  @Column('text', { name: 'vcenter_instance_uuid' }) vcenterInstanceUuid!: string;
  /** VStorageObject's UUID. */
  @Column('text', { name: 'disk_id' }) diskId!: string;
  @Column('text', { name: 'datastore_mo_ref' }) datastoreMoRef!: string;
  @Column('text', { name: 'datastore_name' }) datastoreName!: string;
  @Column('text') path!: string;
  @Column('text') provisioning!: string;
  @Column('boolean', { name: 'change_tracking' }) changeTracking!: boolean;
  /** urn:vcloud:disk:… of the named disk that it is; '' where it is none. */
  @Column('text', { name: 'named_disk_id' }) namedDiskId!: string;
  @Column('jsonb', { name: 'attached_to' }) attachedTo!: FirstClassDiskUse[];
}
