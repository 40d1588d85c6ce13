import { Inject, Injectable, type OnApplicationShutdown, Optional } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { describeError, type Logger, retry } from '../common/index.js';
import { FORMER_MASTER_KEY, LOGGER, MASTER_KEY } from '../config/index.js';
import type { RotatingToken } from '../vcd/index.js';
import { CredentialSeal } from './credential-seal.js';
import { CloudError } from './errors.js';

/** Below what a statement may wait for its answer (src/database/connection.ts). */
const LOCK_TIMEOUT_MS = 90_000;
/** Together longer than an exchange may take: another process may be in the middle of one. */
const LOCK_ATTEMPTS = 2;
const LOCK_NOT_AVAILABLE = '55P03';
const STORE_DEADLINE_MS = 30_000;
/** Left by registrations that failed after the token was used, for whoever tries again with it. */
const UNUSED_KEPT_DAYS = 7;

/**
 * The tokens of VCD's service accounts, each good for one exchange that answers with the next.
 *
 * The row of an account is locked from before an exchange until its outcome is committed, so that two processes
 * never spend one token, and what VCD answered is used only once it is stored. A token that could not be stored
 * is kept here and stored by the next use. What cannot be closed is the moment between VCD's answer and the
 * commit: a process killed in it takes the new token with it, and VCD then calls the stored one used.
 */
@Injectable()
export class ServiceAccountTokens implements OnApplicationShutdown {
  private readonly seal: CredentialSeal;
  /** By account: the token that follows the stored one. */
  private readonly unstored = new Map<string, { stored: Buffer; next: Buffer }>();

  constructor(
    private readonly dataSource: DataSource,
    @Inject(LOGGER) private readonly log: Logger,
    @Inject(MASTER_KEY) masterKey: Buffer,
    @Optional() @Inject(FORMER_MASTER_KEY) formerMasterKey?: Buffer | null,
  ) {
    this.seal = new CredentialSeal(masterKey, formerMasterKey);
  }

  /**
   * Puts a token on record before its first use. One that was entered before is continued with what has become of
   * it: a registration that failed after the login has used the token up, and a person tries again with the same.
   * @returns the account's id.
   */
  async keep(token: string): Promise<string> {
    const id = this.seal.digest(token);
    await this.dataSource.query(
      `DELETE FROM service_account_tokens t WHERE t.id <> $1 AND COALESCE(t.used_at, t.created_at) < now() - $2 * interval '1 day'
       AND NOT EXISTS (SELECT 1 FROM clouds c WHERE c.vcd->>'serviceAccountId' = t.id)`,
      [id, UNUSED_KEPT_DAYS],
    );
    await this.dataSource.query('INSERT INTO service_account_tokens (id, sealed_token) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING', [
      id,
      this.seal.sealText(id, token),
    ]);
    return id;
  }

  /** Forgets an account that no cloud uses. */
  async forget(id: string): Promise<void> {
    await this.dataSource.query(
      `DELETE FROM service_account_tokens t WHERE t.id = $1 AND NOT EXISTS (SELECT 1 FROM clouds c WHERE c.vcd->>'serviceAccountId' = t.id)`,
      [id],
    );
    this.unstored.delete(id);
  }

  rotating(id: string): RotatingToken {
    return { rotate: (exchange) => this.rotate(id, exchange) };
  }

  async onApplicationShutdown(): Promise<void> {
    for (const id of this.unstored.keys()) {
      await this.storeOutside(id).catch((error: unknown) =>
        this.log.error({ error: describeError(error) }, "a service account's new token could not be stored and is lost with this process"),
      );
    }
  }

  /** @throws CloudError TOKEN_NOT_STORED; whatever `exchange` throws. */
  private async rotate<T>(id: string, exchange: (token: string) => Promise<{ nextToken: string | undefined; value: T }>): Promise<T> {
    if (this.unstored.has(id)) await this.storeOutside(id);
    let outcome: { value: T } | undefined;
    try {
      const value = await this.alone(async (manager) => {
        const stored = await this.lock(manager, id);
        const token = this.seal.openText(id, "service account's token", stored);
        const { nextToken, value: result } = await exchange(token);
        outcome = { value: result };
        if (nextToken !== undefined && nextToken !== token) {
          // From here on the stored token is worth nothing.
          const next = this.seal.sealText(id, nextToken);
          this.unstored.set(id, { stored, next });
          await manager.query('UPDATE service_account_tokens SET sealed_token = $2, used_at = now() WHERE id = $1', [id, next]);
        }
        return result;
      });
      this.unstored.delete(id);
      return value;
    } catch (error) {
      if (outcome === undefined || !this.unstored.has(id)) throw error;
      // The exchange is done and the transaction broke: on another connection, as often as there is time for.
      await this.storeOutside(id);
      return outcome.value;
    }
  }

  /** Nothing has been done where the row was not to be had. */
  private async alone<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const patience = { attempts: LOCK_ATTEMPTS, baseDelayMs: 100, maxDelayMs: 1_000, deadlineMs: 2 * LOCK_ATTEMPTS * LOCK_TIMEOUT_MS };
    const retryIf = (error: unknown) => (error as { code?: unknown }).code === LOCK_NOT_AVAILABLE;
    return await retry({ ...patience, retryIf }, () => this.dataSource.transaction(work));
  }

  /** Writing before the exchange: a database that takes no writes must not cost a token. */
  private async lock(manager: EntityManager, id: string): Promise<Buffer> {
    await manager.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const [rows] = await manager.query<[{ stored: Buffer }[], number]>(
      'UPDATE service_account_tokens SET used_at = now() WHERE id = $1 RETURNING sealed_token AS stored',
      [id],
    );
    const stored = rows[0]?.stored;
    if (stored === undefined) {
      throw new CloudError(
        'CLOUD_NOT_FOUND',
        'The service account is not on record any more: its cloud was removed or given another login.',
      );
    }
    return stored;
  }

  private async storeOutside(id: string): Promise<void> {
    const waiting = this.unstored.get(id);
    if (waiting === undefined) return;
    try {
      await retry({ attempts: 20, baseDelayMs: 200, maxDelayMs: 5_000, deadlineMs: STORE_DEADLINE_MS, retryIf: () => true }, () =>
        this.dataSource.query('UPDATE service_account_tokens SET sealed_token = $3, used_at = now() WHERE id = $1 AND sealed_token = $2', [
          id,
          waiting.stored,
          waiting.next,
        ]),
      );
    } catch (cause) {
      throw new CloudError(
        'TOKEN_NOT_STORED',
        `vCloud Director replaced a service account's token, and the new one could not be stored (${describeError(cause)}); keep this process running until the database takes writes again, it stores it then.`,
        { retryable: true, cause },
      );
    }
    // Nothing matched: the commit whose answer was lost had come through, or the account was forgotten.
    this.unstored.delete(id);
  }
}
