/**
 * Disks of VMs through VMware's VDDK, which runs in a process of its own (native/host): VddkHost
 * starts, supervises and ends it; connections and disks speak to it over a socket and shared memory.
 *
 * It knows no vApp, no snapshot and no chunk; it does not retry, and it does not choose transports.
 * It promises: whatever VDDK does (fail, crash, hang, speak nonsense) ends as one VddkError within
 * the operation timeout; shared memory is not written to after a call has settled; after `stop` the
 * process is reaped and the memory is free. `stop` must be called for every host, also a dead one,
 * and only when nobody uses its memory any more.
 */
export { checkSettings, initExConfiguration } from './configuration-file.js';
export * from './inspect-vddk.js';
export type * from './types.js';
export { VddkError } from './vddk-error.js';
export { VddkHost, type VddkHostOptions } from './vddk-host.js';
