import type { SourceKind } from '../catalog/index.js';
import type { MetadataType } from '../vcd/index.js';

/** Which objects of a cloud are meant. All given conditions must hold; a list holds when one of its entries does. */
export interface Scope {
  cloudId: string;
  /** URNs or names with * and ?. */
  organizations?: string[];
  vdcs?: string[];
  /** Names of vApps, standalone VMs, templates and media, with * and ?. */
  vappNames?: string[];
  /** Our ids or URNs of vApps, standalone VMs, templates and media. */
  ids?: string[];
  owners?: string[];
  /** VCD catalogs, by URN or name with * and ?: their templates and media. */
  vcdCatalogs?: string[];
  kinds?: SourceKind[];
  metadata?: ScopeMetadata[];
  exclude?: {
    organizations?: string[];
    vdcs?: string[];
    vappNames?: string[];
    ids?: string[];
    /** What is in these VCD catalogs. */
    vcdCatalogs?: string[];
    /** VMs by URN, or by name with * and ? ("*-scratch"). */
    vms?: string[];
    disks?: { vm: string; disk: string }[];
  };
}

export interface ScopeMetadata {
  key: string;
  type: MetadataType;
  value: string;
  domain: 'GENERAL' | 'SYSTEM';
}
