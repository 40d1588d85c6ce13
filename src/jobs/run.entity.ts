import { Column, Entity, PrimaryColumn } from 'typeorm';
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
  progress!: RunView['progress'];

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

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;

  @Column('timestamptz', { name: 'cancel_requested_at', nullable: true })
  cancelRequestedAt!: Date | null;

  @Column('text', { name: 'lease_owner', nullable: true })
  leaseOwner!: string | null;

  @Column('timestamptz', { name: 'lease_expires_at', nullable: true })
  leaseExpiresAt!: Date | null;
}
