/**
 * The simulated datastores: folders with true VMDK files (descriptor, flat extent, seSparse deltas,
 * change tracking), and what ESXi does with them: read and write through a chain, unmap, make a
 * delta, consolidate, track changed blocks.
 *
 * It knows no VM and no protocol. It promises that a chain read back equals what was written, at
 * any offset up to 2^53 bytes, and that holes stay holes. One writer at a time: the model sees to it.
 */
export * from './change-tracking.js';
export * from './datastore.js';
export * from './disk-chain.js';
export * from './sesparse.js';
export * from './sparse-file.js';
export * from './vmdk-descriptor.js';
