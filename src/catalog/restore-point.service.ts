import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, In, IsNull } from 'typeorm';
import { Semaphore } from '../common/index.js';
import { RepositoryError } from '../repository/index.js';
import { CatalogError } from './errors.js';
import { cursorInvalid, decodeCursor, type Page, pageOf } from './cursor.js';
import { blankVapp, blankVm } from './identity.service.js';
import { DiskEntity, VappEntity, VmEntity } from './inventory.entities.js';
import { RestorePointDiskEntity, RestorePointEntity, LegalHoldEntity, RestorePointVmEntity } from './restore-point.entities.js';
import type { DiskBase, DiskPointRow, RestorePointRow } from './types.js';

export type RestorePointSummary = Omit<RestorePointRow, 'vms'>;

export interface RestorePointQuery {
  vappId?: string;
  vmId?: string;
  cloudId?: string;
  organizationId?: string;
  limit: number;
  cursor?: string;
}

/**
 * Who may be reading a restore point. Asked while the point cannot be deleted or begun to be read.
 * @returns what reads it, as a person knows it, such as `the restore of vApp "shop"`.
 */
export type RestorePointUse = (restorePointId: string) => Promise<string | undefined>;

/** Why a restore point may not be deleted, as a person knows it: `legal hold by policy "court"`; undefined where it may. */
export type RestorePointKeeper = (point: { id: string; vappId: string }) => Promise<string | undefined>;

/** lock_not_available */
const LOCKED = '55P03';

/** The catalog's rows of what the repository holds: written after a manifest, deleted with it. */
@Injectable()
export class RestorePointService {
  private readonly uses: RestorePointUse[] = [];
  private readonly keepers: RestorePointKeeper[] = [];
  /** A deletion keeps a database connection and asks for another: many at once would each wait for what the others keep. */
  private readonly deletions = new Semaphore(1);

  constructor(private readonly dataSource: DataSource) {}

  /** While the application starts: rooms above tell what they read. */
  registerUse(use: RestorePointUse): void {
    this.uses.push(use);
  }

  /** While the application starts: rooms above tell what they want kept. */
  registerKeeper(keeper: RestorePointKeeper): void {
    this.keepers.push(keeper);
  }

  /** What reads it just now. */
  async readerOf(id: string): Promise<string | undefined> {
    for (const use of this.uses) {
      const reader = await use(id);
      if (reader !== undefined) return reader;
    }
    return undefined;
  }

  /**
   * For whoever is going to read all of it. Either this answers and a deletion that comes later finds the reader by its
   * `RestorePointUse`, or the deletion came first: both lock the row for their look.
   * @throws CatalogError RESTORE_POINT_BUSY: it is being deleted.
   */
  async findToRead(id: string): Promise<RestorePointRow | undefined> {
    try {
      await this.dataSource.query('SELECT id FROM restore_points WHERE id = $1 FOR SHARE NOWAIT', [id]);
    } catch (error) {
      if ((error as { code?: string }).code !== LOCKED) throw error;
      throw beingDeleted(id);
    }
    const point = await this.find(id);
    if (point === undefined && (await this.dataSource.manager.existsBy(RestorePointEntity, { id }))) throw beingDeleted(id);
    return point;
  }

  /**
   * Writes down that it is being deleted. From then on it is no restore point any more, for nobody: a process that dies in the
   * middle may have deleted its manifest. Once that is written, it is not looked at again what might keep it.
   * @param mayGo asked last, of what the catalog does not know.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_IN_USE, RESTORE_POINT_HOLD_CONFLICT,
   * RESTORE_POINT_LOCK_CONFLICT; what `mayGo` throws, and then it stays.
   */
  async beginDeletion(id: string, mayGo: (point: RestorePointSummary) => Promise<void>, signal?: AbortSignal): Promise<void> {
    const begin = () =>
      this.dataSource.transaction(async (manager) => {
        const locked = await lockRow(manager, id);
        if (locked.deletingAt !== null) return;
        const point = summary(locked);
        await this.refuseKept(manager, point);
        const reader = await this.readerOf(id);
        if (reader !== undefined) {
          throw new CatalogError(
            'RESTORE_POINT_IN_USE',
            `Restore point ${id} of "${point.vappName}" is being read by ${reader}; wait for its end or cancel it.`,
            `restore point ${id}`,
          );
        }
        await mayGo(point);
        await manager.query('UPDATE restore_points SET deleting_at = now() WHERE id = $1', [id]);
      });
    await this.deletions.run(begin, signal);
  }

