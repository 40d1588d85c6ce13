import { describeError, VaultError } from '../common/index.js';

export type PolicyErrorCode = 'POLICY_NOT_FOUND' | 'POLICY_NAME_EXISTS' | 'POLICY_VAPP_NOT_FOUND' | 'POLICY_CLOUD_FAILED';

/** A question about policies that has no answer, or a policy that cannot be kept. */
export class PolicyError extends VaultError {
  declare readonly code: PolicyErrorCode;

  constructor(code: PolicyErrorCode, message: string, subject?: string) {
    super(message, { code, subject });
  }
}

export function cloudNotLookedAt(cloudId: string, error: unknown): PolicyError {
  return new PolicyError(
    'POLICY_CLOUD_FAILED',
    `What policies mean in cloud "${cloudId}" could not be found out: ${describeError(error)}`,
    `cloud "${cloudId}"`,
  );
}
