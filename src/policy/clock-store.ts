import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { latestCredible } from '../common/index.js';
import { whileAlone } from '../database/index.js';

const TICK_LOCK = 0x706f_6c69;

export interface Heartbeat {
  /** When a service looked again after a pause. */
  resumedAt: Date;
  /** How long that pause was; also what a clock that jumped looks like. */
  pausedMs: number;
}

/** For long no look at the policies went well. */
export interface Stall {
  lookedAt: Date;
  doneAt: Date;
  /** Nobody looks, as opposed to looks that fail or hang. */
  isSilent: boolean;
  /** Why the last look failed; null where none did since one went well. */
  failure: string | null;
}

/** What is done every so often, by one process. */
export interface Turn {
  what: 'metadata_at' | 'retention_at';
  now: Date;
  everyMs: number;
}

/** Also where the last one lies further ahead than clocks of machines differ: the clock went back. Its parameters are those of `timesOf`. */
function dueOf({ what }: Turn): string {
  return `(${what} IS NULL OR ${what} <= $1::timestamptz - $2 * interval '1 millisecond' OR ${what} > $3)`;
}

function timesOf({ now, everyMs }: Turn): unknown[] {
  return [now, everyMs, latestCredible(now)];
}

/** What all processes of the service know together of time. */
@Injectable()
export class PolicyClockStore {
  /** By how much this process's clock was ahead of the database's when it last looked. */
  private aheadMs: number | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Notes that somebody looks now. A silence is measured by the database's clock, because those of processes differ. A clock jumped where
   * it agrees neither with what this process said before nor with what was said last.
   * @param pauseMs a longer silence, or a larger jump, counts as a pause.
   */
  async tick(now: Date, pauseMs: number): Promise<Heartbeat> {
    const msOf = (interval: string) => `(extract(epoch FROM ${interval}) * 1000)`;
    const ahead = msOf('$1::timestamptz - now()');
    // LEAST passes over what this process has not said yet.
    const jump = `LEAST(abs(${ahead} - ${msOf('c.ticked_at - c.looked_at')}), abs(${ahead} - $3::float8))`;
    const pause = `GREATEST(${msOf('now() - c.looked_at')}, ${jump})`;
    const [row]: { resumedAt: Date; pausedMs: string; aheadMs: number }[] = await this.dataSource.query(
      `WITH written AS (
         INSERT INTO policy_clock AS c (only_row, ticked_at, looked_at, resumed_at, paused_ms) VALUES (true, $1, now(), $1, 0)
         ON CONFLICT (only_row) DO UPDATE SET ticked_at = $1, looked_at = now(),
           resumed_at = CASE WHEN ${pause} > $2 THEN $1 ELSE LEAST(c.resumed_at, $1) END,
           paused_ms = CASE WHEN ${pause} > $2 THEN ${pause}::bigint ELSE c.paused_ms END
         RETURNING resumed_at, paused_ms)
       SELECT resumed_at AS "resumedAt", paused_ms AS "pausedMs", ${ahead}::float8 AS "aheadMs" FROM written`,
      [now, pauseMs, this.aheadMs],
    );
    this.aheadMs = row?.aheadMs;
    return { resumedAt: row?.resumedAt ?? now, pausedMs: Number(row?.pausedMs ?? 0) };
  }

  /** A look has ended. @param failure one sentence; without it the look went well. */
  async noteEnd(failure?: string): Promise<void> {
    await this.dataSource.query(
      'UPDATE policy_clock SET failure = $1::text, done_at = CASE WHEN $1::text IS NULL THEN now() ELSE done_at END',
      [failure ?? null],
    );
  }

  /** By the database's clock. @returns undefined where a look went well not so long ago, or no policy asks for one. */
  async stalled(patienceMs: number): Promise<Stall | undefined> {
    const [row]: Stall[] = await this.dataSource.query(
      `SELECT looked_at AS "lookedAt", done_at AS "doneAt", looked_at < now() - $1 * interval '1 millisecond' AS "isSilent", failure
       FROM policy_clock
       WHERE LEAST(looked_at, done_at) < now() - $1 * interval '1 millisecond' AND EXISTS (SELECT FROM policies WHERE enabled)`,
      [patienceMs],
    );
    return row;
  }

  /** @returns when somebody looked again after the last pause; undefined where nobody ever has. */
  async resumedAt(): Promise<Date | undefined> {
    const [row]: { resumedAt: Date }[] = await this.dataSource.query('SELECT resumed_at AS "resumedAt" FROM policy_clock');
    return row?.resumedAt;
  }

  /** Whether it is time for what is done every so often by one of them. Who then does it takes the turn first: another may have been faster. */
  async isDue(turn: Turn): Promise<boolean> {
    const found: unknown[] = await this.dataSource.query(`SELECT 1 FROM policy_clock WHERE ${dueOf(turn)}`, timesOf(turn));
    return found.length > 0;
  }

  /**
   * Whether it is this process's turn.
   * @param manager where what is done is written in a transaction: the turn is taken with it, and a death in between takes neither.
   */
  async takeTurn(turn: Turn, manager: EntityManager = this.dataSource.manager): Promise<boolean> {
    const [, taken]: [unknown, number] = await manager.query(
      `UPDATE policy_clock SET ${turn.what} = $1 WHERE ${dueOf(turn)}`,
      timesOf(turn),
    );
    return taken === 1;
  }

  /** Has what a policy depends on asked soon. */
  async forgetMetadata(): Promise<void> {
    await this.dataSource.query('UPDATE policy_clock SET metadata_at = NULL');
  }

  /** One round at a time, in all processes: a second one would find nothing, at the same cost. @returns false when another has it. */
  async alone(work: () => Promise<void>): Promise<boolean> {
    return await whileAlone(this.dataSource, TICK_LOCK, work);
  }
}