  /**
   * Deletes the row after `work`, which deletes what it stands for, of a restore point whose deletion has begun.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY; what `work` throws. Where the repository has refused it for good, the
   * restore point is one again; else nobody knows what became of it, and the next attempt goes on.
   */
  async finishDeletion(id: string, work: (point: RestorePointSummary) => Promise<void>, signal?: AbortSignal): Promise<void> {
    const finish = () =>
      this.dataSource.transaction(async (manager): Promise<{ error: unknown } | undefined> => {
        const locked = await lockRow(manager, id);
        if (locked.deletingAt === null) throw deletionRefused(id);
        try {
          await work(summary(locked));
        } catch (error) {
          if (!(error instanceof RepositoryError) || error.retryable) throw error;
          await manager.query('UPDATE restore_points SET deleting_at = NULL WHERE id = $1', [id]);
          return { error };
        }
        await manager.delete(RestorePointEntity, { id });
        return undefined;
      });
    const refused = await this.deletions.run(finish, signal);
    if (refused !== undefined) throw refused.error;
  }

  /** Ids of restore points whose deletion has begun and nobody is at just now; the oldest first. */
  async unfinishedDeletions(): Promise<string[]> {
    const rows: { id: string }[] = await this.dataSource.query(
      'SELECT id FROM restore_points WHERE deleting_at IS NOT NULL ORDER BY deleting_at, id LIMIT 100 FOR UPDATE SKIP LOCKED',
    );
    return rows.map(({ id }) => id);
  }

  private async refuseKept(manager: EntityManager, { id, vappId, vappName, lockedUntil }: RestorePointSummary): Promise<void> {
    const what = `Restore point ${id} of "${vappName}"`;
    if (lockedUntil && Date.parse(lockedUntil) > Date.now()) {
      throw new CatalogError(
        'RESTORE_POINT_LOCK_CONFLICT',
        `${what} is locked until ${lockedUntil}; nobody can delete it before.`,
        `restore point ${id}`,
      );
    }
    const [hold] = await manager.find(LegalHoldEntity, { where: { restorePointId: id, releasedAt: IsNull() }, take: 1 });
    if (hold !== undefined) {
      const sentence = `${what} is under a legal hold of ${hold.placedBy} ("${hold.reason}"); release it first.`;
      throw new CatalogError('RESTORE_POINT_HOLD_CONFLICT', sentence, `restore point ${id}`);
    }
    for (const keeper of this.keepers) {
      const reason = await keeper({ id, vappId });
      if (reason !== undefined) {
        throw new CatalogError('RESTORE_POINT_HOLD_CONFLICT', `${what} cannot be deleted: ${reason}.`, `restore point ${id}`);
      }
    }
  }

  /**
   * Writing the same restore point again is harmless. What was learned of it since stays: a lock that was extended, what the stores were
   * told, where it was copied, that it is being deleted.
   */
  async record(row: RestorePointRow): Promise<void> {
    await this.dataSource.transaction((manager) => this.recordWithin(manager, row));
  }

  async recordWithin(manager: EntityManager, row: RestorePointRow): Promise<void> {
    await this.ensureOwners(manager, row);
    // Whether there is a copy is what the copy runs find out, not what a row says.
    const { vms, lockedUntil, copiedAt: _, ...point } = row;
    await manager.upsert(RestorePointEntity, { ...point, createdAt: new Date(row.createdAt) }, ['id']);
    if (lockedUntil)
      await manager.query('UPDATE restore_points SET locked_until = GREATEST(locked_until, $2) WHERE id = $1', [row.id, lockedUntil]);
    await manager.delete(RestorePointVmEntity, { restorePointId: row.id });
    if (vms.length === 0) return;
    await manager.insert(
      RestorePointVmEntity,
      vms.map(({ vmId, name }, position) => ({ restorePointId: row.id, vmId, name, position })),
    );
    const disks = vms.flatMap(({ vmId, disks: ofVm }) =>
      ofVm.map((disk, position) => ({ ...diskPoint(disk), restorePointId: row.id, vmId, position })),
    );
    if (disks.length > 0) await manager.insert(RestorePointDiskEntity, disks);
  }

