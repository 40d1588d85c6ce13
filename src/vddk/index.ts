/**
 * Disks of VMs through VMware's VDDK, which runs in a process of its own (native/host): VddkHost
 * starts, supervises and ends it; connections and disks speak to it over a socket and shared memory.
 *
 * It knows no vApp, no snapshot and no chunk. VddkHost does not retry; DiskAccess does, by the table of RETRIES, and
 * chooses transports by rule within what its caller allows.
 * It promises: whatever VDDK does (fail, crash, hang, speak nonsense) ends as one VddkError within
 * the operation timeout; shared memory is not written to after a call has settled; after `stop` the
 * process is reaped and the memory is free. `stop` must be called for every host, also a dead one,
 * and only when nobody uses its memory any more.
 */
export { AccessHosts, type AccessRequest, MIGRATION_WAIT } from './access-hosts.js';
export { DiskAccess, type SteadyOpenOptions } from './disk-access.js';
export type { DiskAccessOptions, TransportPolicy } from './live-host.js';
export { accountsOf, type OpenDiskPermits } from './open-disk-permits.js';
export { WRITES_IN_DOUBT } from './steady-disk.js';
export { checkSettings, initExConfiguration } from './configuration-file.js';
export * from './inspect-vddk.js';
export { Leftovers } from './leftovers.js';
export {
  restoreSnapshotRule,
  type DiskPlace,
  type RestoreSnapshotRule,
  type Transport,
  transportModes,
  transportRules,
} from './transport-rules.js';
export type * from './types.js';
export { RETRIES, type VixRetry } from './vix-codes.js';
export { VddkError } from './vddk-error.js';
export { VddkHost, type VddkHostOptions } from './vddk-host.js';
