import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { isAttachedDisk, type VappView } from '../catalog/index.js';

/** What is known of an object for policies, and nowhere else. */
export interface ObjectFacts {
  vappId: string;
  cloudId: string;
  chosen: string | undefined;
  carried: string[];
  /** Of the schedule that holds, and since when it does. */
  scheduleKey: string | undefined;
  /** Whose schedule it is; where there is no key, that policy is switched off. */
  schedulePolicy: string | undefined;
  sinceAt: Date | undefined;
  /** The policy that holds all its restore points. */
  heldBy: string | undefined;
  rpoMissedSince: Date | undefined;
  /** Since when no policy of the name that was chosen is offered. */
  choiceRefusedAt: Date | undefined;
  /** Since when no schedule holds any more, and whose it was. */
  scheduleLostAt: Date | undefined;
  lostPolicy: string | undefined;
}

/** An object without a restore point that is young enough. */
export interface MissedRpo {
  vappId: string;
  vappName: string;
  organizationId: string;
  policyName: string;
  sinceAt: Date;
  lastRestorePointAt: Date | null;
}

/** An object whose tenant chose what is not offered for it. */
export interface RefusedChoice {
  vappId: string;
  vappName: string;
  organizationId: string;
  organizationName: string;
  value: string;
  sinceAt: Date;
}

/** An object that was backed up by a policy, and is no more. */
export interface LostSchedule {
  vappId: string;
  vappName: string;
  organizationId: string;
  organizationName: string;
  /** That it had, or the one that rules it now, where that is switched off. */
  policyName: string;
  switchedOff: boolean;
  sinceAt: Date;
}

type Row = { [K in keyof ObjectFacts]: Exclude<ObjectFacts[K], undefined> | null };

const COLUMNS = `vapp_id AS "vappId", cloud_id AS "cloudId", chosen, carried, schedule_key AS "scheduleKey",
  schedule_policy AS "schedulePolicy", since_at AS "sinceAt", held_by AS "heldBy", rpo_missed_since AS "rpoMissedSince",
  choice_refused_at AS "choiceRefusedAt", schedule_lost_at AS "scheduleLostAt", lost_policy AS "lostPolicy"`;

@Injectable()
export class PolicyObjectStore {
  constructor(private readonly dataSource: DataSource) {}

  async ofCloud(cloudId: string): Promise<Map<string, ObjectFacts>> {
    const rows: Row[] = await this.dataSource.query(`SELECT ${COLUMNS} FROM policy_objects WHERE cloud_id = $1`, [cloudId]);
    return new Map(rows.map((row) => [row.vappId ?? '', facts(row)]));
  }

  /** Clouds of which something follows from policies still, be it of a policy that is gone. */
  async ruledClouds(): Promise<string[]> {
    const rows: { cloudId: string }[] = await this.dataSource.query(
      `SELECT DISTINCT cloud_id AS "cloudId" FROM policy_objects
       WHERE schedule_policy IS NOT NULL OR held_by IS NOT NULL OR rpo_missed_since IS NOT NULL`,
    );
    return rows.map(({ cloudId }) => cloudId);
  }

  async find(vappId: string): Promise<ObjectFacts | undefined> {
    const rows: Row[] = await this.dataSource.query(`SELECT ${COLUMNS} FROM policy_objects WHERE vapp_id = $1`, [vappId]);
    return rows[0] && facts(rows[0]);
  }

  /** Whether some object of the cloud chooses a policy by its metadata, as last read. */
  async haveChosen(cloudId: string): Promise<boolean> {
    const rows: unknown[] = await this.dataSource.query('SELECT 1 FROM policy_objects WHERE cloud_id = $1 AND chosen IS NOT NULL LIMIT 1', [
      cloudId,
    ]);
    return rows.length > 0;
  }

  /** What VCD said; other facts stay. */
  async saveMetadata(
    cloudId: string,
    found: readonly { vappId: string; chosen: string | undefined; carried: readonly string[] }[],
  ): Promise<void> {
    if (found.length === 0) return;
    const values = found.map(({ vappId, chosen, carried }) => ({ vapp_id: vappId, chosen: chosen ?? null, carried }));
    await this.dataSource.query(
      `INSERT INTO policy_objects (vapp_id, cloud_id, chosen, carried)
       SELECT o.vapp_id, $1, o.chosen, o.carried FROM jsonb_to_recordset($2::jsonb) AS o (vapp_id text, chosen text, carried text[])
       ON CONFLICT (vapp_id) DO UPDATE SET cloud_id = EXCLUDED.cloud_id, chosen = EXCLUDED.chosen, carried = EXCLUDED.carried`,
      [cloudId, JSON.stringify(values)],
    );
  }

