import { Inject, Injectable } from '@nestjs/common';
import type { AlertFact } from '../alerts/index.js';
import type { Clock } from '../common/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import type { AwaitedRun } from '../jobs/index.js';
import { PolicyClockStore } from './clock-store.js';
import { PolicyObjectStore } from './object-store.js';
import { CLOCK } from './policy.service.js';

const MINUTE_MS = 60_000;
/** A process that looks itself, and has just started after a long pause, is about to. */
const FIRST_LOOK_MS = 2 * MINUTE_MS;

/** What of policies somebody must be told. */
@Injectable()
export class PolicyAlerts {
  private readonly startedMs = performance.now();

  constructor(
    private readonly objects: PolicyObjectStore,
    private readonly clocks: PolicyClockStore,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'alerts' | 'role'>,
  ) {}

  /** Only workers look at policies: where none is up nothing becomes due, and no run fails. */
  async stalled(): Promise<AlertFact[]> {
    if (this.config.role !== 'api' && performance.now() - this.startedMs < FIRST_LOOK_MS) return [];
    const tickedAt = await this.clocks.lastTick();
    const patienceMs = this.config.alerts.stalledQueueMinutes * MINUTE_MS;
    if (tickedAt === undefined || this.clock.now().getTime() - tickedAt.getTime() < patienceMs) return [];
    return [
      {
        key: 'policies',
        severity: 'critical',
        organizationId: '',
        subject: 'the policies',
        message: `No worker has looked at the policies since ${tickedAt.toISOString()}, so nothing is backed up; look whether a worker is up, and at its log.`,
        details: { since: tickedAt.toISOString() },
      },
    ];
  }

  /** The objects that are to be backed up again. */
  async awaited(): Promise<AwaitedRun[]> {
    return (await this.objects.awaited()).map((vappId) => ({ kind: 'backup', exclusiveKey: `vapp:${vappId}` }));
  }

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
