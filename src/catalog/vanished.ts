import type { EntityManager } from 'typeorm';
import type { Listing } from './listing-writer.js';

const IN_TEMPLATE = `EXISTS (SELECT FROM vapps t WHERE t.id = r.vapp_id AND t.kind = 'vapp-template')`;

/** Where each listing is kept, and which rows are its. */
const ROWS: Readonly<Record<Listing, { table: string; which: string }>> = {
  organizations: { table: 'organizations', which: 'true' },
  vdcs: { table: 'vdcs', which: 'true' },
  vapps: { table: 'vapps', which: `r.kind IN ('vapp', 'standalone-vm')` },
  vappTemplates: { table: 'vapps', which: `r.kind = 'vapp-template'` },
  media: { table: 'vapps', which: `r.kind = 'media'` },
  vms: { table: 'vms', which: `NOT ${IN_TEMPLATE}` },
  templateVms: { table: 'vms', which: IN_TEMPLATE },
  namedDisks: { table: 'named_disks', which: 'true' },
  resources: { table: 'cloud_resources', which: 'true' },
};

/** How many of a listing the catalog has as present. */
export async function countPresent(manager: EntityManager, cloudId: string, listing: Listing): Promise<number> {
  const { table, which } = ROWS[listing];
  const [row] = await manager.query<{ n: number }[]>(
    `SELECT count(*)::int AS n FROM ${table} r WHERE r.cloud_id = $1 AND r.present AND ${which}`,
    [cloudId],
  );
  return row?.n ?? 0;
}

/**
 * What a whole listing did not show is not there any more.
 * last_seen_at, not a mark of this inventory: what another one saw meanwhile is there.
 */
export async function markUnseen(manager: EntityManager, cloudId: string, listing: Listing, since: Date): Promise<number> {
  const { table, which } = ROWS[listing];
  return affected(
    await manager.query(`UPDATE ${table} r SET present = false WHERE r.cloud_id = $1 AND r.present AND r.last_seen_at < $2 AND ${which}`, [
      cloudId,
      since,
    ]),
  );
}

/** vApps, templates or media that were asked for by VCD's id and not shown, with the VMs in them. */
export async function markGone(manager: EntityManager, cloudId: string, vcloudIds: readonly string[], since: Date): Promise<number> {
  const gone = affected(
    await manager.query('UPDATE vapps SET present = false WHERE cloud_id = $1 AND present AND vcloud_id = ANY($2) AND last_seen_at < $3', [
      cloudId,
      vcloudIds,
      since,
    ]),
  );
  await manager.query(
    `UPDATE vms m SET present = false FROM vapps v
      WHERE m.vapp_id = v.id AND v.cloud_id = $1 AND NOT v.present AND v.vcloud_id = ANY($2) AND m.present AND m.last_seen_at < $3`,
    [cloudId, vcloudIds, since],
  );
  return gone;
}

/** VMs that were asked for, by themselves or with their vApps, and not shown. */
export async function markVmsGone(
  manager: EntityManager,
  cloudId: string,
  asked: { vmIds: readonly string[]; ownerIds: readonly string[] },
  since: Date,
): Promise<number> {
  return affected(
    await manager.query(
      `UPDATE vms m SET present = false
        WHERE m.cloud_id = $1 AND m.present AND m.last_seen_at < $4
          AND (m.vcloud_id = ANY($2) OR m.vapp_id IN (SELECT id FROM vapps WHERE cloud_id = $1 AND vcloud_id = ANY($3)))`,
      [cloudId, asked.vmIds, asked.ownerIds, since],
    ),
  );
}

/** TypeORM answers an UPDATE with [rows, how many]. */
function affected(answer: unknown): number {
  return Array.isArray(answer) && typeof answer[1] === 'number' ? answer[1] : 0;
}
