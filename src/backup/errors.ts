import { VaultError } from '../common/index.js';

/** What makes a backup impossible and lies in no outside system. */
export class BackupError extends VaultError {
  constructor(
    code:
      | 'VAPP_NOT_FOUND'
      | 'VAPP_GONE'
      | 'SCOPE_EMPTY'
      | 'VAPP_EMPTY'
      /** A first class disk that a VM has: it is backed up with the VM. */
      | 'DISK_ATTACHED'
      | 'VAPP_CHANGED'
      | 'MEDIUM_EMPTY'
      | 'MEDIUM_INCOMPLETE'
      | 'ALL_VMS_EXCLUDED'
      | 'VM_NOT_IN_VCENTER'
      | 'QUIESCE_IMPOSSIBLE'
      | 'QUIESCE_INSUFFICIENT',
    message: string,
    retryable = false,
  ) {
    super(message, { code, retryable });
  }
}
