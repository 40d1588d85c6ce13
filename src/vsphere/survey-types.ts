import type { Privilege } from './privileges.js';

export interface HostListing {
  moRef: string;
  /** As vCenter knows it, and as VDDK must be able to reach it: a DNS name or an address. */
  name: string;
  /** connected | disconnected | notResponding */
  connectionState: string;
  /** poweredOn | poweredOff | standBy | unknown */
  powerState: string;
  inMaintenanceMode: boolean;
  /** "VMware ESXi 8.0.3 build-24022510"; empty where the host cannot tell. */
  product: string;
  /** Time servers; undefined where the account may not see them or the host cannot tell. */
  ntpServers: string[] | undefined;
}

export interface DatastoreListing {
  moRef: string;
  name: string;
  /** VMFS, NFS, NFS41, vsan, VVOL, PMEM … */
  type: string;
  capacityBytes: number;
  freeBytes: number;
  /** Reachable from a host and not in maintenance mode. */
  accessible: boolean;
}

export interface VmListing {
  moRef: string;
  name: string;
  instanceUuid: string | undefined;
  /** connected | disconnected | orphaned | inaccessible | invalid */
  connectionState: string;
  powerState: string;
  /** "vmx-19"; undefined where the configuration cannot be read. */
  hardwareVersion: string | undefined;
  isTemplate: boolean;
  changeTrackingSupported: boolean;
  consolidationNeeded: boolean;
}

export interface MissingPrivilege extends Privilege {
  /** Inventory objects on which the account lacks it: the root folder, datacenters. */
  on: string[];
}

/** What there is in a vCenter, and what the account may do there. Everything by pages of 100 objects, of which one is held. */
export interface VcenterSurveyApi {
  /** `VMware vCenter Server 8.0.3 build-24022515` */
  readonly product: string;
  /** vCenter's own clock. */
  currentTime(signal?: AbortSignal): Promise<Date>;
  hosts(signal?: AbortSignal): Promise<HostListing[]>;
  datastores(signal?: AbortSignal): Promise<DatastoreListing[]>;
  /** Every VM and template, a page at a time. */
  vms(signal?: AbortSignal): AsyncIterable<VmListing[]>;
  /**
   * Of the privileges this service uses, those the account lacks on the root folder or on a datacenter. Privileges that
   * this vCenter does not know are left out: what they protect is not there.
   */
  missingPrivileges(signal?: AbortSignal): Promise<MissingPrivilege[]>;
}
