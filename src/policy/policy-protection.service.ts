import { Injectable } from '@nestjs/common';
import { CoverageService } from './coverage.service.js';
import { isNotRead, PolicyService } from './policy.service.js';

/** What policies protect just now, also by one that no round has seen yet. */
@Injectable()
export class PolicyProtection {
  constructor(
    private readonly policies: PolicyService,
    private readonly coverage: CoverageService,
  ) {}

  /** Why no restore point of the object may be deleted, as a person knows it; undefined where no policy holds them. */
  async whyHeld(vappId: string): Promise<string | undefined> {
    const policies = await this.policies.all();
    const object = await this.coverage.ofVapp(vappId, policies);
    if (object === undefined) return undefined;
    // What the last round wrote down counts, too: it is what retention and the views have said since.
    const heldBy = object.effective.legalHold.from?.policyName ?? object.facts.heldBy;
    if (heldBy !== undefined) return `policy "${heldBy}" holds all restore points of its objects`;
    const { cloudId } = object.vapp;
    const notRead = policies.find((policy) => policy.rules.legalHold && policy.scope.cloudId === cloudId && isNotRead(policy));
    if (notRead === undefined) return undefined;
    return `policy "${notRead.name}" holds all restore points of objects with certain metadata, and VCD has not said yet whether it is one of them`;
  }

  /** The longest lock that any policy has for the object; 0 where none has one. */
  async lockDays(vappId: string): Promise<number> {
    const object = await this.coverage.ofVapp(vappId, await this.policies.all());
    return object?.effective.settings.lockDays.value ?? 0;
  }
}
