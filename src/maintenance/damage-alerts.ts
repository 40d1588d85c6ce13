import { Inject, Injectable } from '@nestjs/common';
import type { AlertFact } from '../alerts/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { type PackName, REPOSITORY, type RepositoryApi, type Site, type VerifyFinding } from '../repository/index.js';
import { MaintenanceState } from './maintenance-state.js';
import { describeFinding, nameFindings } from './name-findings.js';

/** What the last verification of an organization's restore points found at a site. */
interface Damage {
  findings: number;
  restorePoints: number;
  /** The worst of it, in one sentence. */
  worst: string;
  foundAt: string;
  runId: string;
  /** Packs that are damaged in themselves, by their names. */
  packs?: string[];
}

/** A repository that is damaged all over fills no database with it. */
const MAXIMUM_PACKS_KEPT = 1_000;

/** By organization; '' is what no organization can be told of. */
type DamageOfSite = Record<string, Damage>;

/**
 * Damage that is there, until a verification finds it no more. Every verification, whatever it reads, looks through all restore points of
 * the organizations it is about and finds again what was found before and neither healed nor stored anew (verify.ts). A pack that is
 * damaged in itself is found only where it is read: a rolling one is told of those (`damagedPacks`). So the last one says what is damaged
 * now, also where it read other packs than the one that came upon it.
 */
@Injectable()
export class DamageAlerts {
  constructor(
    private readonly state: MaintenanceState,
    @Inject(REPOSITORY) private readonly repository: Pick<RepositoryApi, 'readManifest'>,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'repository'>,
  ) {}

  /** What a verification that looked at everything it was asked for has found; one that found nothing says so. */
  async note(
    verification: { site: Site; organizationId?: string | undefined; runId: string },
    findings: readonly VerifyFinding[],
    signal: AbortSignal,
  ): Promise<void> {
    const { site, organizationId, runId } = verification;
    const damage: DamageOfSite = organizationId === undefined ? {} : ((await this.damageOf(site))?.value ?? {});
    if (organizationId !== undefined) delete damage[organizationId];
    const foundAt = new Date().toISOString();
    for (const [id, found] of byOrganization(findings)) {
      const restorePoints = new Set(found.flatMap(({ restorePointId }) => restorePointId ?? [])).size;
      // What a restore point lacks is worse than an object of which nobody may need anything.
      const worst = found
        .filter(({ restorePointId }) => restorePointId !== undefined)
        .concat(found)
        .slice(0, 1);
      const [named] = await nameFindings(this.repository, worst, signal);
      const packs = found.flatMap(({ kind, name }) => (kind === 'object' && name?.startsWith('packs/') ? [name] : []));
      if (named)
        damage[id] = {
          ...{ findings: found.length, restorePoints, worst: describeFinding(named), foundAt, runId },
          packs: packs.slice(0, MAXIMUM_PACKS_KEPT),
        };
    }
    await this.state.save(nameOf(site), damage);
  }

  /** Packs that the last verification of their organization found damaged in themselves. */
  async damagedPacks(site: Site): Promise<PackName[]> {
    return Object.entries((await this.damageOf(site))?.value ?? {}).flatMap(([organizationId, { packs = [] }]) =>
      packs.map((name) => ({ organizationId, name })),
    );
  }

  async firing(): Promise<AlertFact[]> {
    const sites: Site[] = this.config.repository.secondSite.kind === 'none' ? ['first'] : ['first', 'second'];
    const facts: AlertFact[] = [];
    for (const site of sites) {
      for (const [organizationId, damage] of Object.entries((await this.damageOf(site))?.value ?? {})) {
        const { findings, restorePoints, runId } = damage;
        facts.push({
          key: `${site}:${organizationId}`,
          severity: restorePoints > 0 ? 'critical' : 'warning',
          organizationId,
          subject: `the repository (${site} site)`,
          message: sentenceOf(site, damage),
          details: { runId, site, findings, restorePoints },
        });
      }
    }
    return facts;
  }

  private damageOf(site: Site) {
    return this.state.load<DamageOfSite>(nameOf(site));
  }
}

function sentenceOf(site: Site, { findings, worst, foundAt, runId }: Damage): string {
  const further = findings > 1 ? `, and ${findings - 1} more` : '';
  return `Verification found damage in the ${site} site of the repository at ${foundAt}: ${worst}${further}; back up again what it is about, which stores anew what is still in the cloud, and look at the findings of run ${runId}.`;
}

function byOrganization(findings: readonly VerifyFinding[]): Map<string, VerifyFinding[]> {
  const found = new Map<string, VerifyFinding[]>();
  for (const finding of findings) {
    const ofOne = found.get(finding.organizationId);
    if (ofOne) ofOne.push(finding);
    else found.set(finding.organizationId, [finding]);
  }
  return found;
}

function nameOf(site: Site): string {
  return `damage:${site}`;
}
