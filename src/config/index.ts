/**
 * What a person can set: environment and file become one typed, frozen object, and the master key
 * is read (made at the first start). It opens no database and starts nothing.
 *
 * It promises that a start with a bad configuration fails before anything was touched, with every
 * fault in one list, and that no secret is ever part of a message.
 */
export * from './config.module.js';
export * from './errors.js';
export { loadConfig } from './load.js';
export { MASTER_KEY_BYTES, openMasterKey } from './master-key.js';
export type * from './types.js';
export { ENVIRONMENT } from './variables.js';
