import { Injectable } from '@nestjs/common';
import { CatalogService } from '../catalog/index.js';
import { matchesPattern } from '../common/index.js';
import { PolicyError } from './errors.js';
import { PolicyObjectStore } from './object-store.js';
import type { PolicyView } from './policy.service.js';

export interface MissedRpoView {
  vappId: string;
  vappName: string;
  organizationId: string;
  policyName: string;
  sinceAt: string;
  lastRestorePointAt: string | null;
}

/**
 * What a tenant may see of policies: those it may choose among, without the names of others that their scopes hold, and what
 * holds for its own objects. To the provider (no organization) everything is shown as it is.
 */
@Injectable()
export class TenantPolicies {
  constructor(
    private readonly catalog: CatalogService,
    private readonly objects: PolicyObjectStore,
  ) {}

  async seen(policies: readonly PolicyView[], organizationId: string | null): Promise<PolicyView[]> {
    if (organizationId === null) return [...policies];
    const places = (await this.catalog.organizations()).filter(({ id }) => id === organizationId);
    const isMeant = ({ offered, enabled, scope: { cloudId, organizations, exclude } }: PolicyView) => {
      const names = places.filter((place) => place.cloudId === cloudId).map(({ name }) => name);
      const isNamed = (entries: readonly string[]) => entries.some((entry) => fits(entry, organizationId, names));
      return offered && enabled && names.length > 0 && isNamed(organizations ?? ['*']) && !isNamed(exclude?.organizations ?? []);
    };
    return policies.filter(isMeant).map((policy) => ({ ...policy, scope: { cloudId: policy.scope.cloudId } }));
  }

  /** @throws PolicyError POLICY_NOT_FOUND. */
  async seenOne(policy: PolicyView, organizationId: string | null): Promise<PolicyView> {
    const [seen] = await this.seen([policy], organizationId);
    if (seen === undefined) throw new PolicyError('POLICY_NOT_FOUND', `There is no policy ${policy.id}.`, `policy ${policy.id}`);
    return seen;
  }

  /** @throws PolicyError POLICY_VAPP_NOT_FOUND: another organization's, as if there were none. */
  async refuseForeign(vappId: string, organizationId: string | null): Promise<void> {
    if (organizationId === null) return;
    const vapp = await this.catalog.vapp(vappId);
    if (vapp?.organizationId === organizationId) return;
    throw new PolicyError('POLICY_VAPP_NOT_FOUND', `There is no vApp with id ${vappId} in the catalog.`, `vApp ${vappId}`);
  }

  async missedRpo(organizationId: string | null): Promise<MissedRpoView[]> {
    const missed = await this.objects.missedRpo();
    return missed
      .filter((object) => organizationId === null || object.organizationId === organizationId)
      .map(({ sinceAt, lastRestorePointAt, ...object }) => ({
        ...object,
        sinceAt: sinceAt.toISOString(),
        lastRestorePointAt: lastRestorePointAt?.toISOString() ?? null,
      }));
  }
}

function fits(entry: string, id: string, names: readonly string[]): boolean {
  return /^urn:/i.test(entry) ? entry.toLowerCase() === id.toLowerCase() : names.some((name) => matchesPattern(name, entry));
}
