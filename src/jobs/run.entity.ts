import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { StoredProgress } from './transfer.js';
import type { RunKind, RunState, RunView } from './types.js';

@Entity({ name: 'runs' })
export class RunEntity {
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  kind!: RunKind;

  @Column('text')
  state!: RunState;

  @Column('text')
  subject!: string;

  @Column('text', { name: 'organization_id' })
  organizationId!: string;

  /** Frozen when the run is made: the settings it was asked for, whatever a policy says later. */
  @Column('jsonb')
  payload!: Record<string, unknown>;

  @Column('jsonb')
  steps!: RunView['steps'];

  @Column('jsonb')
  progress!: StoredProgress;

  @Column('jsonb')
  warnings!: string[];

  @Column('jsonb', { nullable: true })
  error!: RunView['error'];

  @Column('jsonb', { nullable: true })
  result!: Record<string, unknown> | null;

  @Column('integer')
  attempt!: number;

  /** Grows with every change a reader could see; event streams compare it. */
  @Column('integer')
  revision!: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  /** Since when it waits, or last waited. */
  @Column({ type: 'timestamptz', name: 'queued_at', insert: false })
  queuedAt!: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;

  @Column('timestamptz', { name: 'cancel_requested_at', nullable: true })
  cancelRequestedAt!: Date | null;

  /** A sentence for people, where it was not a person who asked. */
  @Column('text', { name: 'cancel_reason', nullable: true })
  cancelReason!: string | null;

  @Column('text', { name: 'lease_owner', nullable: true })
  leaseOwner!: string | null;

  @Column('timestamptz', { name: 'lease_expires_at', nullable: true })
  leaseExpiresAt!: Date | null;

  /** 0 to 9, largest first among the waiting runs of one organization. */
  @Column('smallint')
  priority!: number;

  /** How often a worker died with it. */
  @Column('integer')
  losses!: number;

  /** The run of which this one does again what failed. */
  @Column('text', { name: 'retry_of', nullable: true })
  retryOf!: string | null;

  /** xid8, hence text: written with every change a reader could see, read only by event streams. */
  @Column({ type: 'text', name: 'changed_xid', select: false, insert: false })
  changedXid!: string;
}
