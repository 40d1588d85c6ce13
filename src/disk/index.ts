/**
 * The block language: extents (sorted, disjoint runs of bytes) and the plan of a copy
 * (what is read, is zero, or is kept, in whole chunks). Pure functions; no I/O, no clock, nothing of vSphere.
 *
 * It promises that touched = read + zero + keep, without overlap, for any input, up to 2^53 bytes.
 */
export * from './bounded-extents.js';
export * from './copy-plan.js';
export * from './extents.js';
