import { VaultError } from '../common/index.js';

/** What makes a restore impossible and lies in no outside system. */
export class RestoreError extends VaultError {
  constructor(
    code:
      | 'RESTORE_POINT_NOT_FOUND'
      | 'RESTORE_POINT_UNREADABLE'
      | 'NAME_TAKEN'
      | 'VDC_GONE'
      | 'VAPP_GONE'
      | 'CATALOG_GONE'
      /** The bytes of a medium are not those that were backed up. */
      | 'MEDIUM_MISMATCH'
      | 'NO_DATASTORE'
      /** Of a disk that is written over in place. */
      | 'DATASTORE_FULL'
      | 'DISK_MISMATCH'
      | 'VM_RUNNING'
      /** The request asks for what the restore point or the mode does not have. */
      | 'RESTORE_REQUEST_INVALID'
      /** A choice names what is not there. */
      | 'CHOICE_INVALID'
      /** Something cannot be decided without the administrator. */
      | 'CHOICE_NEEDED',
    message: string,
    details: Record<string, unknown> = {},
  ) {
    super(message, { code, details });
  }
}
