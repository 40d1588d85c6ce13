import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CatalogService } from '../catalog/index.js';
import { CloudService } from '../clouds/index.js';
import { newId } from '../common/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { RunService, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import type { BackupPayload, BackupSettings } from './backup-settings.js';
import { concludeLostBackup } from './conclude-lost.js';
import { BackupError } from './errors.js';
import { runBackup } from './run-backup.js';

/** Asks for backups, and carries them out when a worker takes them. */
@Injectable()
export class BackupService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    private readonly clouds: CloudService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
    @Inject(CONFIG) private readonly config: VaultConfig,
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
        }),
      (payload: BackupPayload, signal) => concludeLostBackup(payload, { catalog: this.catalog, repository: this.repository }, signal),
    );
  }

  /** @throws BackupError VAPP_NOT_FOUND, VAPP_GONE; JobsError RUN_BUSY when the vApp is being backed up or restored. */
  async request(vappId: string, settings: BackupSettings): Promise<RunView> {
    const vapp = await this.catalog.vapp(vappId);
    if (vapp === undefined)
      throw new BackupError('VAPP_NOT_FOUND', `There is no vApp with id ${vappId} in the catalog; refresh the cloud if it is new.`);
    if (!vapp.present)
      throw new BackupError(
        'VAPP_GONE',
        `vApp "${vapp.name}" is not in the cloud any more, so it cannot be backed up; its restore points remain.`,
      );
    const payload: BackupPayload = { vappId, restorePointId: newId(), settings };
    return this.runs.create(
      'backup',
      `vApp "${vapp.name}"`,
      { ...payload },
      { organizationId: vapp.organizationId, exclusiveKey: `vapp:${vappId}` },
    );
  }
}
