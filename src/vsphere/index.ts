/**
 * One vCenter, as backup and restore need it: reading VMs, snapshots with changed areas, making VMs
 * from captured configurations, small datastore files. Over the vSphere Web Services API (vim25).
 *
 * It does not read or write disks (that is vddk), knows no vApp (that is vcd), and stores nothing.
 * It promises: one session per client, logged in again by itself; a certificate checked before any
 * byte is sent; every failure a VsphereError with one sentence and never a request, password or
 * cookie in it; every wait ended by result, deadline or signal, leaving nothing open in vCenter.
 */
export { type CapturedDevice, type CapturedHardware, capturedHardware } from './captured-hardware.js';
export { type CapturedEncryption, type CapturedMachine, capturedMachine } from './captured-machine.js';
export { diskPlaces } from './device-places.js';
export type { CryptoKey, EncryptionOptions, StorageProfiles } from './encryption-spec.js';
export { VsphereError, type VsphereErrorFields } from './errors.js';
export * from './first-class-disk-types.js';
export { nvramPath } from './nvram-path.js';
export { type Privilege, type PrivilegePurpose, PRIVILEGES } from './privileges.js';
export type * from './survey-types.js';
export type * from './types.js';
export { type DiskController, type StorageDevices, storageDevices } from './storage-devices.js';
export type { StoragePoliciesApi, StoragePolicy, VmPolicies } from './storage-policies.js';
export { capturedDisks, tracksChanges } from './vm-configuration.js';
export { VsphereClient } from './vsphere-client.js';
