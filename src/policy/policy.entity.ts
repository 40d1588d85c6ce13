import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { PolicyRules } from './policy-types.js';
import type { Scope } from './scope-types.js';

@Entity('policies')
export class PolicyEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('jsonb') scope!: Scope;
  @Column('boolean') enabled!: boolean;
  @Column('boolean') offered!: boolean;
  @Column('jsonb') rules!: PolicyRules;
  @Column('integer') revision!: number;
  /** For which VCD has been asked what metadata its objects carry. */
  @Column('integer', { name: 'read_revision' }) readRevision!: number;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date;
}
