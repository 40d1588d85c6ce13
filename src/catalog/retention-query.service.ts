import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { LegalHoldService } from './legal-hold.service.js';
import { RestorePointService } from './restore-point.service.js';

/** A restore point as retention judges it. */
export interface RetainedPoint {
  id: string;
  vappId: string;
  createdAt: Date;
  complete: boolean;
  lockedUntil: Date | undefined;
  /** Reasons of the legal holds that stand. */
  holds: string[];
  vmIds: string[];
}

export interface VanishedObject {
  id: string;
  vappId: string;
  kind: 'vapp' | 'vm';
  name: string;
  vanishedAt: Date;
}

/** Objects of one organization that vanished lately, counted as all here with restore points. */
export interface Vanishing {
  cloudId: string;
  organizationId: string;
  /** Empty for what belongs to no tenant. */
  organizationName: string;
  gone: number;
  stillThere: number;
  firstAt: Date;
  /** The first of them by name. */
  names: string[];
  vappIds: string[];
}

/** So many are named of what may be thousands. */
const NAMED = 100;
const HAS_POINTS = 'EXISTS (SELECT FROM restore_points p WHERE p.vapp_id = v.id)';

/** What retention and schedules ask of many objects at once. */
@Injectable()
export class RetentionQueryService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly holds: LegalHoldService,
    private readonly restorePoints: RestorePointService,
  ) {}

  /** All restore points of these objects, by object. What has none is not in the answer. */
  async pointsOf(vappIds: readonly string[]): Promise<Map<string, RetainedPoint[]>> {
    const rows: (Omit<RetainedPoint, 'holds' | 'lockedUntil'> & { lockedUntil: Date | null })[] = await this.dataSource.query(
      `SELECT p.id, p.vapp_id AS "vappId", p.created_at AS "createdAt", p.complete, p.locked_until AS "lockedUntil",
         ARRAY(SELECT m.vm_id FROM restore_point_vms m WHERE m.restore_point_id = p.id) AS "vmIds"
       FROM restore_points p WHERE p.vapp_id = ANY($1) AND p.deleting_at IS NULL ORDER BY p.created_at DESC, p.id DESC`,
      [vappIds],
    );
    const holds = await this.holds.standing(vappIds);
    const found = new Map<string, RetainedPoint[]>();
    for (const { lockedUntil, ...row } of rows) {
      const point = { ...row, lockedUntil: lockedUntil ?? undefined, holds: holds.get(row.id) ?? [] };
      const others = found.get(row.vappId);
      if (others === undefined) found.set(row.vappId, [point]);
      else others.push(point);
    }
    return found;
  }

  /** When a rebuild of the catalog last brought a restore point back. */
  async lastAdoption(): Promise<Date | undefined> {
    const [row]: { at: Date }[] = await this.dataSource.query(
      'SELECT adopted_at AS at FROM restore_points WHERE adopted_at IS NOT NULL ORDER BY adopted_at DESC LIMIT 1',
    );
    return row?.at;
  }

  readerOf(restorePointId: string): Promise<string | undefined> {
    return this.restorePoints.readerOf(restorePointId);
  }

  /** When the newest complete restore point of each object of the cloud was made, none later than `latest`. */
  async lastComplete(cloudId: string, latest: Date): Promise<Map<string, Date>> {
    const rows: { vappId: string; at: Date | null }[] = await this.dataSource.query(
      `SELECT v.id AS "vappId", (SELECT max(p.created_at) FROM restore_points p
         WHERE p.vapp_id = v.id AND p.complete AND p.deleting_at IS NULL AND p.created_at <= $2) AS at
       FROM vapps v WHERE v.cloud_id = $1`,
      [cloudId, latest],
    );
    return new Map(rows.flatMap(({ vappId, at }) => (at === null ? [] : [[vappId, at] as const])));
  }

  /**
   * Writes down what the inventories do not show any more, of what has restore points, and takes back what is there again.
   * `last_seen_at` does not tell since when: an inventory of changes alone does not renew it.
   */
  async noteVanished(cloudIds: readonly string[], now: Date): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO vanished_objects (id, vapp_id, kind, name, vanished_at)
       SELECT v.id, v.id, 'vapp', v.name, $2::timestamptz FROM vapps v WHERE v.cloud_id = ANY($1) AND NOT v.present AND ${HAS_POINTS}
       UNION ALL
       SELECT m.id, v.id, 'vm', m.name, $2::timestamptz FROM vms m JOIN vapps v ON v.id = m.vapp_id
         WHERE v.cloud_id = ANY($1) AND v.present AND NOT m.present AND EXISTS (SELECT FROM restore_point_vms r WHERE r.vm_id = m.id)
       ON CONFLICT (id) DO NOTHING`,
      [cloudIds, now],
    );
    await this.dataSource.query(
      `DELETE FROM vanished_objects o WHERE
         (o.kind = 'vapp' AND EXISTS (SELECT FROM vapps v WHERE v.id = o.id AND (v.present OR NOT ${HAS_POINTS})))
         OR (o.kind = 'vm' AND EXISTS (SELECT FROM vms m WHERE m.id = o.id AND m.present))`,
    );
  }

  /** Of objects that vanished after that, by organization. */
  async vanishings(after: Date): Promise<Vanishing[]> {
    return await this.dataSource.query(
      `WITH gone AS (
         SELECT v.cloud_id, v.organization_id, count(*)::int AS gone, min(o.vanished_at) AS first_at,
           (array_agg(v.name ORDER BY v.name, v.id))[1:${NAMED}] AS names, (array_agg(v.id ORDER BY v.name, v.id))[1:${NAMED}] AS ids
         FROM vanished_objects o JOIN vapps v ON v.id = o.id
         WHERE o.kind = 'vapp' AND NOT v.present AND o.vanished_at > $1 GROUP BY v.cloud_id, v.organization_id)
       SELECT gone.cloud_id AS "cloudId", gone.organization_id AS "organizationId", COALESCE(g.name, '') AS "organizationName", gone,
         (SELECT count(*)::int FROM vapps v WHERE v.cloud_id = gone.cloud_id AND v.organization_id = gone.organization_id AND v.present
            AND ${HAS_POINTS}) AS "stillThere",
         first_at AS "firstAt", names, ids AS "vappIds"
       FROM gone LEFT JOIN organizations g ON g.cloud_id = gone.cloud_id AND g.id = gone.organization_id
       ORDER BY gone.cloud_id, gone.organization_id`,
      [after],
    );
  }

  async vanished(vappIds: readonly string[]): Promise<Map<string, VanishedObject[]>> {
    const rows: VanishedObject[] = await this.dataSource.query(
      `SELECT id, vapp_id AS "vappId", kind, name, vanished_at AS "vanishedAt" FROM vanished_objects WHERE vapp_id = ANY($1)`,
      [vappIds],
    );
    const found = new Map<string, VanishedObject[]>();
    for (const row of rows) found.set(row.vappId, [...(found.get(row.vappId) ?? []), row]);
    return found;
  }
}
