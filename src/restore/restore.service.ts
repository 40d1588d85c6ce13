import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CatalogService, type RestorePointRow, type SourceKind } from '../catalog/index.js';
import { CloudService } from '../clouds/index.js';
import { TimeoutError } from '../common/index.js';
import { ObligationService, RunService, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import { RestoreError } from './errors.js';
import {
  firstClassDiskPlanView,
  mediumPlanView,
  planFirstClassDisk,
  type PlanParts,
  planMedium,
  planRestore,
  planView,
} from './plan/index.js';
import type { RestorePlanView } from './plan-types.js';
import { RESTORE_MODES, type RestorePayload, type RestoreRequest } from './restore-request.js';
import { runRestore } from './run-restore.js';

/** A large vApp is some hundred answers of VCD and vCenter; a person waits for it. */
const PLAN_TIMEOUT_MS = 120_000;

/** Asks for restores, and carries them out when a worker takes them. */
@Injectable()
export class RestoreService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    private readonly clouds: CloudService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
    private readonly obligations: ObligationService,
  ) {}

  onModuleInit(): void {
    this.catalog.registerRestorePointUse(async (restorePointId) => {
      const run = await this.runs.unfinished('restore', { restorePointId });
      return run && `the restore of ${run.subject} (run ${run.id})`;
    });
    this.runs.registerHandler(
      'restore',
      (payload: RestorePayload, run) =>
        runRestore(payload, run, {
          catalog: this.catalog,
          repository: siteOf(this.repository, payload),
          vddk: this.clouds.vddkSettings(),
          debts: this.obligations,
          sessions: (cloudId) => this.clouds.sessions(cloudId),
        }),
      { resumable: buildsAnew, writesWhatIsUsed: true, cannotBeUndone: (runId) => this.catalog.halfWrittenBy(runId) },
    );
  }

  /** @throws RestoreError RESTORE_POINT_NOT_FOUND, RESTORE_REQUEST_INVALID; JobsError RUN_BUSY when the same vApp is being backed up or restored. */
  async request(request: RestoreRequest): Promise<RunView> {
    const point = await this.point(request);
    siteOf(this.repository, request);
    const payload: RestorePayload = { ...request, sourceOrganizationId: point.organizationId };
    return this.runs.create(
      'restore',
      `${NOUNS[point.sourceKind]} "${request.name ?? point.vappName}"`,
      { ...payload },
      { organizationId: point.organizationId, exclusiveKey: exclusiveKeyOf(request, point) },
    );
  }

  /**
   * What `request` would do, read from today's cloud; nothing is changed.
   * @throws RestoreError; VcdError, VsphereError, RepositoryError; TimeoutError.
   */
  async plan(request: RestoreRequest): Promise<RestorePlanView> {
    const point = await this.point(request);
    const payload: RestorePayload = { ...request, sourceOrganizationId: point.organizationId };
    const cloud = await this.clouds.sessions(point.cloudId);
    const parts = { cloud, repository: siteOf(this.repository, request), catalog: this.catalog };
    const deadline = AbortSignal.timeout(PLAN_TIMEOUT_MS);
    try {
      if (request.mode === 'first-class-disk') return firstClassDiskPlanView(await planFirstClassDisk(payload, parts, deadline));
      const inVcd: PlanParts = { ...parts, vcd: await cloud.vcd(deadline) };
      if (request.mode === 'medium') return mediumPlanView(await planMedium(payload, inVcd, deadline));
      return planView(await planRestore(payload, inVcd, deadline));
    } catch (error) {
      throw deadline.aborted ? new TimeoutError('Planning the restore', PLAN_TIMEOUT_MS) : error;
    }
  }

  private async point(request: RestoreRequest): Promise<RestorePointRow> {
    const point = await this.catalog.restorePointToRead(request.restorePointId);
    if (point === undefined) throw new RestoreError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${request.restorePointId}.`);
    assertModeFits(request, point);
    return point;
  }
}

/** Where a restore reads from. @throws RepositoryError SITE_NOT_CONFIGURED. */
export function siteOf(repository: RepositoryApi, { site }: Pick<RestoreRequest, 'site'>): RepositoryApi {
  return site === undefined ? repository : repository.at(site);
}

const BUILDING_MODES: readonly RestoreRequest['mode'][] = ['missing-vapp', 'copy', 'recreate', 'template', 'medium'];

/**
 * Whether all that a restore writes to is made by it, under names that each attempt takes anew. Then what a dead attempt left,
 * or asked for and gets late, is found by its own names and never by those of the next. What is written over in place is the
 * same for both: a snapshot of the dead one that comes late would be reverted to, under the second one's data.
 */
export function buildsAnew({ mode, choices }: Pick<RestoreRequest, 'mode' | 'choices'>): boolean {
  if (mode === 'first-class-disk') return choices.existingDisk !== 'overwrite';
  return BUILDING_MODES.includes(mode) && choices.namedDisks !== 'existing';
}

/** At most one unfinished run has it: a backup's key is `vapp:` and our id, and so is that of every restore that touches the vApp. */
function exclusiveKeyOf(request: RestoreRequest, point: Pick<RestorePointRow, 'vappId' | 'vappName' | 'cloudId'>): string {
  // A copy leaves the vApp it came from alone; only two copies under one name are in each other's way.
  if (request.mode === 'copy') return `copy:${point.cloudId}:${request.name ?? point.vappName}`;
  return `vapp:${request.vappId ?? point.vappId}`;
}

const NOUNS: Record<SourceKind, string> = {
  vapp: 'vApp',
  'standalone-vm': 'standalone VM',
  'vapp-template': 'vApp template',
  media: 'medium',
  'first-class-disk': 'first class disk',
};

/** The one mode for what is in a catalog or in no VCD at all; all others are for what is in a VDC. */
const OWN_MODES: Partial<Record<SourceKind, RestoreRequest['mode']>> = {
  'vapp-template': 'template',
  media: 'medium',
  'first-class-disk': 'first-class-disk',
};
const VDC_MODES = RESTORE_MODES.filter((mode) => !Object.values(OWN_MODES).includes(mode));

/** @throws RestoreError RESTORE_REQUEST_INVALID: a template is no vApp, and a medium has no VM. */
export function assertModeFits(
  { mode }: Pick<RestoreRequest, 'mode'>,
  { sourceKind, vappName }: Pick<RestorePointRow, 'sourceKind' | 'vappName'>,
): void {
  const own = OWN_MODES[sourceKind];
  if (own === mode || (own === undefined && VDC_MODES.includes(mode))) return;
  const others = VDC_MODES.join(', ');
  throw new RestoreError(
    'RESTORE_REQUEST_INVALID',
    `The restore point is of ${NOUNS[sourceKind]} "${vappName}", which mode ${mode} does not restore; use ${own === undefined ? `one of: ${others}` : `mode ${own}`}.`,
    { field: 'mode', mode },
  );
}
