import type { InventoryCounts } from '../catalog/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';

/** Open, shared sessions of one registered cloud. One login per VCD and per vCenter in this process. */
export interface CloudSessions {
  readonly cloudId: string;
  readonly cloudName: string;
  /** @param signal ends the caller's own wait for a login that others wait for, too. */
  vcd(signal?: AbortSignal): Promise<VcdClientApi>;
  /** By vCenter instance UUID, which is what VCD's VimServer/Uuid carries. @throws CloudError VCENTER_NOT_REGISTERED. */
  vcenter(instanceUuid: string, signal?: AbortSignal): Promise<VsphereClientApi>;
}

/** A registered cloud as it is shown: never a password. */
export interface CloudView {
  id: string;
  name: string;
  vcd: {
    url: string;
    organization: string;
    login: 'password' | 'api-token' | 'service-account';
    /** Null for the kinds that name nobody. */
    userName: string | null;
    /** Null: the highest both sides know. */
    apiVersion: string | null;
  };
  vcenters: { url: string; instanceUuid: string; userName: string }[];
  /** vCenters VCD uses and nobody registered, and the reverse. */
  warnings: string[];
  createdAt: string;
  /** Of the last inventory that was complete. */
  refreshedAt: string | null;
  /** Why the last inventory failed; null when it did not. */
  refreshError: string | null;
}

/** What a refresh found. */
export interface RefreshReport extends InventoryCounts {
  /** Of all vCenters; those of one that did not answer as they were seen last. */
  firstClassDisks: number;
}
