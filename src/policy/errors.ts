import { VaultError } from '../common/index.js';

export type PolicyErrorCode = 'POLICY_NOT_FOUND' | 'POLICY_NAME_EXISTS' | 'POLICY_VAPP_NOT_FOUND';

/** A question about policies that has no answer, or a policy that cannot be kept. */
export class PolicyError extends VaultError {
  declare readonly code: PolicyErrorCode;

  constructor(code: PolicyErrorCode, message: string, subject?: string) {
    super(message, { code, subject });
  }
}
