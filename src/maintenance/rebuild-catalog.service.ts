import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CatalogService } from '../catalog/index.js';
import { type RunContext, RunService, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import { rebuildCatalog } from './rebuild-catalog.js';

const MAXIMUM_DAMAGED_KEPT = 500;
const MAXIMUM_WARNINGS = 50;

/** The catalog from the repository alone, as a run. */
@Injectable()
export class RebuildCatalogService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly catalog: CatalogService,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    // It only adds: what a dead attempt brought in is known to the next one.
    this.runs.registerHandler('rebuild-catalog', (_payload: Record<string, never>, run) => this.rebuild(run), { resumable: true });
  }

  /** @throws JobsError RUN_BUSY while another one is under way. */
  request(): Promise<RunView> {
    const exclusiveKey = 'repository:rebuild-catalog';
    return this.runs.create('rebuild-catalog', 'rebuild of the catalog', {}, { organizationId: '', exclusiveKey });
  }

  private async rebuild(run: RunContext): Promise<Record<string, unknown>> {
    const report = await run.step('bring restore points of the repository into the catalog', () =>
      rebuildCatalog(this.repository, this.catalog, { signal: run.signal }),
    );
    const damaged = report.damaged.slice(0, MAXIMUM_DAMAGED_KEPT);
    for (const { reason } of damaged.slice(0, MAXIMUM_WARNINGS)) run.warn(reason);
    return { ...report, damaged, damagedCount: report.damaged.length };
  }
}
