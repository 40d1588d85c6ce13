import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CatalogService, type VappView } from '../catalog/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { type Coverage, cover } from './cover.js';
import { type ObjectFacts, PolicyObjectStore } from './object-store.js';
import type { Policy, PolicySchedule } from './policy-types.js';
import type { ScopeMetadata } from './scope-types.js';

/** An object of the inventory, and what policies mean for it. */
export interface CoveredObject extends Coverage {
  vapp: VappView;
  facts: ObjectFacts;
}

interface Carriers {
  policyId: string;
  vappIds: ReadonlySet<string>;
}

/** Objects whose tenant chooses a policy that is not kept yet. */
export interface Choosers {
  policyName: string;
  vappIds: ReadonlySet<string>;
}

/** What policies mean for the objects of a cloud, those that are gone from it included: by the last inventory and the last metadata. */
@Injectable()
export class CoverageService {
  constructor(
    private readonly catalog: CatalogService,
    private readonly objects: PolicyObjectStore,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'policies'>,
  ) {}

  /**
   * Objects for which a policy holds, or held in the last round, and those whose tenants chose what is not offered.
   * @param policies of any cloud.
   * @param options.carriers objects that meet the metadata conditions of a policy that is not kept yet.
   * @param options.choosers objects that choose it.
   * @param options.present whether the last inventory saw them; both where nothing is said.
   * @param options.also objects that are told of where no policy holds, too.
   */
  async *ofCloud(
    cloudId: string,
    policies: readonly Policy[],
    options: {
      signal?: AbortSignal | undefined;
      present?: boolean;
      carriers?: Carriers | undefined;
      choosers?: Choosers | undefined;
      also?: ReadonlySet<string> | undefined;
    } = {},
  ): AsyncGenerator<CoveredObject> {
    const { carriers, choosers, also, ...which } = options;
    const own = policies.filter(({ scope }) => scope.cloudId === cloudId);
    const known = await this.objects.ofCloud(cloudId);
    for await (const page of this.catalog.sourcesOf(cloudId, which)) {
      const vms = await this.catalog.vmsOfVapps(page.map(({ id }) => id));
      for (const vapp of page) {
        const facts = known.get(vapp.id) ?? unknown(vapp);
        const carried = carriers === undefined ? facts.carried : carriedOf(vapp, facts.carried, carriers);
        const coverage = cover(
          own,
          { ...vapp, vms: vms.get(vapp.id) ?? [] },
          { carried, chosen: chosenOf(vapp, facts.chosen, choosers) },
          this.config.policies.metadataKey,
        );
        const follows = facts.schedulePolicy !== undefined || facts.heldBy !== undefined || facts.choiceRefusedAt !== undefined;
        const isRefused = coverage.choice?.accepted === false;
        if (coverage.effective.policies.length > 0 || isRefused || follows || also?.has(vapp.id)) {
          yield { vapp, facts, ...coverage };
        }
      }
    }
  }

  /** The metadata with which a tenant chooses the policy of that name. */
  choiceOf(policyName: string): ScopeMetadata {
    return { key: this.config.policies.metadataKey, type: 'MetadataStringValue', value: policyName, domain: 'GENERAL' };
  }

  /** One object, also where no policy holds. @returns undefined where there is none. */
  async ofVapp(vappId: string, policies: readonly Policy[]): Promise<CoveredObject | undefined> {
    const vapp = await this.catalog.vappDetail(vappId);
    if (vapp === undefined) return undefined;
    const own = policies.filter(({ scope }) => scope.cloudId === vapp.cloudId);
    const facts = (await this.objects.find(vappId)) ?? unknown(vapp);
    const vms = (await this.catalog.vmsOfVapps([vappId])).get(vappId) ?? [];
    const coverage = cover(own, { ...vapp, vms }, facts, this.config.policies.metadataKey);
    return { vapp, facts, ...coverage };
  }
}

/** The same schedule for the same reason: when it changes, what was due before is owed no more. */
export function scheduleKey(schedule: PolicySchedule): string {
  const { cron, rpoHours, timeZone } = schedule;
  // Windows and spread move beginnings, and make nothing due.
  return createHash('sha256')
    .update(JSON.stringify([cron, rpoHours, timeZone]))
    .digest('hex')
    .slice(0, 32);
}

/** VCD was asked of what is there alone; of what is gone, what it said last holds. */
function carriedOf({ id, present }: VappView, carried: readonly string[], { policyId, vappIds }: Carriers): readonly string[] {
  if (!present) return carried;
  const ofOthers = carried.filter((other) => other !== policyId);
  return vappIds.has(id) ? [...ofOthers, policyId] : ofOthers;
}

function chosenOf({ id, present }: VappView, chosen: string | undefined, choosers: Choosers | undefined): string | undefined {
  return present && choosers?.vappIds.has(id) ? choosers.policyName : chosen;
}

function unknown({ id, cloudId }: VappView): ObjectFacts {
  return {
    vappId: id,
    cloudId,
    chosen: undefined,
    carried: [],
    scheduleKey: undefined,
    schedulePolicy: undefined,
    sinceAt: undefined,
    heldBy: undefined,
    rpoMissedSince: undefined,
    choiceRefusedAt: undefined,
    scheduleLostAt: undefined,
    lostPolicy: undefined,
  };
}
