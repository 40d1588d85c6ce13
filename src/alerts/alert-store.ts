import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { newId } from '../common/index.js';
import { tryLockTransaction } from '../database/index.js';
import type { AlertChannel, AlertEvent, AlertFact, AlertMessage, AlertSeverity, AlertView } from './types.js';

/** Any number: one process at a time compares what is wrong with what is kept. */
const LOOK_LOCK = 7_186_403;
const KEEP_RESOLVED_DAYS = 90;

export interface AlertFilter {
  state: 'firing' | 'resolved' | 'all';
  kind?: string;
  severity?: AlertSeverity;
  /** Alerts of that organization alone. */
  organizationId?: string;
  /** Id of the last alert of the page before; ids sort by time. */
  cursor?: string;
  limit: number;
}

interface AlertRow {
  id: string;
  key: string;
  kind: string;
  severity: AlertSeverity;
  organizationId: string;
  subject: string;
  message: string;
  details: Record<string, unknown>;
  firstAt: Date;
  lastAt: Date;
  resolvedAt: Date | null;
}

export interface DueMessage extends AlertMessage {
  attempts: number;
}

export interface MessageCounts {
  channel: string;
  waiting: number;
  givenUp: number;
  refused: number;
}

const COLUMNS = `alerts.id, key, kind, alerts.severity, organization_id AS "organizationId", alerts.subject, alerts.message, alerts.details,
  first_at AS "firstAt", last_at AS "lastAt", resolved_at AS "resolvedAt"`;

/** Of a message `m` on channel $1; the first of its alert that is still to be told, and its time has come. */
const DUE = `m.sent_at IS NULL AND m.given_up_at IS NULL AND m.channel = $1
  AND (m.next_try_at <= now() OR m.next_try_at > now() + $3 * interval '1 millisecond')
  AND NOT EXISTS (SELECT FROM alert_messages earlier WHERE earlier.alert_id = m.alert_id AND earlier.channel = m.channel
    AND earlier.sequence < m.sequence AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL)`;
/** What messages that are told in one have in common. */
const ALIKE = `m.event, m.body->>'kind', m.body->>'severity'`;

