/**
 * The vCloud Director client: one session to one VCD, spoken in API 33.0 … 39.x.
 *
 * It reads the inventory and whole vApps, puts vApps into maintenance mode, imports VMs that
 * vCenter already has, and writes back what was captured. It knows no disk content, no vCenter
 * and no restore point, and it decides no policy: which vApp, which VDC and which network is
 * the caller's choice.
 *
 * It promises: every failure is a VcdError whose sentence names the object; no error, log line or
 * request to a stranger carries a password or token; every wait ends by result, deadline or abort;
 * a request whose answer was lost is repeated only where repeating it cannot do the work twice.
 */
export type * from './client-api.js';
export type * from './types.js';
export { VcdClient, type VcdClientOptions } from './client.js';
export { compareMedia, compareVappAttributes, compareVappCaptures, fingerprintVapp, type CompareOptions } from './compare.js';
export { writableNetworkConfig } from './edit-network.js';
export { VcdError, type VcdErrorFields } from './error.js';
export { sameEntity } from './links.js';
export { filterValue } from './query.js';
