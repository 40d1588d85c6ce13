/**
 * The state of the simulated vCenter: datacenter, folders, cluster, hosts, resource pools,
 * datastores, networks, virtual machines with typed devices, snapshots; and the operations on it.
 *
 * It speaks no protocol. It promises one truth for all doors (SOAP, vix, VCD), validated like
 * vCenter validates, kept in state.json, with the datastore's files always matching.
 */
export * from './inventory.js';
export * from './vim.js';
export * from './vsphere-model.js';
export * from './vsphere-types.js';
