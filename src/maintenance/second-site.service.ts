import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { CatalogError } from '../catalog/index.js';
import { RunService, type RunContext, type RunView } from '../jobs/index.js';
import { REPOSITORY, type RepositoryApi, RepositoryError } from '../repository/index.js';
import { lockHolder } from './lock-holder.js';
import type { CopyRequest } from './maintenance.dto.js';

const MAXIMUM_WARNINGS = 50;

interface CopyPayload {
  restorePointId?: string;
  organizationId?: string;
}

/** Copying restore points to the second site, as runs: one after each backup, and one that catches up. */
@Injectable()
export class SecondSiteService implements OnModuleInit {
  constructor(
    private readonly runs: RunService,
    private readonly dataSource: DataSource,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
  ) {}

  onModuleInit(): void {
    this.runs.registerHandler('copy', (payload: CopyPayload, run) => this.copy(payload, run), { resumable: true });
  }

  /** @throws RepositoryError SITE_NOT_CONFIGURED; CatalogError RESTORE_POINT_NOT_FOUND; JobsError RUN_BUSY. */
  async request({ restorePointId }: CopyRequest): Promise<RunView> {
    this.site();
    if (restorePointId === undefined) return this.runs.create('copy', CATCH_UP, {}, { organizationId: '', exclusiveKey: CATCH_UP_KEY });
    const rows: { organizationId: string; vappName: string }[] = await this.dataSource.query(
      `SELECT organization_id AS "organizationId", vapp_name AS "vappName" FROM restore_points WHERE id = $1 AND deleting_at IS NULL`,
      [restorePointId],
    );
    const [point] = rows;
    if (!point) {
      throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${restorePointId}.`, `restore point ${restorePointId}`);
    }
    const { organizationId, vappName } = point;
    return this.runs.create(
      'copy',
      subjectOf(vappName),
      { restorePointId, organizationId },
      { organizationId, exclusiveKey: keyOf(organizationId) },
    );
  }

  /** The scheduled run, in the transaction of whoever found it due. */
  catchUpWithin(manager: EntityManager): Promise<string | undefined> {
    return this.runs.createWithin(manager, 'copy', CATCH_UP, {}, { organizationId: '', exclusiveKey: CATCH_UP_KEY });
  }

  /**
   * A run for each restore point that has come since, one at a time in an organization. Exactly one each, however many instances
   * ask: whoever writes that it was requested makes it, in the same transaction.
   */
  async requestNew(): Promise<void> {
    const rows: { id: string; organizationId: string; vappName: string }[] = await this.dataSource.query(
      `SELECT DISTINCT ON (organization_id) id, organization_id AS "organizationId", vapp_name AS "vappName" FROM restore_points
       WHERE copied_at IS NULL AND copy_requested_at IS NULL AND deleting_at IS NULL ORDER BY organization_id, created_at`,
    );
    for (const { id, organizationId, vappName } of rows) {
      await this.dataSource.transaction(async (manager) => {
        const [claimed]: [unknown[], number] = await manager.query(
          'UPDATE restore_points SET copy_requested_at = now() WHERE id = $1 AND copy_requested_at IS NULL RETURNING id',
          [id],
        );
        if (claimed.length === 0) return;
        const payload = { restorePointId: id, organizationId };
        const options = { organizationId, exclusiveKey: keyOf(organizationId) };
        const runId = await this.runs.createWithin(manager, 'copy', subjectOf(vappName), payload, options);
        // Another copy of this organization is under way: asked again when it has ended.
        if (runId === undefined) await manager.query('UPDATE restore_points SET copy_requested_at = NULL WHERE id = $1', [id]);
      });
    }
    if (rows.length > 0) this.runs.ring();
  }

  private async copy({ restorePointId, organizationId }: CopyPayload, run: RunContext): Promise<Record<string, unknown>> {
    const ref = restorePointId === undefined ? undefined : { restorePointId, organizationId: organizationId ?? '' };
    // How many there are shows as the organizations are gone through.
    if (ref === undefined) run.expect('further restore points');
    const { present, failed, ...report } = await run.step('copy to the second site', () =>
      this.site().copy({
        ...(ref && { ref }),
        onProgress: (id, progress) => run.progress(`restore point ${id}`, progress),
        holder: lockHolder(run.runId, this.runs),
        signal: run.signal,
      }),
    );
    await this.dataSource.query('UPDATE restore_points SET copied_at = now() WHERE id = ANY($1) AND copied_at IS NULL', [present]);
    for (const { reason } of failed.slice(0, MAXIMUM_WARNINGS)) run.warn(reason);
    return { ...report, failed: failed.slice(0, MAXIMUM_WARNINGS), notCopied: failed.length };
  }

  private site(): NonNullable<RepositoryApi['secondSite']> {
    const { secondSite } = this.repository;
    if (secondSite) return secondSite;
    throw new RepositoryError('The repository has no second site; name one in the settings', { code: 'SITE_NOT_CONFIGURED' });
  }
}

const CATCH_UP = 'copies at the second site';
export const CATCH_UP_KEY = 'repository:copy';

function subjectOf(vappName: string): string {
  return `copy of a restore point of "${vappName}"`;
}

function keyOf(organizationId: string): string {
  return `repository:copy:${organizationId}`;
}