  async find(id: string, manager: EntityManager = this.dataSource.manager): Promise<RestorePointRow | undefined> {
    const point = await manager.findOneBy(RestorePointEntity, { id, deletingAt: IsNull() });
    if (point === null) return undefined;
    const order = { position: 'ASC' } as const;
    const vms = await manager.find(RestorePointVmEntity, { where: { restorePointId: id }, order });
    const disks = await manager.find(RestorePointDiskEntity, { where: { restorePointId: id }, order });
    return {
      ...summary(point),
      vms: vms.map(({ vmId, name }) => ({
        vmId,
        name,
        disks: disks
          .filter((disk) => disk.vmId === vmId)
          .map(({ restorePointId: _point, vmId: _vm, position: _position, ...disk }) => disk),
      })),
    };
  }

  /** Newest first. @throws CatalogError CURSOR_INVALID. */
  async list(query: RestorePointQuery): Promise<Page<RestorePointSummary>> {
    const { vappId, vmId, cloudId, organizationId } = query;
    const found = this.dataSource.manager.createQueryBuilder(RestorePointEntity, 'p').where('p.deleting_at IS NULL');
    if (vappId !== undefined) found.andWhere('p.vapp_id = :vappId', { vappId });
    if (vmId !== undefined)
      found.andWhere('EXISTS (SELECT 1 FROM restore_point_vms v WHERE v.restore_point_id = p.id AND v.vm_id = :vmId)', { vmId });
    if (cloudId !== undefined) found.andWhere('p.cloud_id = :cloudId', { cloudId });
    if (organizationId !== undefined) found.andWhere('p.organization_id = :organizationId', { organizationId });
    if (query.cursor !== undefined) {
      const [createdAt, id] = decodeCursor(query.cursor);
      if (!isTimestamp(createdAt)) throw cursorInvalid();
      // date_trunc: a Date carries milliseconds, the column microseconds.
      found.andWhere(`(date_trunc('milliseconds', p.created_at), p.id) < (:createdAt::timestamptz, :id)`, { createdAt, id });
    }
    const rows = await found
      .orderBy(`date_trunc('milliseconds', p.created_at)`, 'DESC')
      .addOrderBy('p.id', 'DESC')
      .limit(query.limit + 1)
      .getMany();
    return pageOf(rows, query.limit, (row) => [row.createdAt.toISOString(), row.id], summary);
  }

  /** @returns false when there was no such row. */
  async delete(id: string): Promise<boolean> {
    const result = await this.dataSource.manager.delete(RestorePointEntity, { id });
    return (result.affected ?? 0) > 0;
  }

  /** Those of these runs that have made one which is there. */
  async runsOf(runIds: readonly string[]): Promise<string[]> {
    const rows: { runId: string }[] = await this.dataSource.query(
      'SELECT DISTINCT run_id AS "runId" FROM restore_points WHERE run_id = ANY($1)',
      [runIds],
    );
    return rows.map(({ runId }) => runId);
  }

  /** The newest restore point of the disk that knows a change id to start from. */
  async diskBase(diskId: string): Promise<DiskBase | undefined> {
    const disk = await this.dataSource.manager
      .createQueryBuilder(RestorePointDiskEntity, 'd')
      .innerJoin(RestorePointEntity, 'p', 'p.id = d.restore_point_id')
      .where('d.disk_id = :diskId AND d.change_id IS NOT NULL AND p.deleting_at IS NULL', { diskId })
      .orderBy('p.created_at', 'DESC')
      .addOrderBy('p.id', 'DESC')
      .limit(1)
      .getOne();
    if (disk === null) return undefined;
    const { restorePointId, indexId, chunkBytes, capacityBytes, changeId, uuid } = disk;
    return { restorePointId, indexId, chunkBytes, capacityBytes, changeId: changeId ?? '', diskUuid: uuid ?? '' };
  }

