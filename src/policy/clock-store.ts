import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { whileAlone } from '../database/index.js';
import { latestCredible } from './rules/credible.js';

const TICK_LOCK = 0x706f_6c69;

export interface Heartbeat {
  /** When a service looked again after a pause. */
  resumedAt: Date;
  /** How long that pause was; also what a clock that jumped looks like. */
  pausedMs: number;
}

/** What all processes of the service know together of time. */
@Injectable()
export class PolicyClockStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Notes that somebody looks now. @param pauseMs a longer silence, or a clock that went back, counts as a pause. */
  async tick(now: Date, pauseMs: number): Promise<Heartbeat> {
    const jumped = `($1::timestamptz - c.ticked_at > $2 * interval '1 millisecond' OR c.ticked_at > $3)`;
    const [row]: { resumedAt: Date; pausedMs: string }[] = await this.dataSource.query(
      `WITH written AS (
         INSERT INTO policy_clock AS c (only_row, ticked_at, resumed_at, paused_ms) VALUES (true, $1, $1, 0)
         ON CONFLICT (only_row) DO UPDATE SET ticked_at = $1,
           resumed_at = CASE WHEN ${jumped} THEN $1 ELSE c.resumed_at END,
           paused_ms = CASE WHEN ${jumped} THEN abs(extract(epoch FROM $1::timestamptz - c.ticked_at) * 1000)::bigint ELSE c.paused_ms END
         RETURNING resumed_at, paused_ms)
       SELECT resumed_at AS "resumedAt", paused_ms AS "pausedMs" FROM written`,
      [now, pauseMs, latestCredible(now)],
    );
    return { resumedAt: row?.resumedAt ?? now, pausedMs: Number(row?.pausedMs ?? 0) };
  }

  /** Whether it is this process's turn to do what is done every so often by one of them. */
  async takeTurn(what: 'metadata_at' | 'retention_at', now: Date, everyMs: number): Promise<boolean> {
    const [, taken]: [unknown, number] = await this.dataSource.query(
      `UPDATE policy_clock SET ${what} = $1
       WHERE ${what} IS NULL OR ${what} <= $1::timestamptz - $2 * interval '1 millisecond' OR ${what} > $1`,
      [now, everyMs],
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
