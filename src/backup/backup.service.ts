import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type CatalogVapp, CatalogService, subjectOf } from '../catalog/index.js';
import { CloudService } from '../clouds/index.js';
import { newId } from '../common/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { JobsError, ObligationService, RunService, type RunView } from '../jobs/index.js';
import { PolicyProtection, type Scope, ScopeService } from '../policy/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import type { BackupPayload, BackupSettings } from './backup-settings.js';
import { concludeLostBackup } from './conclude-lost.js';
import { BackupError } from './errors.js';
import { diskAttached } from './first-class-disk-source.js';
import { runBackup } from './run-backup.js';

/** What became of the objects of a scope. */
export interface ScopeBackups {
  runs: RunView[];
  /** Meant by the scope, and not backed up now. */
  skipped: { name: string; reason: string }[];
  /** Conditions of the scope that nothing meets. */
  warnings: string[];
}

/** Asks for backups, and carries them out when a worker takes them. */
@Injectable()
export class BackupService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    private readonly clouds: CloudService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
    @Inject(CONFIG) private readonly config: VaultConfig,
    private readonly scopes: ScopeService,
    private readonly obligations: ObligationService,
    private readonly protection: PolicyProtection,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler(
      'backup',
      (payload: BackupPayload, run) =>
        runBackup(payload, run, {
          catalog: this.catalog,
          repository: this.repository,
          vddk: this.clouds.vddkSettings(),
          limits: this.config.limits,
          sessions: (cloudId) => this.clouds.sessions(cloudId),
          debts: this.obligations,
        }),
      {
        concludeLost: (payload: BackupPayload, signal) =>
          concludeLostBackup(payload, { catalog: this.catalog, repository: this.repository }, signal),
        // What a backup changes in the cloud is undone at its end, whichever attempt did it (decisions/0019).
        resumable: true,
        retry: async (payload: BackupPayload, before) => {
          const again = retryOf(payload, before);
          return again && { ...again, settings: await this.lockedLongEnough(again) };
        },
      },
    );
  }

  /** @throws BackupError VAPP_NOT_FOUND, VAPP_GONE; JobsError RUN_BUSY when it is being backed up or restored. */
  async request(vappId: string, settings: BackupSettings): Promise<RunView> {
    const vapp = await this.catalog.vapp(vappId);
    if (vapp === undefined)
      throw new BackupError('VAPP_NOT_FOUND', `There is no vApp with id ${vappId} in the catalog; refresh the cloud if it is new.`);
    return this.create(vapp, settings);
  }

  /**
   * One run for each object the scope means today, with what the scope leaves out frozen into it.
   * @throws BackupError SCOPE_EMPTY; CloudError CLOUD_NOT_FOUND; VcdError where the scope asks for metadata.
   */
  async requestScope(scope: Scope, settings: BackupSettings): Promise<ScopeBackups> {
    const { items, excluded, warnings } = await this.scopes.resolve(scope);
    if (items.length === 0 && excluded.length === 0) {
      throw new BackupError('SCOPE_EMPTY', ['The scope means nothing that is in the inventory today.', ...warnings].join(' '));
    }
    const runs: RunView[] = [];
    const skipped = excluded.map(({ name, why }) => ({ name, reason: why.join('; ') }));
    for (const item of items) {
      const { vms, disks } = item.exclude;
      const exclude = { vms: [...settings.exclude.vms, ...vms], disks: [...settings.exclude.disks, ...disks] };
      try {
        runs.push(await this.request(item.vappId, { ...settings, exclude }));
      } catch (error) {
        if (!isSkippable(error)) throw error;
        skipped.push({ name: item.name, reason: error.message });
      }
    }
    return { runs, skipped, warnings };
  }

  private async create(vapp: CatalogVapp, settings: BackupSettings): Promise<RunView> {
    const subject = subjectOf(vapp);
    if (!vapp.present)
      throw new BackupError(
        'VAPP_GONE',
        `The ${subject} is not in the cloud any more, so it cannot be backed up; its restore points remain.`,
      );
    // Known before a run is made, so that a scope passes it over; the run looks again, in vCenter.
    const { attachedTo = [] } = vapp.kind === 'first-class-disk' ? ((await this.catalog.firstClassDisk(vapp.id)) ?? {}) : {};
    if (attachedTo.length > 0) throw diskAttached(vapp.name, attachedTo);
    const asked = { vappId: vapp.id, settings };
    const payload: BackupPayload = { ...asked, restorePointId: newId(), settings: await this.lockedLongEnough(asked) };
    return this.runs.create('backup', subject, { ...payload }, { organizationId: vapp.organizationId, exclusiveKey: `vapp:${vapp.id}` });
  }

  /** Who asks by hand, or again, may lock for longer than the policies say, and not for less. */
  private async lockedLongEnough({ vappId, settings }: Pick<BackupPayload, 'vappId' | 'settings'>): Promise<BackupSettings> {
    // A run that was asked for before an update of the service may lack the setting.
    return { ...settings, lockDays: Math.max(settings.lockDays ?? 0, await this.protection.lockDays(vappId)) };
  }
}

/** One object's own state, which keeps no other from being backed up: it went since the inventory was read, or is busy. */
function isSkippable(error: unknown): error is BackupError | JobsError {
  return error instanceof BackupError || (error instanceof JobsError && error.code === 'RUN_BUSY');
}

/** All of a backup that failed; of one that kept the others, the VMs that did, which become a restore point of their own. */
export function retryOf(
  payload: BackupPayload,
  before: { failed: boolean; result: Record<string, unknown> | null },
): BackupPayload | undefined {
  // Asked for by somebody, not by the policy's clock.
  const { policy: _, ...asked } = payload;
  const again = { ...asked, restorePointId: newId() };
  if (before.failed) return again;
  const failedVms = (before.result?.failedVms ?? []) as { vcloudId: string }[];
  if (failedVms.length === 0) return undefined;
  return { ...again, retries: { restorePointId: payload.restorePointId, vms: failedVms.map(({ vcloudId }) => vcloudId) } };
}
