import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ServerTrust } from '../common/index.js';

export type VcdLoginKind = 'password' | 'api-token' | 'service-account';

export interface RegisteredVcd {
  url: string;
  organization: string;
  /** Absent in rows of the first release, which knew passwords only. */
  login?: VcdLoginKind;
  /** Of a password. */
  userName?: string;
  /** Row of service_account_tokens. */
  serviceAccountId?: string;
  apiVersion?: string;
  trust: ServerTrust;
}

export interface RegisteredVcenter {
  instanceUuid: string;
  url: string;
  userName: string;
  trust: ServerTrust;
}

/** A vCenter whose first class disks the last refreshes could not list. */
export interface UnlistedVcenter {
  url: string;
  /** Since the first of them. */
  sinceAt: string;
  error: string;
}

@Entity('clouds')
export class CloudEntity {
  @PrimaryColumn('text') id!: string;
  @Column('text') name!: string;
  @Column('jsonb') vcd!: RegisteredVcd;
  @Column('jsonb') vcenters!: RegisteredVcenter[];
  /** Left out of every ordinary read. */
  @Column('bytea', { name: 'sealed_passwords', select: false }) sealedPasswords!: Buffer;
  /** Grows with every change of a login. */
  @Column('integer', { default: 1 }) revision!: number;
  /** VCD's own ids of its vCenters, as of the last look; empty in rows of the first release until they are refreshed. */
  @Column('jsonb', { name: 'vim_server_ids', default: [] }) vimServerIds!: string[];
  @Column('jsonb') warnings!: string[];
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('timestamptz', { name: 'refreshed_at', nullable: true }) refreshedAt!: Date | null;
  @Column('text', { name: 'refresh_error', nullable: true }) refreshError!: string | null;
  /** Tries that the service has begun by itself since one last ended: their process died, or they hang. */
  @Column('integer', { name: 'refresh_unended', default: 0 }) refreshUnended!: number;
  /** By instance UUID. */
  @Column('jsonb', { name: 'unlisted_vcenters', default: {} }) unlistedVcenters!: Record<string, UnlistedVcenter>;
}
