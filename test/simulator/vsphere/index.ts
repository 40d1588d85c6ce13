/**
 * vCenter's own doors: SOAP (vim25, the VADP subset and what a client needs around it), datastore
 * files over HTTPS, and on the same port the vix door of the stand-in libvixDiskLib.
 *
 * All state is VsphereModel's. It promises to refuse what vCenter refuses: unknown elements, wrong
 * order, missing required elements, sessions that ended; answers are in schema order with xsi:type.
 */
export type { VcenterAccount } from './accounts.js';
export { VsphereModel } from '../model/vsphere-model.js';
export * from '../model/vsphere-types.js';
export type { Door, FaultRule, Recorder, ServedRequest } from './fault-rules.js';
export { FaultRules } from './fault-rules.js';
export { withoutSecrets } from './soap-endpoint.js';
export * from './vcenter-server.js';