  /** What followed from policies; what VCD said stays. */
  async saveRules(objects: readonly ObjectFacts[]): Promise<void> {
    if (objects.length === 0) return;
    const values = objects.map((object) => ({
      vapp_id: object.vappId,
      cloud_id: object.cloudId,
      schedule_key: object.scheduleKey ?? null,
      schedule_policy: object.schedulePolicy ?? null,
      since_at: object.sinceAt?.toISOString() ?? null,
      held_by: object.heldBy ?? null,
      rpo_missed_since: object.rpoMissedSince?.toISOString() ?? null,
      choice_refused_at: object.choiceRefusedAt?.toISOString() ?? null,
      schedule_lost_at: object.scheduleLostAt?.toISOString() ?? null,
      lost_policy: object.lostPolicy ?? null,
    }));
    await this.dataSource.query(
      `INSERT INTO policy_objects (vapp_id, cloud_id, schedule_key, schedule_policy, since_at, held_by, rpo_missed_since,
         choice_refused_at, schedule_lost_at, lost_policy)
       SELECT * FROM jsonb_to_recordset($1::jsonb) AS o (vapp_id text, cloud_id text, schedule_key text, schedule_policy text,
         since_at timestamptz, held_by text, rpo_missed_since timestamptz, choice_refused_at timestamptz,
         schedule_lost_at timestamptz, lost_policy text)
       ON CONFLICT (vapp_id) DO UPDATE SET cloud_id = EXCLUDED.cloud_id, schedule_key = EXCLUDED.schedule_key,
         schedule_policy = EXCLUDED.schedule_policy, since_at = EXCLUDED.since_at, held_by = EXCLUDED.held_by,
         rpo_missed_since = EXCLUDED.rpo_missed_since, choice_refused_at = EXCLUDED.choice_refused_at,
         schedule_lost_at = EXCLUDED.schedule_lost_at, lost_policy = EXCLUDED.lost_policy`,
      [JSON.stringify(values)],
    );
  }

  /** Objects that are to be backed up again: they have a schedule and are there, and no VM has them. */
  async awaited(): Promise<string[]> {
    const rows: (Pick<VappView, 'kind' | 'status'> & { vappId: string })[] = await this.dataSource.query(
      `SELECT o.vapp_id AS "vappId", v.kind, v.status
       FROM policy_objects o JOIN vapps v ON v.id = o.vapp_id WHERE o.schedule_key IS NOT NULL AND v.present`,
    );
    return rows.filter((row) => !isAttachedDisk(row)).map(({ vappId }) => vappId);
  }

  /** Longest first. */
  async missedRpo(): Promise<MissedRpo[]> {
    return await this.dataSource.query(
      `SELECT o.vapp_id AS "vappId", v.name AS "vappName", v.organization_id AS "organizationId", o.schedule_policy AS "policyName",
         o.rpo_missed_since AS "sinceAt",
         (SELECT max(p.created_at) FROM restore_points p WHERE p.vapp_id = v.id AND p.complete AND p.deleting_at IS NULL) AS "lastRestorePointAt"
       FROM policy_objects o JOIN vapps v ON v.id = o.vapp_id WHERE o.rpo_missed_since IS NOT NULL ORDER BY o.rpo_missed_since, v.name`,
    );
  }

  /** Longest first. Of a cloud without policies nobody reads the metadata: they may be corrected long since. */
  async refusedChoices(): Promise<RefusedChoice[]> {
    return await this.dataSource.query(
      `SELECT o.vapp_id AS "vappId", v.name AS "vappName", v.organization_id AS "organizationId", COALESCE(g.name, '') AS "organizationName",
         o.chosen AS value, o.choice_refused_at AS "sinceAt"
       FROM policy_objects o JOIN vapps v ON v.id = o.vapp_id AND v.cloud_id = o.cloud_id
         LEFT JOIN organizations g ON g.cloud_id = v.cloud_id AND g.id = v.organization_id
       WHERE o.choice_refused_at IS NOT NULL AND o.chosen IS NOT NULL AND v.present
         AND EXISTS (SELECT FROM policies p WHERE p.scope->>'cloudId' = o.cloud_id)
       ORDER BY o.choice_refused_at, v.name`,
    );
  }

  /**
   * Longest first: what is there and has restore points.
   * @param after what was lost before is told of only while the policy that rules it is switched off.
   */
  async lostSchedules(after: Date): Promise<LostSchedule[]> {
    const rows: (LostSchedule & Pick<VappView, 'kind' | 'status'>)[] = await this.dataSource.query(
      `SELECT o.vapp_id AS "vappId", v.name AS "vappName", v.organization_id AS "organizationId", COALESCE(g.name, '') AS "organizationName",
         COALESCE(o.schedule_policy, o.lost_policy) AS "policyName", o.schedule_policy IS NOT NULL AS "switchedOff", o.schedule_lost_at AS "sinceAt", v.kind, v.status
       FROM policy_objects o JOIN vapps v ON v.id = o.vapp_id AND v.cloud_id = o.cloud_id
         LEFT JOIN organizations g ON g.cloud_id = v.cloud_id AND g.id = v.organization_id
       WHERE o.schedule_lost_at IS NOT NULL AND v.present AND (o.schedule_policy IS NOT NULL OR o.schedule_lost_at > $1)
         AND EXISTS (SELECT FROM restore_points p WHERE p.vapp_id = v.id AND p.deleting_at IS NULL)
       ORDER BY o.schedule_lost_at, v.name`,
      [after],
    );
    return rows.filter((row) => !isAttachedDisk(row));
  }
}

function facts(row: Row): ObjectFacts {
  return {
    vappId: row.vappId ?? '',
    cloudId: row.cloudId ?? '',
    chosen: row.chosen ?? undefined,
    carried: row.carried ?? [],
    scheduleKey: row.scheduleKey ?? undefined,
    schedulePolicy: row.schedulePolicy ?? undefined,
    sinceAt: row.sinceAt ?? undefined,
    heldBy: row.heldBy ?? undefined,
    rpoMissedSince: row.rpoMissedSince ?? undefined,
    choiceRefusedAt: row.choiceRefusedAt ?? undefined,
    scheduleLostAt: row.scheduleLostAt ?? undefined,
    lostPolicy: row.lostPolicy ?? undefined,
  };
}
