import { Inject, Injectable } from '@nestjs/common';
import type { AlertFact } from '../../alerts/index.js';
import type { Clock } from '../../common/index.js';
import { CONFIG, type VaultConfig } from '../../config/index.js';
import type { AwaitedRun } from '../../jobs/index.js';
import { PolicyClockStore, type Stall } from '../clock-store.js';
import { type LostSchedule, PolicyObjectStore } from '../object-store.js';
import { CLOCK, PolicyService } from '../policy.service.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered } from '../scope.service.js';
import { about, listed, namesOf, together } from './told-objects.js';

const MINUTE_MS = 60_000;
/** Who took an object out of its policy on purpose is told once, and not for ever. */
const LOST_MS = 7 * 24 * 60 * MINUTE_MS;

/** What of policies somebody must be told. */
@Injectable()
export class PolicyAlerts {
  constructor(
    private readonly objects: PolicyObjectStore,
    private readonly clocks: PolicyClockStore,
    private readonly policies: PolicyService,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'alerts' | 'policies'>,
  ) {}

  /** Only workers look at policies: where none is up, or each look fails or hangs, nothing becomes due, and no run fails. */
  async stalled(): Promise<AlertFact[]> {
    const stall = await this.clocks.stalled(this.config.alerts.stalledQueueMinutes * MINUTE_MS);
    if (stall === undefined) return [];
    const since = (stall.isSilent ? stall.lookedAt : stall.doneAt).toISOString();
    return [
      {
        key: 'policies',
        severity: 'critical',
        organizationId: '',
        subject: 'the policies',
        message: stall.isSilent
          ? `No worker has looked at the policies since ${since}, so nothing is backed up; look whether a worker is up, and at its log.`
          : `No look at the policies went well since ${since}, so backups may not be made nor old restore points deleted; ${whyNot(stall)}`,
        details: { since, failure: stall.failure },
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

  /** What policies are believed to protect, and do not. */
  async protectionLost(): Promise<AlertFact[]> {
    return [...(await this.withoutCloud()), ...(await this.refusedChoices()), ...(await this.lostSchedules())];
  }

  private async withoutCloud(): Promise<AlertFact[]> {
    const policies = (await this.policies.all()).filter(({ enabled }) => enabled);
    const missing = new Set<string>();
    for (const cloudId of new Set(policies.map(({ scope }) => scope.cloudId))) {
      if (!(await isRegistered(this.clouds, cloudId))) missing.add(cloudId);
    }
    return policies
      .filter(({ scope }) => missing.has(scope.cloudId))
      .map(({ id, name, scope: { cloudId } }) => ({
        key: `policy:${id}`,
        severity: 'critical',
        organizationId: '',
        subject: `policy "${name}"`,
        message: `Policy "${name}" is for cloud ${cloudId}, which is not registered, so it backs up nothing and removes nothing; put its scope.cloudId right, or delete it.`,
        details: { policyId: id, cloudId },
      }));
  }

  private async refusedChoices(): Promise<AlertFact[]> {
    const { metadataKey } = this.config.policies;
    const found = await this.objects.refusedChoices();
    return together(found, ({ organizationId, sinceAt }) => `choice:${organizationId}:${sinceAt.toISOString()}`).map(([key, objects]) => {
      const since = objects[0].sinceAt.toISOString();
      const names = namesOf(objects, ({ vappName, value }) => `"${vappName}" ("${value}")`);
      return {
        key,
        severity: 'warning',
        ...about(objects),
        message: `Metadata "${metadataKey}" names no policy that is offered for ${names} since ${since}, so only what holds without it goes on; correct the metadata in VCD, or offer a policy of that name.`,
        details: { ...listed(objects), since },
      };
    });
  }

  private async lostSchedules(): Promise<AlertFact[]> {
    const found = await this.objects.lostSchedules(new Date(this.clock.now().getTime() - LOST_MS));
    const keyOf = ({ switchedOff, organizationId, policyName, sinceAt }: LostSchedule) =>
      `${switchedOff ? 'off' : 'lost'}:${organizationId}:${policyName}:${sinceAt.toISOString()}`;
    return together(found, keyOf).map(([key, objects]) => {
      const [{ policyName, switchedOff, sinceAt }] = objects;
      const since = sinceAt.toISOString();
      const none = `No schedule holds since ${since} for ${namesOf(objects, ({ vappName }) => `"${vappName}"`)}`;
      return {
        key,
        severity: 'warning',
        ...about(objects),
        message: switchedOff
          ? `${none}, because policy "${policyName}" is switched off; switch it on as soon as it may run again.`
          : `${none}, which policy "${policyName}" backed up before; look what was changed (name, owner, VDC or metadata of the object, or the policy), and see that a policy means it again if it is to be backed up.`,
        details: { ...listed(objects), policyName, since },
      };
    });
  }
}

function whyNot({ failure }: Stall): string {
  return failure === null ? 'one is under way and does not end: look at the log of the workers.' : `the last one failed: ${failure}`;
}
