import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { RunService, type RunContext, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import type { CollectRequest, VerifyRequest } from './maintenance.dto.js';
import { describeFinding, nameFindings } from './name-findings.js';

const HOUR_MS = 60 * 60_000;
/** A repository that is damaged all over fills no database with it. */
const MAXIMUM_FINDINGS_KEPT = 500;
const MAXIMUM_WARNINGS = 50;

/** Verifying the repository and collecting its space, as runs that a worker carries out. */
@Injectable()
export class MaintenanceService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler('verify', (payload: VerifyRequest, run) => this.verify(payload, run));
    this.runs.registerHandler('gc', (payload: CollectRequest, run) => this.collect(payload, run));
  }

  /** @throws JobsError RUN_BUSY while another one is under way. */
  requestVerify(request: VerifyRequest): Promise<RunView> {
    return this.create('verify', 'verification of the repository', request);
  }

  /** @throws JobsError RUN_BUSY while another one is under way. */
  requestCollection(request: CollectRequest): Promise<RunView> {
    return this.create('gc', 'collection of space in the repository', request);
  }

  private create(kind: 'verify' | 'gc', subject: string, request: VerifyRequest | CollectRequest): Promise<RunView> {
    return this.runs.create(
      kind,
      subject,
      { ...request },
      { organizationId: request.organizationId ?? '', exclusiveKey: `repository:${kind}` },
    );
  }

  private async verify({ mode, samplePercent, organizationId }: VerifyRequest, run: RunContext): Promise<Record<string, unknown>> {
    const { signal } = run;
    const { findings, ...counts } = await run.step(`verify the repository (${mode})`, () =>
      this.repository.verify({
        mode,
        sampleShare: samplePercent / 100,
        signal,
        ...(organizationId !== undefined && { organizationId }),
      }),
    );
    const named = await nameFindings(this.repository, findings.slice(0, MAXIMUM_FINDINGS_KEPT), signal);
    for (const finding of named.slice(0, MAXIMUM_WARNINGS)) run.warn(describeFinding(finding));
    return { ...counts, damaged: findings.length, findings: named };
  }

  private async collect({ graceHours, organizationId }: CollectRequest, run: RunContext): Promise<Record<string, unknown>> {
    const report = await run.step('collect space in the repository', () =>
      this.repository.collectGarbage({
        graceMs: graceHours * HOUR_MS,
        signal: run.signal,
        ...(organizationId !== undefined && { organizationId }),
      }),
    );
    for (const packId of report.unreadablePacks.slice(0, MAXIMUM_WARNINGS))
      run.warn(`Pack ${packId} cannot be read, so it was left as it is; verify the repository`);
    return { ...report };
  }
}
