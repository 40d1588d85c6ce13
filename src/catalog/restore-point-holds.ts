import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { describeError, type Logger, newId } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { CatalogError } from './errors.js';
import { RestorePointService } from './restore-point.service.js';
import type { RestorePointRow } from './types.js';

const EXPIRY_MS = 90_000;
const RENEWAL_MS = 20_000;

/** A restore point that stays while somebody reads it. */
export interface RestorePointHold {
  readonly point: RestorePointRow;
  /** Aborted when the hold could not be renewed in time: the point may be deleted from then on. */
  readonly lost: AbortSignal;
  /** Never throws: what is not released expires. */
  release(): Promise<void>;
}

/**
 * Keeps restore points from being deleted while they are read outside a run, by whatever process. A row with an expiry by
 * the database's clock, so that a reader that dies holds nothing for long.
 */
@Injectable()
export class RestorePointHolds implements OnModuleInit {
  constructor(
    private readonly dataSource: DataSource,
    private readonly restorePoints: RestorePointService,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.restorePoints.registerUse((restorePointId) => this.reader(restorePointId));
  }

  /**
   * @param reader as a person knows it: `the export of disk "Hard disk 1"`.
   * @throws CatalogError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_BUSY: it is being deleted.
   */
  async hold(restorePointId: string, reader: string): Promise<RestorePointHold> {
    const id = newId();
    await this.dataSource.query('DELETE FROM restore_point_holds WHERE expires_at < now()');
    await this.dataSource.query(
      `INSERT INTO restore_point_holds (id, restore_point_id, reader, expires_at) VALUES ($1, $2, $3, now() + $4 * interval '1 millisecond')`,
      [id, restorePointId, reader, EXPIRY_MS],
    );
    try {
      // After the row is there: a deletion sees it, or has locked the point already.
      const point = await this.restorePoints.findToRead(restorePointId);
      if (point === undefined) throw notFound(restorePointId);
      return this.keep(id, point);
    } catch (error) {
      await this.release(id);
      throw error;
    }
  }

  private keep(id: string, point: RestorePointRow): RestorePointHold {
    const lost = new AbortController();
    let renewedMs = performance.now();
    const renew = async () => {
      const askedMs = performance.now();
      const sql = `UPDATE restore_point_holds SET expires_at = now() + $2 * interval '1 millisecond' WHERE id = $1`;
      try {
        const [, renewed] = (await this.dataSource.query(sql, [id, EXPIRY_MS])) as [unknown, number];
        if (renewed === 1) renewedMs = askedMs;
        else lost.abort(holdLost(point));
      } catch (error) {
        this.log.warn({ restorePointId: point.id, reason: describeError(error) }, 'the hold of a restore point was not renewed');
        if (performance.now() - renewedMs > EXPIRY_MS - RENEWAL_MS) lost.abort(holdLost(point));
      }
    };
    const timer = setInterval(() => void renew(), RENEWAL_MS);
    timer.unref();
    return {
      point,
      lost: lost.signal,
      release: () => {
        clearInterval(timer);
        return this.release(id);
      },
    };
  }

  private async release(id: string): Promise<void> {
    try {
      await this.dataSource.query('DELETE FROM restore_point_holds WHERE id = $1', [id]);
    } catch (error) {
      this.log.warn({ reason: describeError(error) }, 'the hold of a restore point was not released and expires by itself');
    }
  }

  private async reader(restorePointId: string): Promise<string | undefined> {
    const sql = 'SELECT reader FROM restore_point_holds WHERE restore_point_id = $1 AND expires_at > now() ORDER BY id LIMIT 1';
    const rows = (await this.dataSource.query(sql, [restorePointId])) as { reader: string }[];
    return rows[0]?.reader;
  }
}

function notFound(id: string): CatalogError {
  return new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, `restore point ${id}`);
}

function holdLost({ id, vappName }: RestorePointRow): CatalogError {
  return new CatalogError(
    'RESTORE_POINT_HOLD_LOST',
    `Restore point ${id} of "${vappName}" can no longer be kept from being deleted, because the database does not answer; try again.`,
    `restore point ${id}`,
  );
}
