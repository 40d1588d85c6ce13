/**
 * The VCD side of the simulated cloud: a cell's REST interface (API 33.0 to 39.1) over its own
 * state and the vCenter model underneath.
 *
 * It knows nothing of disks' bytes. It promises what a real cell promises: strict bodies (order,
 * namespaces), tasks that take time, busy entities, maintenance mode, tenants kept apart, and XML
 * that is valid against VMware's schemas.
 */
export * from './api-tokens.js';
export * from './cloud.js';
export * from './faults-injected.js';
export * from './secrets.js';
export * from './server.js';
export * from './state.js';
export * from './variants.js';
export { API_VERSIONS } from './views/session-view.js';
