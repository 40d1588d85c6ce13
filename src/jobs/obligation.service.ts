import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { describeError, type Logger, newId, VaultError, withTimeout } from '../common/index.js';
import { JobsError, leaseLost } from './errors.js';
import type { Lease } from './lease-keeper.js';
import { ObligationEntity } from './obligation.entity.js';
import { errorForLog, failureForPeople } from './run-failure.js';
import { RunRegistry } from './run-registry.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { ObligationHandle, ObligationLedger, ObligationPayer } from './types.js';

/** A claim outlives the payer's own deadline, so that two processes never undo one thing at once. */
const CLAIM_MARGIN_MS = 30_000;

type DueObligation = Pick<ObligationEntity, 'id' | 'runId' | 'kind' | 'terms' | 'attempts'>;

/** Debts to outside systems: recorded before the thing is made, paid by whoever is there. */
@Injectable()
export class ObligationService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly registry: RunRegistry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /** @throws JobsError PAYER_DUPLICATE. */
  registerPayer(kind: string, payer: ObligationPayer): void {
    this.registry.registerPayer(kind, payer);
  }

  ledger(lease: Lease, log: Logger): ObligationLedger {
    return { owe: async (kind, terms) => await this.owe(lease, log, kind, terms) };
  }

  /**
   * Pays what a run still owes, newest first. One that cannot be paid does not keep the others
   * from being paid: a snapshot that stays is no reason for the maintenance mode to stay.
   * @returns the sentences of those that could not be paid.
   */
  async payRun(runId: string, signal: AbortSignal, log: Logger): Promise<string[]> {
    const open = await this.dataSource
      .createQueryBuilder(ObligationEntity, 'obligation')
      .where('obligation.runId = :runId AND obligation.settledAt IS NULL', { runId })
      .orderBy('obligation.sequence', 'DESC')
      .getMany();
    const faults: string[] = [];
    for (const obligation of open) {
      const fault = await this.tryToPay(obligation, signal, log);
      if (fault !== undefined) faults.push(fault);
    }
    return faults;
  }

  /**
   * Debts of ended runs whose time for another try has come, newest first within a run.
   * @returns runs of which a debt was tried.
   */
  async payDue(signal: AbortSignal): Promise<Set<string>> {
    const due: DueObligation[] = await this.dataSource.query(
      `SELECT o.id, o.run_id AS "runId", o.kind, o.terms, o.attempts FROM obligations o JOIN runs r ON r.id = o.run_id
       WHERE o.settled_at IS NULL AND r.state NOT IN ('queued', 'running')
         AND (o.next_try_at IS NULL OR o.next_try_at <= now()) AND (o.claimed_until IS NULL OR o.claimed_until < now())
       ORDER BY o.run_id, o.sequence DESC LIMIT 100`,
    );
    const tried = new Set<string>();
    for (const obligation of due) {
      if (signal.aborted) break;
      await this.tryToPay(obligation, signal, this.environment.logger.child({ runId: obligation.runId }));
      tried.add(obligation.runId);
    }
    return tried;
  }

  private async owe(lease: Lease, log: Logger, kind: string, terms: Record<string, unknown>): Promise<ObligationHandle> {
    // Refused before anything is made: a debt nobody here can pay.
    this.registry.payer(kind);
    if (lease.lost) throw leaseLost(lease.runId);
    const id = newId();
    // One statement, committed when it answers. It takes hold only under a living lease: whoever
    // was thought dead may not incur debts after a sweep has counted them.
    const rows: unknown[] = await this.dataSource.query(
      `INSERT INTO obligations (id, run_id, kind, terms)
       SELECT $1, id, $3, $4 FROM runs WHERE id = $2 AND lease_owner = $5 AND state = 'running' AND lease_expires_at > now() FOR SHARE
       RETURNING id`,
      [id, lease.runId, kind, terms, lease.owner],
    );
    if (rows.length === 0) throw leaseLost(lease.runId);
    return {
      id,
      amend: async (more) => await this.amend(id, more),
      settle: async () => await this.settle(id, lease),
      pay: async () => await this.payNow(id, log),
    };
  }

  /**
   * Not fenced by the lease, and it reopens a paid debt: whoever has facts about the thing has made
   * it, and if a sweep paid before it existed, it must be undone again.
   */
  private async amend(id: string, terms: Record<string, unknown>): Promise<void> {
    await this.dataSource.query(`UPDATE obligations SET terms = terms || $2::jsonb, settled_at = NULL, next_try_at = NULL WHERE id = $1`, [
      id,
      terms,
    ]);
  }

  /** "Meant to stay" is only true while no sweep is undoing the thing: hence under the lease. */
  private async settle(id: string, lease: Lease): Promise<void> {
    const [, settled] = await this.dataSource.query(
      `UPDATE obligations o SET settled_at = COALESCE(o.settled_at, now()), last_error = NULL
       FROM runs r WHERE o.id = $1 AND r.id = o.run_id AND r.lease_owner = $2 AND r.state = 'running'`,
      [id, lease.owner],
    );
    if (settled === 0) throw leaseLost(lease.runId);
  }

  private async payNow(id: string, log: Logger): Promise<void> {
    const obligation = await this.dataSource.manager.findOneBy(ObligationEntity, { id });
    if (obligation === null || obligation.settledAt !== null) return;
    await this.pay(obligation, undefined, log);
  }

  /** @returns the sentence of the failure; undefined when it is paid or somebody else is paying it. */
  private async tryToPay(obligation: DueObligation, signal: AbortSignal, log: Logger): Promise<string | undefined> {
    try {
      await this.pay(obligation, signal, log);
      return undefined;
    } catch (error) {
      if (error instanceof JobsError && error.code === 'OBLIGATION_CLAIMED') return undefined;
      log.warn(
        { obligation: { id: obligation.id, kind: obligation.kind }, error: errorForLog(error) },
        'an obligation could not be paid yet',
      );
      return `"${obligation.kind}" is still owed: ${failureForPeople(error, obligation.runId).message}`;
    }
  }

  /** Pays under a claim, with a deadline of its own; what fails is kept with the time of its next try. */
  private async pay(obligation: DueObligation, signal: AbortSignal | undefined, log: Logger): Promise<void> {
    const { payTimeoutMs } = this.environment.settings;
    const claim = newId();
    const [, claimed] = await this.dataSource.query(
      `UPDATE obligations SET claimed_by = $2, claimed_until = now() + $3 * interval '1 millisecond', attempts = attempts + 1
       WHERE id = $1 AND settled_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())`,
      [obligation.id, claim, payTimeoutMs + CLAIM_MARGIN_MS],
    );
    if (claimed === 0) {
      throw new JobsError(`"${obligation.kind}" is being undone by another worker.`, { code: 'OBLIGATION_CLAIMED', retryable: true });
    }
    try {
      const payer = this.registry.payer(obligation.kind);
      await withTimeout(`Undoing "${obligation.kind}"`, payTimeoutMs, signal, (payerSignal) => payer(obligation.terms, payerSignal, log));
    } catch (error) {
      await this.postpone(obligation, claim, error);
      throw error;
    }
    await this.dataSource.query(
      `UPDATE obligations SET settled_at = now(), last_error = NULL, next_try_at = NULL, claimed_by = NULL, claimed_until = NULL
       WHERE id = $1 AND claimed_by = $2`,
      [obligation.id, claim],
    );
  }

  private async postpone(obligation: DueObligation, claim: string, error: unknown): Promise<void> {
    const { payRetryBaseMs, payRetryMaxMs } = this.environment.settings;
    const delayMs = Math.min(payRetryMaxMs, payRetryBaseMs * 2 ** Math.min(obligation.attempts, 30));
    const sentence = error instanceof VaultError ? describeError(error) : failureForPeople(error, obligation.runId).message;
    await this.dataSource.query(
      `UPDATE obligations SET last_error = $3, next_try_at = now() + $4 * interval '1 millisecond', claimed_by = NULL, claimed_until = NULL
       WHERE id = $1 AND claimed_by = $2`,
      [obligation.id, claim, sentence, delayMs],
    );
  }
}
