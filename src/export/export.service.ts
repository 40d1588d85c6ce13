import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../access/index.js';
import { CatalogError, CatalogService, type RestorePointHold, RestorePointHolds, type RestorePointRow } from '../catalog/index.js';
import { CancelledError, describeError, joinSignals, type Logger, VaultError } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import { REPOSITORY, type RepositoryApi } from '../repository/index.js';
import type { Deliverable } from './deliverable.js';
import { ExportError } from './errors.js';
import type { DiskFormat } from './formats.js';
import { Digests } from './manifest-file.js';
import { openDisk, openPoint, type PointFormat } from './open.js';
import type { Sent } from './send.js';
import { SurveyCache } from './survey-cache.js';

/** Who asks for what. */
export interface ExportRequest {
  restorePointId: string;
  /** Undefined: all of it. */
  diskId?: string;
  format: DiskFormat | PointFormat | undefined;
  principal: Principal | undefined;
  /** As the log is to tell it. */
  range: string | undefined;
  /** Aborted when the one who asked is gone. */
  gone: AbortSignal;
}

/** Opens what is to be exported, keeps it from being deleted meanwhile, and writes down who took it. */
@Injectable()
export class ExportService implements BeforeApplicationShutdown {
  private readonly surveys = new SurveyCache();
  private readonly digests = new Digests();
  private readonly stopping = new AbortController();
  private readonly underway = new Set<Promise<void>>();

  constructor(
    private readonly catalog: CatalogService,
    private readonly holds: RestorePointHolds,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
    @Inject(CONFIG) private readonly config: VaultConfig,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** Before the connections are closed: what is held is let go while there is a database. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is shutting down'));
    await Promise.all(this.underway);
  }

  /**
   * @param deliver sends the file; its failure is this one's.
   * @throws ExportError EXPORT_LIMIT_REACHED, DISK_NOT_FOUND, EXPORT_FORMAT_UNFIT; CatalogError RESTORE_POINT_NOT_FOUND,
   * RESTORE_POINT_BUSY; ImageError; RepositoryError.
   */
  async run(request: ExportRequest, deliver: (file: Deliverable, signal: AbortSignal) => Promise<Sent>): Promise<void> {
    const point = await this.visiblePoint(request);
    const { concurrentExports } = this.config.limits;
    if (this.underway.size >= concurrentExports) {
      const message = `As many exports are under way as the service allows (${concurrentExports}); try again when one has ended.`;
      throw new ExportError('EXPORT_LIMIT_REACHED', message, { retryable: true });
    }
    const work = this.hold(point, request, deliver);
    const rest = work.catch(() => undefined);
    this.underway.add(rest);
    try {
      await work;
    } finally {
      this.underway.delete(rest);
    }
  }

  /** What another organization has is not there, for whoever belongs to one. */
  private async visiblePoint({ restorePointId, principal }: ExportRequest): Promise<RestorePointRow> {
    const point = await this.catalog.restorePoint(restorePointId);
    const own = principal?.organizationId ?? point?.organizationId;
    if (point !== undefined && point.organizationId === own) return point;
    throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${restorePointId}.`, `restore point ${restorePointId}`);
  }

  private async hold(
    point: RestorePointRow,
    request: ExportRequest,
    deliver: (file: Deliverable, signal: AbortSignal) => Promise<Sent>,
  ): Promise<void> {
    const hold = await this.holds.hold(point.id, `an export (API key "${request.principal?.name ?? 'none'}")`);
    try {
      await this.carryOut(hold, request, deliver);
    } finally {
      await hold.release();
    }
  }

  private async carryOut(
    { point, lost }: RestorePointHold,
    request: ExportRequest,
    deliver: (file: Deliverable, signal: AbortSignal) => Promise<Sent>,
  ): Promise<void> {
    const startedMs = performance.now();
    const { diskId, principal } = request;
    const facts = {
      restorePointId: point.id,
      organizationId: point.organizationId,
      vapp: point.vappName,
      ...(diskId !== undefined && { diskId }),
      ...(request.format !== undefined && { format: request.format }),
      ...(request.range !== undefined && { range: request.range }),
      apiKeyId: principal?.apiKeyId,
    };
    const { signal, letGo } = joinSignals(request.gone, lost, this.stopping.signal);
    let what: string | undefined;
    try {
      const file = await this.open(point, request, signal);
      what = file.what;
      this.log.info({ ...facts, what, file: file.fileName }, 'export begun');
      const sent = await deliver(file, signal);
      this.log.info({ ...facts, what, ...sent, durationMs: Math.round(performance.now() - startedMs) }, 'export ended');
    } catch (error) {
      const reason = describeError(request.gone.aborted ? request.gone.reason : error);
      const failed = { ...facts, ...(what !== undefined && { what }), ...(error instanceof VaultError && { code: error.code }), reason };
      if (request.gone.aborted) this.log.info(failed, 'export broken off by the one who asked for it');
      else this.log.error(failed, 'export failed');
      throw error;
    } finally {
      letGo();
    }
  }

  private open(point: RestorePointRow, { diskId, format }: ExportRequest, signal: AbortSignal): Promise<Deliverable> {
    const parts = { repository: this.repository, surveys: this.surveys, digests: this.digests };
    const ref = { organizationId: point.organizationId, restorePointId: point.id };
    if (diskId === undefined) return openPoint(parts, ref, format as PointFormat | undefined, signal);
    return openDisk(parts, ref, { diskId, format: format as DiskFormat }, signal);
  }
}
