import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

export interface RunChange {
  id: string;
  organizationId: string;
  revision: number;
  /** The transaction that changed it. */
  xid: string;
}

/** Changed runs read with one statement. */
const ROWS_AT_ONCE = 500;

/**
 * Which runs have changed since a moment, wherever. The moment is a transaction id below which nothing was under way any more:
 * a clock or a sequence would hide what began earlier and was committed later.
 */
@Injectable()
export class RunChanges {
  constructor(private readonly dataSource: DataSource) {}

  /** From now on: what is committed after this answer has an id that is not below it. */
  async now(): Promise<string> {
    const [row]: { xmin: string }[] = await this.dataSource.query('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin');
    return (row as { xmin: string }).xmin;
  }

  /** @returns what changed, oldest first, perhaps some of it again; and from where to go on. */
  async since(xid: string): Promise<{ changes: RunChange[]; next: string }> {
    const next = await this.now();
    const changes: RunChange[] = [];
    for (let from = { xid, id: '' }; ; ) {
      const page: RunChange[] = await this.dataSource.query(
        `SELECT id, organization_id AS "organizationId", revision, changed_xid::text AS xid FROM runs
         WHERE changed_xid >= $1::xid8 AND (changed_xid, id) > ($1::xid8, $2) ORDER BY changed_xid, id LIMIT $3`,
        [from.xid, from.id, ROWS_AT_ONCE],
      );
      changes.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < ROWS_AT_ONCE) return { changes, next };
      from = last;
    }
  }

  /** Runs that have changed since, of one organization or all. @returns undefined when there are more than `limit`. */
  async missed(xid: string, organizationId: string | undefined, limit: number): Promise<string[] | undefined> {
    const rows: { id: string }[] = await this.dataSource.query(
      `SELECT id FROM runs WHERE changed_xid >= $1::xid8 AND ($2::text IS NULL OR organization_id = $2) ORDER BY changed_xid, id LIMIT $3`,
      [xid, organizationId ?? null, limit + 1],
    );
    return rows.length > limit ? undefined : rows.map(({ id }) => id);
  }
}
