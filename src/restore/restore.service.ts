import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CatalogService } from '../catalog/index.js';
import { CloudService } from '../clouds/index.js';
import { RunService, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import { RestoreError } from './errors.js';
import type { RestorePayload, RestoreRequest } from './restore-request.js';
import { runRestore } from './run-restore.js';

/** Asks for restores, and carries them out when a worker takes them. */
@Injectable()
export class RestoreService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    private readonly clouds: CloudService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler('restore', (payload: RestorePayload, run) =>
      runRestore(payload, run, {
        catalog: this.catalog,
        repository: this.repository,
        vddk: this.clouds.vddkSettings(),
        sessions: (cloudId) => this.clouds.sessions(cloudId),
      }),
    );
  }

  /** @throws RestoreError RESTORE_POINT_NOT_FOUND; JobsError RUN_BUSY when the same vApp is being backed up or restored under that name. */
  async request(request: RestoreRequest): Promise<RunView> {
    const point = await this.catalog.restorePoint(request.restorePointId);
    if (point === undefined) throw new RestoreError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${request.restorePointId}.`);
    const payload: RestorePayload = { ...request, organizationId: point.organizationId };
    const name = request.name ?? point.vappName;
    const exclusiveKey = request.mode === 'missing-vapp' ? `vapp:${point.vappId}` : `copy:${point.cloudId}:${name}`;
    return this.runs.create('restore', `vApp "${name}"`, { ...payload }, { organizationId: point.organizationId, exclusiveKey });
  }
}
