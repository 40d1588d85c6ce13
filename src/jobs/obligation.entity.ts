import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ name: 'obligations' })
export class ObligationEntity {
  @PrimaryColumn('text')
  id!: string;

  @Column('text', { name: 'run_id' })
  runId!: string;

  /** Orders the debts of a run: the newest is paid first. bigint identity, hence a string. */
  @Column({ type: 'bigint', insert: false, update: false })
  sequence!: string;

  @Column('text')
  kind!: string;

  @Column('jsonb')
  terms!: Record<string, unknown>;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'settled_at', nullable: true })
  settledAt!: Date | null;

  @Column('integer')
  attempts!: number;

  @Column('text', { name: 'last_error', nullable: true })
  lastError!: string | null;

  @Column('timestamptz', { name: 'next_try_at', nullable: true })
  nextTryAt!: Date | null;

  /** Of a run that did not end well, while the thing was not seen undone: then the debt is opened once more. */
  @Column('timestamptz', { name: 'look_again_at', nullable: true })
  lookAgainAt!: Date | null;

  /** Who is paying just now; nobody else may until `claimedUntil`. */
  @Column('text', { name: 'claimed_by', nullable: true })
  claimedBy!: string | null;

  @Column('timestamptz', { name: 'claimed_until', nullable: true })
  claimedUntil!: Date | null;
}
