/**
 * The tests' door into the simulated cloud: guests' writes, checkpoints of what a vApp was and
 * comparisons with it, ordered faults, the list of requests.
 *
 * It is no part of VCD or vCenter and the product never calls it. It promises that a checkpoint is
 * kept outside the datastores, so that a comparison does not rest on what it checks.
 */
export * from './attributes.js';
export * from './checkpoints.js';
export * from './request-log.js';
export * from './server.js';
