import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Bell, CancelledError, describeError, joinSignals, newId, sleep, throwIfAborted, withoutLogFields } from '../common/index.js';
import { lockTransaction } from '../database/index.js';
import { errorForLog } from './run-failure.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

/** What something takes of something limited: a connection of a vCenter, bytes of an ESXi host. */
export interface PermitAccount {
  key: string;
  amount: number;
  limit: number;
}

/** Any number: permits are granted one after the other, or two workers would give away the same room. */
const GRANT_LOCK = 7_186_404;
/** How often somebody who waits looks whether another process has given something back. */
const LOOK_MS = 500;

/**
 * Under the lock, so that what was granted before is seen. Who came earlier keeps his place for what he lacks and holds up
 * nobody else; who is dead neither holds nor waits.
 */
const GRANT = `
  WITH alive AS (SELECT p.* FROM permits p JOIN workers w ON w.id = p.worker_id WHERE w.expires_at > now()),
  wanted AS (SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS w(key, amount, most)),
  used AS (
    SELECT u.key, sum(u.amount) AS amount FROM alive p CROSS JOIN LATERAL unnest(p.keys, p.amounts) AS u(key, amount)
    WHERE p.granted_at IS NOT NULL AND u.key = ANY($2) GROUP BY u.key
  ),
  lacking AS (
    SELECT COALESCE(array_agg(w.key), '{}') AS keys FROM wanted w LEFT JOIN used u USING (key)
    WHERE COALESCE(u.amount, 0) + w.amount > w.most
  ),
  awaited AS (
    SELECT EXISTS (SELECT FROM alive p JOIN permits mine ON mine.id = $1
                   WHERE p.granted_at IS NULL AND p.sequence < mine.sequence AND p.lacking && $2) AS by_others
  )
  UPDATE permits SET lacking = lacking.keys,
    granted_at = CASE WHEN lacking.keys = '{}' AND NOT awaited.by_others THEN now() END
  FROM lacking, awaited WHERE permits.id = $1
  RETURNING permits.granted_at IS NOT NULL AS granted`;

/**
 * Limits that hold over all workers together. A permit is a row that belongs to its process; the process says in a row of its
 * own, under the times of a lease, that it lives. When it dies, what it held comes back with the end of that lease.
 */
@Injectable()
export class PermitService {
  private readonly held = new Set<string>();
  private readonly bell = new Bell();
  private readonly stopping = new AbortController();
  private presence: Promise<void> | undefined;
  private loop: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /**
   * Waits until all accounts have room at once, in the order of arrival among those that wait for the same. An amount above
   * its limit waits for an empty account.
   * @returns the release function, safe to call twice.
   * @throws the reason of `signal`; CancelledError when the service stops; what the database says.
   */
  async acquire(accounts: readonly PermitAccount[], signal?: AbortSignal): Promise<() => void> {
    const { signal: ended, letGo } = joinSignals(signal, this.stopping.signal);
    try {
      return await this.granted(accounts, ended);
    } finally {
      letGo();
    }
  }

  private async granted(accounts: readonly PermitAccount[], ended: AbortSignal): Promise<() => void> {
    throwIfAborted(ended);
    this.presence ??= this.beginPresence();
    await this.presence;
    const id = newId();
    this.held.add(id);
    try {
      await this.insert(id, accounts);
      for (;;) {
        throwIfAborted(ended);
        const { rings } = this.bell;
        const answer = await this.grant(id, accounts);
        if (answer === 'granted') return () => this.release(id);
        // It went with this process's row, which was not renewed for so long that others took it for dead: at the end of the line again.
        if (answer === 'gone') {
          await this.beat();
          await this.insert(id, accounts);
        }
        // With jitter: many that were refused at one moment must not come back at one moment.
        await this.bell.next(rings, LOOK_MS * (0.5 + Math.random() / 2), ended);
      }
    } catch (error) {
      this.release(id);
      throw error;
    }
  }

  /** Gives everything back: nothing of this process holds a permit any more. */
  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await this.loop;
    if (this.presence === undefined) return;
    // A lease that is not given back runs out.
    await this.dataSource.query('DELETE FROM workers WHERE id = $1', [this.environment.workerId]).catch(() => undefined);
  }

  private async insert(id: string, accounts: readonly PermitAccount[]): Promise<void> {
    await this.dataSource.query('INSERT INTO permits (id, worker_id, keys, amounts) VALUES ($1, $2, $3, $4)', [
      id,
      this.environment.workerId,
      accounts.map(({ key }) => key),
      accounts.map(amountOf),
    ]);
  }

  private async grant(id: string, accounts: readonly PermitAccount[]): Promise<'granted' | 'waiting' | 'gone'> {
    return await this.dataSource.transaction(async (manager) => {
      await lockTransaction(manager, GRANT_LOCK, this.environment.settings.leaseExpiryMs);
      const [[row]]: [{ granted: boolean }[], number] = await manager.query(GRANT, [
        id,
        accounts.map(({ key }) => key),
        accounts.map(amountOf),
        accounts.map(({ limit }) => limit),
      ]);
      if (row === undefined) return 'gone';
      return row.granted ? 'granted' : 'waiting';
    });
  }

  private release(id: string): void {
    if (!this.held.delete(id)) return;
    // One that is not reached now is found by the next heartbeat.
    this.dataSource.query('DELETE FROM permits WHERE id = $1', [id]).then(
      () => this.bell.ring(),
      (error: unknown) => this.environment.logger.debug({ reason: describeError(error) }, 'a permit is given back later'),
    );
  }

  private async beginPresence(): Promise<void> {
    try {
      await this.beat();
    } catch (error) {
      this.presence = undefined;
      throw error;
    }
    this.loop ??= withoutLogFields(() => this.keepPresent());
  }

  private async keepPresent(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(this.environment.settings.leaseRenewMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.beat().catch((error: unknown) => {
        this.environment.logger.warn({ error: errorForLog(error) }, 'the lease of the permits could not be renewed');
      });
    }
  }

  private async beat(): Promise<void> {
    const { workerId, settings } = this.environment;
    await this.dataSource.query(
      `INSERT INTO workers (id, expires_at) VALUES ($1, now() + $2 * interval '1 millisecond')
       ON CONFLICT (id) DO UPDATE SET expires_at = EXCLUDED.expires_at`,
      [workerId, settings.leaseExpiryMs],
    );
    await this.deleteStray();
    // Long after their permits stopped counting.
    await this.dataSource.query(`DELETE FROM workers WHERE expires_at < now() - interval '1 hour'`);
  }

  /** Rows whose deletion was not answered. Asked for first: what is held by then is known before its row is made. */
  private async deleteStray(): Promise<void> {
    const rows: { id: string }[] = await this.dataSource.query('SELECT id FROM permits WHERE worker_id = $1', [this.environment.workerId]);
    const stray = rows.map(({ id }) => id).filter((id) => !this.held.has(id));
    if (stray.length > 0) await this.dataSource.query('DELETE FROM permits WHERE id = ANY($1)', [stray]);
  }
}

/** One that alone is above the limit must not wait for ever. */
function amountOf({ amount, limit }: PermitAccount): number {
  return Math.min(amount, limit);
}
