import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/index.js';
import type { SourceKind } from './manifest-content.js';

@Entity('restore_points')
export class RestorePointEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'organization_id' }) organizationId!: string;
  @Column('text', { name: 'cloud_id' }) cloudId!: string;
  @Column('text', { name: 'vapp_id' }) vappId!: string;
  @Column('text', { name: 'vapp_name' }) vappName!: string;
  @Column('text', { name: 'source_kind' }) sourceKind!: SourceKind;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('text') kind!: 'full' | 'incremental';
  @Column('text', { name: 'run_id' }) runId!: string;
  @Column('integer', { name: 'vm_count' }) vmCount!: number;
  @Column(bigint('capacity_bytes')) capacityBytes!: number;
  @Column(bigint('read_bytes')) readBytes!: number;
  @Column(bigint('new_bytes')) newBytes!: number;
  @Column(bigint('stored_bytes')) storedBytes!: number;
  @Column('jsonb') warnings!: string[];
  @Column('boolean') complete!: boolean;
  @Column('timestamptz', { name: 'locked_until', nullable: true }) lockedUntil!: Date | null;
  @Column('timestamptz', { name: 'copied_at', nullable: true }) copiedAt!: Date | null;
  /** Its manifest may be gone: it is no restore point any more, and its row only waits to go. */
  @Column('timestamptz', { name: 'deleting_at', nullable: true }) deletingAt!: Date | null;
}

/** A legal hold; one that was released stays, for whoever asks later. */
@Entity('legal_holds')
export class LegalHoldEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'restore_point_id' }) restorePointId!: string;
  @Column('text') reason!: string;
  @Column('timestamptz', { name: 'placed_at' }) placedAt!: Date;
  @Column('text', { name: 'placed_by' }) placedBy!: string;
  @Column('timestamptz', { name: 'released_at', nullable: true }) releasedAt!: Date | null;
  @Column('text', { name: 'released_by', nullable: true }) releasedBy!: string | null;
  @Column('text', { name: 'release_reason', nullable: true }) releaseReason!: string | null;
}

@Entity('restore_point_vms')
export class RestorePointVmEntity {
  @PrimaryColumn('text', { name: 'restore_point_id' }) restorePointId!: string;
  @PrimaryColumn('text', { name: 'vm_id' }) vmId!: string;
  @Column('integer') position!: number;
  @Column('text') name!: string;
}

@Entity('restore_point_disks')
export class RestorePointDiskEntity {
  @PrimaryColumn('text', { name: 'restore_point_id' }) restorePointId!: string;
  @PrimaryColumn('text', { name: 'disk_id' }) diskId!: string;
  @Column('text', { name: 'vm_id' }) vmId!: string;
  @Column('integer') position!: number;
  @Column('text') label!: string;
  @Column('integer', { name: 'device_key' }) deviceKey!: number;
  @Column('text', { nullable: true }) uuid!: string | null;
  @Column(bigint('capacity_bytes')) capacityBytes!: number;
  @Column(bigint('allocated_bytes')) allocatedBytes!: number;
  @Column(bigint('changed_bytes')) changedBytes!: number;
  @Column(bigint('read_bytes')) readBytes!: number;
  @Column(bigint('new_bytes')) newBytes!: number;
  @Column(bigint('stored_bytes')) storedBytes!: number;
  @Column(bigint('duration_ms')) durationMs!: number;
  @Column('text') kind!: 'full' | 'incremental';
  @Column('text', { name: 'full_reason', nullable: true }) fullReason!: string | null;
  @Column('text', { name: 'transport_mode' }) transportMode!: string;
  @Column('text', { name: 'change_id', nullable: true }) changeId!: string | null;
  @Column('text', { name: 'index_id' }) indexId!: string;
  @Column('integer', { name: 'chunk_bytes' }) chunkBytes!: number;
}
