import { VaultError, type VaultErrorFields } from '../common/index.js';

export type CloudErrorCode =
  | 'CLOUD_NOT_FOUND'
  | 'CLOUD_NAME_EXISTS'
  | 'CLOUD_VCD_EXISTS'
  | 'CLOUD_IN_USE'
  | 'CLOUD_CONFLICT'
  | 'CLOUD_UNUSABLE'
  | 'VCENTER_NOT_REGISTERED'
  | 'VCENTER_CHANGED'
  | 'CREDENTIALS_SEALED_OTHERWISE'
  | 'TOKEN_NOT_STORED'
  /** A first class disk has still to go back to what it was before a restore that failed. */
  | 'DISK_REVERT_OWED'
  | 'VDDK_NOT_CONFIGURED';

/** What is wrong with a registration, as opposed to with the cloud's own answers. */
export class CloudError extends VaultError {
  declare readonly code: CloudErrorCode;

  constructor(code: CloudErrorCode, message: string, fields: Omit<VaultErrorFields, 'code'> = {}) {
    super(message, { ...fields, code });
  }
}

export function cloudNotFound(cloudId: string): CloudError {
  return new CloudError('CLOUD_NOT_FOUND', `There is no cloud with id ${cloudId}.`, { subject: `cloud ${cloudId}` });
}
