/**
 * The simulated cloud: VCD and vCenter with real protocols over loopback TLS, real VMDK files in
 * datastore folders, and a control port for tests. One process, one model seen through all doors.
 *
 * For development, the demo and tests only; the product never imports it. It promises the answers a
 * real cloud gives, refusals included, and that a restart goes on where it stopped.
 */
export * from './server.js';
