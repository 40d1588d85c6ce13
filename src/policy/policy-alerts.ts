import { Injectable } from '@nestjs/common';
import type { AlertFact } from '../alerts/index.js';
import { PolicyObjectStore } from './object-store.js';

/** What of policies somebody must be told. */
@Injectable()
export class PolicyAlerts {
  constructor(private readonly objects: PolicyObjectStore) {}

  /** Objects whose newest complete restore point is older than their policy wants. */
  async missedRpo(): Promise<AlertFact[]> {
    return (await this.objects.missedRpo()).map(({ vappId, vappName, organizationId, policyName, sinceAt, lastRestorePointAt }) => ({
      key: vappId,
      severity: lastRestorePointAt === null ? 'critical' : 'warning',
      organizationId,
      subject: `"${vappName}"`,
      message:
        lastRestorePointAt === null
          ? `"${vappName}" has no complete restore point, and policy "${policyName}" wants one since ${sinceAt.toISOString()}; look at its runs.`
          : `The newest complete restore point of "${vappName}" is of ${lastRestorePointAt.toISOString()}, and policy "${policyName}" wants a younger one since ${sinceAt.toISOString()}; look at its runs.`,
      details: { policyName, sinceAt: sinceAt.toISOString(), lastRestorePointAt: lastRestorePointAt?.toISOString() ?? null },
    }));
  }
}