  async formerDisks(vmId: string): Promise<{ diskId: string; deviceKey: number; uuid: string }[]> {
    return this.dataSource.query(
      `SELECT DISTINCT disk_id AS "diskId", device_key AS "deviceKey", COALESCE(uuid, '') AS uuid FROM restore_point_disks WHERE vm_id = $1`,
      [vmId],
    );
  }

  /** Objects the rows refer to and the catalog does not have: in a rebuilt catalog, all of them. */
  private async ensureOwners(manager: EntityManager, row: RestorePointRow): Promise<void> {
    const at = new Date(row.createdAt);
    if (!(await manager.existsBy(VappEntity, { id: row.vappId }))) {
      const vapp = blankVapp(row.vappId, row.cloudId, '', at);
      await insertMissing(manager, VappEntity, [
        { ...vapp, name: row.vappName, kind: row.sourceKind, organizationId: row.organizationId, present: false },
      ]);
    }
    const vms = await missing(manager, VmEntity, row.vms, ({ vmId }) => vmId);
    await insertMissing(
      manager,
      VmEntity,
      vms.map((vm) => ({ ...blankVm(vm.vmId, row.cloudId, at), name: vm.name, vappId: row.vappId, present: false })),
    );
    const all = row.vms.flatMap((vm) => vm.disks.map((disk) => ({ ...disk, vmId: vm.vmId })));
    const disks = await missing(manager, DiskEntity, all, ({ diskId }) => diskId);
    await insertMissing(
      manager,
      DiskEntity,
      disks.map(({ diskId: id, vmId, deviceKey, uuid, label }) => ({ id, vmId, deviceKey, uuid: uuid ?? '', label })),
    );
  }
}

async function lockRow(manager: EntityManager, id: string): Promise<RestorePointEntity> {
  const point = await manager.findOne(RestorePointEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
  if (point !== null) return point;
  throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, `restore point ${id}`);
}

function beingDeleted(id: string): CatalogError {
  return new CatalogError('RESTORE_POINT_BUSY', `Restore point ${id} is being deleted; choose another one.`, `restore point ${id}`);
}

/** By the repository, to somebody who deleted it at the same time. */
function deletionRefused(id: string): CatalogError {
  const sentence = `Restore point ${id} could not be deleted just now, because the repository refused it; try again in a moment.`;
  return new CatalogError('RESTORE_POINT_BUSY', sentence, `restore point ${id}`);
}

/** In the one form this service writes: what else JavaScript takes for a date, PostgreSQL may refuse. */
function isTimestamp(text: string): boolean {
  const atMs = Date.parse(text);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString() === text;
}

async function missing<T>(
  manager: EntityManager,
  entity: new () => { id: string },
  items: readonly T[],
  idOf: (item: T) => string,
): Promise<T[]> {
  const found = await manager.find(entity, { where: { id: In(items.map(idOf)) }, select: { id: true } });
  const known = new Set(found.map(({ id }) => id));
  return items.filter((item) => !known.has(idOf(item)));
}

async function insertMissing<T extends object>(manager: EntityManager, entity: new () => T, rows: object[]): Promise<void> {
  if (rows.length > 0) await manager.createQueryBuilder().insert().into(entity).values(rows).orIgnore().execute();
}

function summary({ createdAt, lockedUntil, copiedAt, deletingAt: _, ...point }: RestorePointEntity): RestorePointSummary {
  const dates = { lockedUntil: lockedUntil?.toISOString() ?? null, copiedAt: copiedAt?.toISOString() ?? null };
  return { ...point, createdAt: createdAt.toISOString(), ...dates };
}

/** Field by field: the caller's row may carry more than the catalog keeps. */
function diskPoint(disk: DiskPointRow): DiskPointRow {
  const { diskId, label, deviceKey, uuid, capacityBytes, allocatedBytes, changedBytes, readBytes, newBytes, storedBytes } = disk;
  const { durationMs, kind, fullReason, transportMode, changeId, indexId, chunkBytes } = disk;
  const bytes = { capacityBytes, allocatedBytes, changedBytes, readBytes, newBytes, storedBytes };
  return {
    diskId,
    label,
    deviceKey,
    uuid,
    ...bytes,
    durationMs: Math.round(durationMs),
    kind,
    fullReason,
    transportMode,
    changeId,
    indexId,
    chunkBytes,
  };
}
