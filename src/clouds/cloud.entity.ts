import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ServerTrust } from '../common/index.js';

export interface RegisteredVcd {
  url: string;
  organization: string;
  userName: string;
  trust: ServerTrust;
}

export interface RegisteredVcenter {
  instanceUuid: string;
  url: string;
  userName: string;
  trust: ServerTrust;
}

@Entity('clouds')
export class CloudEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('jsonb') vcd!: RegisteredVcd;
  @Column('jsonb') vcenters!: RegisteredVcenter[];
  /** Left out of every ordinary read. */
  @Column('bytea', { name: 'sealed_passwords', select: false }) sealedPasswords!: Buffer;
  @Column('jsonb') warnings!: string[];
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('timestamptz', { name: 'refreshed_at', nullable: true }) refreshedAt!: Date | null;
  @Column('text', { name: 'refresh_error', nullable: true }) refreshError!: string | null;
}
