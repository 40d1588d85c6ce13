import { Inject, Injectable } from '@nestjs/common';
import type { AlertFact } from '../../alerts/index.js';
import { RetentionQueryService, type Vanishing } from '../../catalog/index.js';
import type { Clock } from '../../common/index.js';
import { CoverageService } from '../coverage.service.js';
import { CLOCK, PolicyService } from '../policy.service.js';
import type { Policy } from '../policy-types.js';
import { keptUntil } from '../rules/kept.js';
import { isMass, VANISHING_MS } from '../rules/vanishing.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered } from '../scope.service.js';
import { namesOf, objectsOf } from './told-objects.js';

/** When restore points go because their object is gone, and by which policy. */
interface Deletion {
  at: Date;
  policyName: string;
}

/**
 * A mass of objects with restore points that inventories do not show any more: they are not backed up, and miss no objective. A few are what
 * tenants delete every day, and nothing to wake anybody for.
 */
@Injectable()
export class VanishedAlerts {
  constructor(
    private readonly retained: RetentionQueryService,
    private readonly coverage: CoverageService,
    private readonly policies: PolicyService,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async firing(signal: AbortSignal): Promise<AlertFact[]> {
    const after = new Date(this.clock.now().getTime() - VANISHING_MS);
    const vanishings = (await this.retained.vanishings(after)).filter(isMass);
    const facts: AlertFact[] = [];
    for (const cloudId of new Set(vanishings.map((vanishing) => vanishing.cloudId))) {
      // What somebody removed with its cloud is nothing to tell of.
      if (!(await isRegistered(this.clouds, cloudId))) continue;
      const deletions = await this.firstDeletions(cloudId, await this.policies.all(), after, signal);
      for (const vanishing of vanishings.filter((one) => one.cloudId === cloudId)) {
        facts.push(factOf(vanishing, deletions.get(vanishing.organizationId)));
      }
    }
    return facts;
  }

  /** By organization. */
  private async firstDeletions(
    cloudId: string,
    policies: readonly Policy[],
    after: Date,
    signal: AbortSignal,
  ): Promise<Map<string, Deletion>> {
    const ruled = [];
    for await (const object of this.coverage.ofCloud(cloudId, policies, { present: false, signal })) {
      const { effective, retentionEnabled, vapp } = object;
      const { vapps } = effective.deletedObjects.value;
      if (vapps.keep !== 'days' || !retentionEnabled || effective.legalHold.value) continue;
      ruled.push({ vapp, rule: vapps, policyName: effective.deletedObjects.from?.policyName ?? '' });
    }
    const vanished = await this.retained.vanished(ruled.map(({ vapp }) => vapp.id));
    const first = new Map<string, Deletion>();
    for (const { vapp, rule, policyName } of ruled) {
      const vanishedAt = vanished.get(vapp.id)?.find(({ kind }) => kind === 'vapp')?.vanishedAt;
      if (vanishedAt === undefined || vanishedAt <= after) continue;
      const at = keptUntil(rule, vanishedAt);
      const known = first.get(vapp.organizationId);
      if (known === undefined || at < known.at) first.set(vapp.organizationId, { at, policyName });
    }
    return first;
  }
}

function factOf(vanishing: Vanishing, deletion: Deletion | undefined): AlertFact {
  const { cloudId, organizationId, organizationName, gone, stillThere, vappIds } = vanishing;
  return {
    key: `${cloudId}:${organizationId}`,
    severity: 'critical',
    organizationId,
    subject: objectsOf(gone, organizationName),
    message: sentenceOf(vanishing, deletion),
    details: {
      ...{ cloudId, count: gone, stillThere, vappIds, since: vanishing.firstAt.toISOString() },
      ...{ policyName: deletion?.policyName ?? null, deletedFrom: deletion?.at.toISOString() ?? null },
    },
  };
}

function sentenceOf(vanishing: Vanishing, deletion: Deletion | undefined): string {
  const { organizationName, gone, stillThere, firstAt, names } = vanishing;
  const named = namesOf(names, (name) => `"${name}"`, gone);
  const share = `${gone} of ${objectsOf(gone + stillThere, organizationName)} with restore points`;
  const then =
    deletion === undefined
      ? 'no policy deletes the last of these for that'
      : `policy "${deletion.policyName}" deletes all that there are of these from ${deletion.at.toISOString()} on, but nothing while this lasts`;
  return `The inventory does not show ${named} any more since ${firstAt.toISOString()}, ${share}; ${then}; see whether they were meant to go, and whether the service's account still sees all of the cloud.`;
}
