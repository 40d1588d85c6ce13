import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { RunService, type RunContext, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi, type Site } from '../repository/index.js';
import { DamageAlerts } from './damage-alerts.js';
import type { CollectRequest, VerifyRequest } from './maintenance.dto.js';
import { lockHolder } from './lock-holder.js';
import { describeFinding, nameFindings } from './name-findings.js';
import { RollingVerification } from './rolling-verification.js';

const HOUR_MS = 60 * 60_000;
/** A repository that is damaged all over fills no database with it. */
const MAXIMUM_FINDINGS_KEPT = 500;
const MAXIMUM_WARNINGS = 50;

/** Verifying the repository and collecting its space, as runs that a worker carries out. */
@Injectable()
export class MaintenanceService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly rolling: RollingVerification,
    private readonly damage: DamageAlerts,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler('verify', (payload: VerifyRequest, run) => this.verify(payload, run), { resumable: true });
    this.runs.registerHandler('gc', (payload: CollectRequest, run) => this.collect(payload, run), { resumable: true });
  }

  /** @throws JobsError RUN_BUSY while another one is under way. */
  requestVerify(request: VerifyRequest): Promise<RunView> {
    return this.create('verify', VERIFICATION, request);
  }

  /** @throws JobsError RUN_BUSY while another one is under way. */
  requestCollection(request: CollectRequest): Promise<RunView> {
    return this.create('gc', COLLECTION, request);
  }

  /** The scheduled ones, in the transaction of whoever found them due. @returns undefined while another one is under way. */
  verifyWithin(manager: EntityManager, request: VerifyRequest): Promise<string | undefined> {
    return this.runs.createWithin(manager, 'verify', VERIFICATION, { ...request }, optionsOf('verify', request));
  }

  collectWithin(manager: EntityManager, request: CollectRequest): Promise<string | undefined> {
    return this.runs.createWithin(manager, 'gc', COLLECTION, { ...request }, optionsOf('gc', request));
  }

  private create(kind: 'verify' | 'gc', subject: string, request: VerifyRequest | CollectRequest): Promise<RunView> {
    return this.runs.create(kind, subject, { ...request }, optionsOf(kind, request));
  }

  private async verify(request: VerifyRequest, run: RunContext): Promise<Record<string, unknown>> {
    const { mode, samplePercent, organizationId, site = 'first' } = request;
    const { signal } = run;
    const turn = mode === 'rolling' ? await this.rolling.begin(site) : undefined;
    const again = await this.damage.damagedPacks(site);
    const { findings, healed, ...counts } = await run.step(`verify the repository (${mode})`, () =>
      this.repository.verify({
        mode,
        sampleShare: samplePercent / 100,
        site,
        signal,
        ...(organizationId !== undefined && { organizationId }),
        ...(turn && { rolling: { ...turn.rolling, again } }),
      }),
    );
    await turn?.finish();
    await this.damage.note({ site, organizationId, runId: run.runId }, findings, signal);
    const named = await nameFindings(this.repository, findings.slice(0, MAXIMUM_FINDINGS_KEPT), signal);
    const namedHealed = await nameFindings(this.repository, healed.slice(0, MAXIMUM_FINDINGS_KEPT), signal);
    for (const finding of named.slice(0, MAXIMUM_WARNINGS)) run.warn(describeFinding(finding));
    for (const finding of namedHealed.slice(0, MAXIMUM_WARNINGS)) run.warn(`Healed from the other site: ${describeFinding(finding)}`);
    return { ...counts, site, damaged: findings.length, findings: named, healed: namedHealed };
  }

  private async collect(request: CollectRequest, run: RunContext): Promise<Record<string, unknown>> {
    const { graceHours, organizationId, site = 'first' } = request;
    const report = await run.step('collect space in the repository', () =>
      this.repository.collectGarbage({
        graceMs: graceHours * HOUR_MS,
        site,
        holder: lockHolder(run.runId, this.runs),
        signal: run.signal,
        ...(organizationId !== undefined && { organizationId }),
      }),
    );
    for (const packId of report.unreadablePacks.slice(0, MAXIMUM_WARNINGS))
      run.warn(`Pack ${packId} cannot be read, so it was left as it is; verify the repository`);
    if (report.packsWaitingForRoom > 0)
      run.warn(
        `${report.packsWaitingForRoom} packs of the repository have dead records that are not given back yet, because there is no room to move the living ones; delete restore points or add storage`,
      );
    // What is under lock may lie in other packs than before. Where no store keeps objects by itself, this does nothing.
    const held = await this.repository.holdLocked({ signal: run.signal });
    return { ...report, site, held };
  }
}

const VERIFICATION = 'verification of the repository';
const COLLECTION = 'collection of space in the repository';

function optionsOf(kind: 'verify' | 'gc', { organizationId, site }: VerifyRequest | CollectRequest) {
  return { organizationId: organizationId ?? '', exclusiveKey: exclusiveKeyOf(kind, site) };
}

export function exclusiveKeyOf(kind: 'verify' | 'gc', site: Site = 'first'): string {
  return site === 'second' ? `repository:${kind}:second` : `repository:${kind}`;
}