/** Alerts and the messages about them. All times are the database's. */
@Injectable()
export class AlertStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Runs `work` in a transaction, unless another process is just doing so. */
  async aloneOrNot(work: (manager: EntityManager) => Promise<void>): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      if (await tryLockTransaction(manager, LOOK_LOCK)) await work(manager);
    });
  }

  /** To be asked before a look begins. @returns how many looks were kept so far. */
  async looksKept(): Promise<string> {
    const [row]: { kept: string }[] = await this.dataSource.query('SELECT kept FROM alert_looks');
    return row?.kept ?? '';
  }

  /** @returns false when another look was kept since `before`: this one may have seen what was there earlier. */
  async keepLook(manager: EntityManager, before: string): Promise<boolean> {
    const [, kept]: [unknown[], number] = await manager.query('UPDATE alert_looks SET kept = kept + 1 WHERE kept = $1', [before]);
    return kept === 1;
  }

  /**
   * Makes the alerts of a kind what its source says. Those who were told of one are told when it becomes critical and when it
   * is over, also by a process that has no channel itself.
   * @returns how many messages were written.
   */
  async apply(manager: EntityManager, kind: string, facts: readonly AlertFact[]): Promise<number> {
    const firing: FiringRow[] = await manager.query(
      `SELECT id, key, severity, ARRAY(SELECT DISTINCT channel FROM alert_messages m WHERE m.alert_id = alerts.id) AS told
       FROM alerts WHERE kind = $1 AND resolved_at IS NULL`,
      [kind],
    );
    const before = new Map(firing.map((row) => [row.key, row]));
    const wrong = new Map(facts.map((fact) => [`${kind}:${fact.key}`, fact]));
    let written = 0;
    for (const some of pages([...wrong])) {
      await this.insert(
        manager,
        kind,
        some.filter(([key]) => !before.has(key)),
      );
      written += await this.update(
        manager,
        some.flatMap(([key, fact]) => {
          const known = before.get(key);
          return known === undefined ? [] : [{ ...fact, known }];
        }),
      );
    }
    for (const some of pages(firing.filter(({ key }) => !wrong.has(key)))) {
      const [rows]: [AlertRow[], number] = await manager.query(
        `UPDATE alerts SET resolved_at = now() WHERE id = ANY($1) RETURNING ${COLUMNS}`,
        [some.map(({ id }) => id)],
      );
      const told = new Map(some.map((row) => [row.id, row.told]));
      written += await this.tell(manager, 'resolved', rows, (row) => told.get(row.id) ?? []);
    }
    return written;
  }

  /**
   * Tells of what fires and was not told by these channels: it is new, was found by a process that has none of them, or the last message
   * of it was given up, and then a new one is tried for as long.
   * @returns how many messages were written.
   */
  async tellUntold(manager: EntityManager, channels: readonly AlertChannel[]): Promise<number> {
    let written = 0;
    for (const channel of channels) {
      for (let found = PAGE; found === PAGE; ) {
        const untold: AlertRow[] = await manager.query(
          `SELECT ${COLUMNS} FROM alerts WHERE resolved_at IS NULL
             AND COALESCE((SELECT m.given_up_at IS NOT NULL FROM alert_messages m WHERE m.alert_id = alerts.id AND m.channel = $1
                           ORDER BY m.sequence DESC LIMIT 1), true)
           ORDER BY id LIMIT ${PAGE}`,
          [channel],
        );
        written += await this.tell(manager, 'firing', untold, () => [channel]);
        found = untold.length;
      }
    }
    return written;
  }

  /** Alerts that were over long ago; their messages go with them. */
  async forgetOld(manager: EntityManager): Promise<void> {
    await manager.query(`DELETE FROM alerts WHERE resolved_at < now() - $1 * interval '1 day'`, [KEEP_RESOLVED_DAYS]);
  }

  /** Newest first. @returns one alert more than `limit` when there is a next page. */
  async list({ state, kind, severity, organizationId, cursor, limit }: AlertFilter): Promise<AlertView[]> {
    const rows: AlertRow[] = await this.dataSource.query(
      `SELECT ${COLUMNS} FROM alerts
       WHERE ($1 = 'all' OR (resolved_at IS NULL) = ($1 = 'firing')) AND kind = COALESCE($2, kind) AND severity = COALESCE($3, severity)
         AND organization_id = COALESCE($4, organization_id) AND ($5::text IS NULL OR id < $5) ORDER BY id DESC LIMIT $6`,
      [state, kind ?? null, severity ?? null, organizationId ?? null, cursor ?? null, limit + 1],
    );
    return rows.map(toView);
  }

  async countFiring(): Promise<{ kind: string; severity: AlertSeverity; count: number }[]> {
    return await this.dataSource.query(
      'SELECT kind, severity, count(*)::int AS count FROM alerts WHERE resolved_at IS NULL GROUP BY kind, severity',
    );
  }

  /**
   * Messages that wait, neither sent nor given up; alerts that fire of which one was given up and none was sent since; messages of the last
   * day that were not taken for all who were to be told.
   */
  async countMessages(): Promise<MessageCounts[]> {
    return await this.dataSource.query(
      `SELECT m.channel, (count(*) FILTER (WHERE m.sent_at IS NULL AND m.given_up_at IS NULL))::int AS waiting, count(m.sent_at)::int AS refused,
         (count(DISTINCT a.id) FILTER (WHERE m.given_up_at IS NOT NULL AND a.resolved_at IS NULL
           AND NOT EXISTS (SELECT FROM alert_messages later WHERE later.alert_id = m.alert_id AND later.channel = m.channel
                           AND later.sequence > m.sequence AND later.sent_at IS NOT NULL)))::int AS "givenUp"
       FROM alert_messages m JOIN alerts a ON a.id = m.alert_id
       WHERE m.sent_at IS NULL OR (m.last_error IS NOT NULL AND m.sent_at > now() - interval '1 day') GROUP BY m.channel`,
    );
  }

  /**
   * Takes the first message whose time has come, and others of its kind, severity and event, for one process until `claimMs` from
   * now: a process that dies meanwhile costs a wait, never a message. What is still to be told of the same alert goes before it, or a
   * receiver would open what is over.
   * @param atOnce at most so many.
   * @param longestWaitMs what waits longer was written before the database's clock went back: its time has come, too.
   */
  async takeDue(channel: AlertChannel, atOnce: number, claimMs: number, longestWaitMs: number): Promise<DueMessage[]> {
    const [rows]: [DueRow[], number] = await this.dataSource.query(
      `WITH first AS (SELECT id, ARRAY[${ALIKE}] AS alike FROM alert_messages m WHERE ${DUE} ORDER BY sequence LIMIT 1 FOR UPDATE SKIP LOCKED),
         more AS (SELECT id FROM alert_messages m WHERE ${DUE} AND $4 > 1 AND ARRAY[${ALIKE}] = (SELECT alike FROM first)
                  ORDER BY sequence LIMIT $4 FOR UPDATE SKIP LOCKED)
       UPDATE alert_messages SET attempts = attempts + 1, next_try_at = now() + $2 * interval '1 millisecond'
       WHERE id IN (SELECT id FROM first UNION SELECT id FROM more)
       RETURNING id, event, body, attempts, sequence`,
      [channel, claimMs, longestWaitMs, atOnce],
    );
    // The update answers in any order.
    const inOrder = rows.toSorted((a, b) => Number(a.sequence) - Number(b.sequence));
    return inOrder.map(({ body, sequence: _, ...message }) => ({ ...message, alert: body }));
  }

  /** @param refused who was not told, in one sentence. */
  async sent(ids: readonly string[], refused?: string): Promise<void> {
    await this.dataSource.query('UPDATE alert_messages SET sent_at = now(), last_error = $2 WHERE id = ANY($1)', [ids, refused ?? null]);
  }

  /** @returns how many of the messages were given up. */
  async failed(ids: readonly string[], sentence: string, retryMs: number, giveUpMs: number): Promise<number> {
    const [rows]: [{ givenUp: boolean }[], number] = await this.dataSource.query(
      `UPDATE alert_messages SET last_error = $2, next_try_at = now() + $3 * interval '1 millisecond',
         given_up_at = CASE WHEN created_at < now() - $4 * interval '1 millisecond' THEN now() END
       WHERE id = ANY($1) RETURNING given_up_at IS NOT NULL AS "givenUp"`,
      [ids, sentence, retryMs, giveUpMs],
    );
    return rows.filter(({ givenUp }) => givenUp).length;
  }

  private async insert(manager: EntityManager, kind: string, found: readonly (readonly [key: string, fact: AlertFact])[]): Promise<void> {
    if (found.length === 0) return;
    // Ids of one instant have no order of their own, and lists go by it.
    const ids = found.map(() => newId()).toSorted();
    const rows = found.map(([key, { severity, organizationId, subject, message, details = {} }], place) => {
      return { id: ids[place], key, severity, organization_id: organizationId, subject, message, details };
    });
    await manager.query(
      `INSERT INTO alerts (id, key, kind, severity, organization_id, subject, message, details)
       SELECT id, key, $1, severity, organization_id, subject, message, details FROM jsonb_to_recordset($2::jsonb)
         AS found (id text, key text, severity text, organization_id text, subject text, message text, details jsonb)`,
      [kind, JSON.stringify(rows)],
    );
  }

  /** @returns how many messages were written. */
  private async update(manager: EntityManager, found: readonly (AlertFact & { known: FiringRow })[]): Promise<number> {
    if (found.length === 0) return 0;
    const values = found.map(({ known, severity, subject, message, details = {} }) => ({
      id: known.id,
      severity,
      subject,
      message,
      details,
    }));
    const [rows]: [AlertRow[], number] = await manager.query(
      `UPDATE alerts SET severity = found.severity, subject = found.subject, message = found.message, details = found.details, last_at = now()
       FROM jsonb_to_recordset($1::jsonb) AS found (id text, severity text, subject text, message text, details jsonb)
       WHERE alerts.id = found.id RETURNING ${COLUMNS}`,
      [JSON.stringify(values)],
    );
    const before = new Map(found.map(({ known }) => [known.id, known]));
    const worse = rows.filter(({ id, severity }) => severity === 'critical' && before.get(id)?.severity === 'warning');
    return await this.tell(manager, 'firing', worse, ({ id }) => before.get(id)?.told ?? []);
  }

  /** @returns how many messages were written. */
  private async tell(
    manager: EntityManager,
    event: AlertEvent,
    rows: readonly AlertRow[],
    channelsOf: (row: AlertRow) => readonly AlertChannel[],
  ): Promise<number> {
    const messages = rows.flatMap((row) =>
      channelsOf(row).map((channel) => ({ id: newId(), alert_id: row.id, channel, body: toView(row) })),
    );
    if (messages.length === 0) return 0;
    await manager.query(
      `INSERT INTO alert_messages (id, alert_id, event, channel, body)
       SELECT id, alert_id, $1, channel, body FROM jsonb_to_recordset($2::jsonb) AS told (id text, alert_id text, channel text, body jsonb)`,
      [event, JSON.stringify(messages)],
    );
    return messages.length;
  }
}

/** A statement for each of thousands would hold the lock for long, one for all would be a text without bound. */
const PAGE = 500;

function pages<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / PAGE) }, (_, page) => all.slice(page * PAGE, (page + 1) * PAGE));
}

type FiringRow = Pick<AlertRow, 'id' | 'key' | 'severity'> & { told: AlertChannel[] };

interface DueRow {
  id: string;
  event: AlertEvent;
  body: AlertView;
  attempts: number;
  sequence: string;
}

function toView({ key: _, firstAt, lastAt, resolvedAt, ...row }: AlertRow): AlertView {
  return { ...row, firstAt: firstAt.toISOString(), lastAt: lastAt.toISOString(), resolvedAt: resolvedAt?.toISOString() ?? null };
}
