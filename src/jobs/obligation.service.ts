import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  describeError,
  joinSignals,
  type Logger,
  newId,
  sleep,
  TimeoutError,
  VaultError,
  withLogFields,
  withTimeout,
} from '../common/index.js';
import { JobsError, leaseLost } from './errors.js';
import type { Lease } from './lease-keeper.js';
import { ObligationEntity } from './obligation.entity.js';
import { errorForLog, failureForPeople } from './run-failure.js';
import { RunLedger } from './run-ledger.js';
import { RunRegistry } from './run-registry.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { NewObligation, ObligationPayer, PayerOptions, UnpaidDebt } from './types.js';

/** How often a run looks whether somebody has finished paying an earlier run's debt. */
const CLAIM_POLL_MS = 500;
/** A row each; what is tried goes behind the others, so all have their turn. */
const RUNS_PER_LOOK = 1_000;

/**
 * Debts `o` of runs `r` that are not under way whose time for another try has come. Those that concern what another run works
 * on just now wait for its end: leaving the maintenance mode of a vApp in the middle of its next backup would pay a debt at
 * that backup's cost. While one of a run is being paid its others wait: the newest goes first, whoever pays.
 */
const DUE = `o.settled_at IS NULL AND r.state <> 'running' AND (o.next_try_at IS NULL OR o.next_try_at <= now())
  AND NOT EXISTS (SELECT FROM obligations p WHERE p.run_id = o.run_id AND p.settled_at IS NULL AND p.claimed_until >= now())
  AND NOT EXISTS (SELECT FROM runs u WHERE u.exclusive_key = r.exclusive_key AND u.state = 'running')`;

type DueObligation = Pick<ObligationEntity, 'id' | 'runId' | 'kind' | 'terms' | 'attempts'>;

/** How a try to pay ended; of a failure the reason, for people. */
type Try = 'paid' | 'claimed elsewhere' | { reason: string; outOfTime: boolean };

interface Commit {
  result: Record<string, unknown>;
  follows: readonly NewObligation[];
}

/** Debts to outside systems: recorded before the thing is made, paid by whoever is there. */
@Injectable()
export class ObligationService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly registry: RunRegistry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /** @throws JobsError PAYER_DUPLICATE. */
  registerPayer(kind: string, payer: ObligationPayer, options?: PayerOptions): void {
    this.registry.registerPayer(kind, payer, options);
  }

  /** The oldest debt that is still open, or will be looked at once more, and whose terms contain these, of whatever run. */
  oldestOpen(terms: Record<string, unknown>): Promise<UnpaidDebt | undefined> {
    return this.oldest('(settled_at IS NULL OR look_again_at IS NOT NULL)', terms);
  }

  /** As `oldestOpen`, without those that are only looked at once more. */
  oldestUnpaid(terms: Record<string, unknown>): Promise<UnpaidDebt | undefined> {
    return this.oldest('settled_at IS NULL', terms);
  }

  private async oldest(condition: string, terms: Record<string, unknown>): Promise<UnpaidDebt | undefined> {
    const rows: UnpaidDebt[] = await this.dataSource.query(
      `SELECT run_id AS "runId", kind, last_error AS "lastError" FROM obligations
       WHERE ${condition} AND terms @> $1::jsonb ORDER BY sequence LIMIT 1`,
      [JSON.stringify(terms)],
    );
    return rows[0];
  }

  /** Whether a run that is under way, another than `exceptRunId`, owes something whose terms contain these. */
  async owedByLivingRun(terms: Record<string, unknown>, exceptRunId: string): Promise<boolean> {
    const [row]: { found: boolean }[] = await this.dataSource.query(
      `SELECT EXISTS (SELECT FROM obligations o JOIN runs r ON r.id = o.run_id
         WHERE r.state = 'running' AND r.id <> $2 AND o.settled_at IS NULL AND o.terms @> $1::jsonb) AS found`,
      [JSON.stringify(terms), exceptRunId],
    );
    return row?.found === true;
  }

  ledger(lease: Lease, log: Logger): RunLedger {
    return new RunLedger(this, lease, log);
  }

  /**
   * Pays what a run still owes, newest first. One that cannot be paid does not keep the others
   * from being paid: a snapshot that stays is no reason for the maintenance mode to stay. For the same reason what else concerns
   * a system that let one run out of time is left for later.
   * @returns the sentences of those that could not be paid.
   */
  async payRun(runId: string, signal: AbortSignal, log: Logger): Promise<string[]> {
    const open = await this.dataSource
      .createQueryBuilder(ObligationEntity, 'obligation')
      .where('obligation.runId = :runId AND obligation.settledAt IS NULL', { runId })
      .orderBy('obligation.sequence', 'DESC')
      .getMany();
    const faults: string[] = [];
    /** Why, by the system. */
    const silent = new Map<string, string>();
    for (const obligation of open) {
      const system = this.registry.system(obligation);
      const known = silent.get(system);
      const ended = known === undefined ? await this.tryToPay(obligation, signal, log) : { reason: known, outOfTime: true };
      if (typeof ended === 'string') continue;
      if (ended.outOfTime) silent.set(system, ended.reason);
      faults.push(stillOwed(obligation, ended.reason));
    }
    return faults;
  }

  /**
   * For a run that was lost, cancelled or failed: what it had asked for and nobody saw may still come, after all was paid.
   * Each open debt is looked at once more when no request can be on its way any longer - unless its payment sees the
   * thing undone.
   */
  async lookAgain(runId: string): Promise<void> {
    await this.dataSource.query(
      `UPDATE obligations SET look_again_at = now() + $2 * interval '1 millisecond' WHERE run_id = $1 AND settled_at IS NULL`,
      [runId, this.environment.settings.lateRequestMs],
    );
  }

  /**
   * Opens the debts whose second look is due; they are paid, and shown when they cannot be, like all others. What concerns another
   * run that is under way stays as it is: nobody could pay it now, and that run would take it for a thing that is there.
   * @param byRunId which begins.
   */
  private async openForSecondLook(byRunId?: string): Promise<void> {
    await this.dataSource.query(
      `UPDATE obligations SET settled_at = NULL, next_try_at = NULL, look_again_at = NULL WHERE look_again_at <= now() AND settled_at IS NOT NULL
         AND NOT EXISTS (SELECT FROM runs r JOIN runs u ON u.id = r.id OR u.exclusive_key = r.exclusive_key
           WHERE r.id = obligations.run_id AND u.state = 'running' AND u.id IS DISTINCT FROM $1)`,
      [byRunId ?? null],
    );
  }

  /** @returns runs of which debts are due, by the system that is asked first; what was tried last comes last. */
  async due(): Promise<Map<string, string[]>> {
    await this.openForSecondLook();
    const rows: Pick<ObligationEntity, 'runId' | 'kind' | 'terms'>[] = await this.dataSource.query(
      `SELECT "runId", kind, terms FROM (
         SELECT DISTINCT ON (o.run_id) o.run_id AS "runId", o.kind, o.terms,
           (SELECT max(t.next_try_at) FROM obligations t WHERE t.run_id = o.run_id AND t.settled_at IS NULL) AS tried
         FROM obligations o JOIN runs r ON r.id = o.run_id WHERE ${DUE} ORDER BY o.run_id, o.sequence DESC) newest
       ORDER BY tried NULLS FIRST, "runId" LIMIT ${RUNS_PER_LOOK}`,
    );
    const bySystem = new Map<string, string[]>();
    for (const row of rows) {
      const system = this.registry.system(row);
      bySystem.set(system, [...(bySystem.get(system) ?? []), row.runId]);
    }
    return bySystem;
  }

  /**
   * Pays what is due of one run, newest first.
   * @param silent systems that have let a payment run out of time, to which this one's are added: what concerns them waits
   * for the next look.
   * @returns whether a debt was tried.
   */
  async payDue(runId: string, silent: Set<string>, signal: AbortSignal): Promise<boolean> {
    const due: DueObligation[] = await this.dataSource.query(
      `SELECT o.id, o.run_id AS "runId", o.kind, o.terms, o.attempts FROM obligations o JOIN runs r ON r.id = o.run_id
       WHERE o.run_id = $1 AND ${DUE} ORDER BY o.sequence DESC`,
      [runId],
    );
    let tried = false;
    for (const obligation of due) {
      if (signal.aborted) break;
      const system = this.registry.system(obligation);
      if (silent.has(system)) continue;
      const ended = await withLogFields({ runId }, () => this.tryToPay(obligation, signal, this.environment.logger));
      if (ended === 'claimed elsewhere') break;
      if (ended !== 'paid' && ended.outOfTime) silent.add(system);
      tried = true;
    }
    return tried;
  }

  /**
   * Pays what earlier runs about the same thing (the same exclusive key), and earlier attempts of this one, still owe,
   * whenever their next try would be: a run begins with a clean slate, or says what stains it.
   * @returns the sentences of those that could not be paid.
   */
  async payEarlier(runId: string, signal: AbortSignal, log: Logger): Promise<string[]> {
    const faults: string[] = [];
    const tried = new Set<string>();
    await this.openForSecondLook(runId);
    for (;;) {
      const open: (DueObligation & { claimed: boolean })[] = await this.dataSource.query(
        `SELECT o.id, o.run_id AS "runId", o.kind, o.terms, o.attempts, COALESCE(o.claimed_until > now(), false) AS claimed
         FROM runs this JOIN runs r ON r.id = this.id OR (r.exclusive_key = this.exclusive_key AND r.state NOT IN ('queued', 'running'))
         JOIN obligations o ON o.run_id = r.id
         WHERE this.id = $1 AND o.settled_at IS NULL ORDER BY o.run_id, o.sequence DESC`,
        [runId],
      );
      for (const obligation of open) {
        if (obligation.claimed || tried.has(obligation.id)) continue;
        tried.add(obligation.id);
        const ended = await this.tryToPay(obligation, signal, log);
        // Claimed since the question: what comes of that is waited for like the others.
        if (ended === 'claimed elsewhere') tried.delete(obligation.id);
        else if (ended !== 'paid') faults.push(stillOwed(obligation, ended.reason));
      }
      if (open.every((obligation) => tried.has(obligation.id))) return faults;
      await sleep(CLAIM_POLL_MS, signal);
    }
  }

  /** @returns the new debt's id. @throws JobsError PAYER_MISSING, LEASE_LOST. */
  async record(lease: Lease, kind: string, terms: Record<string, unknown>): Promise<string> {
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
    return id;
  }

  /**
   * Not fenced by the lease, and it reopens a paid debt: whoever has facts about the thing has made
   * it, and if a sweep paid before it existed, it must be undone again.
   */
  async amend(id: string, terms: Record<string, unknown>): Promise<void> {
    await this.dataSource.query(`UPDATE obligations SET terms = terms || $2::jsonb, settled_at = NULL, next_try_at = NULL WHERE id = $1`, [
      id,
      terms,
    ]);
  }

  /**
   * "Meant to stay" is only true while no sweep is undoing the thing: hence under the lease, whose row
   * stays locked until all of it is kept.
   * @param commit where this is what the run was for: its result, and the debts that begin with it.
   * @returns the ids of those.
   * @throws JobsError LEASE_LOST, PAYER_MISSING.
   */
  async settle(ids: readonly string[], lease: Lease, commit?: Commit): Promise<string[]> {
    const begun = (commit?.follows ?? []).map(({ kind, terms }) => ({ id: newId(), kind, terms }));
    for (const { kind } of begun) this.registry.payer(kind);
    const result = commit?.result;
    await this.dataSource.transaction(async (manager) => {
      const [, ours] = await manager.query(
        `UPDATE runs SET result = COALESCE($3::jsonb, result) WHERE id = $1 AND lease_owner = $2 AND state = 'running'`,
        [lease.runId, lease.owner, result === undefined ? null : JSON.stringify(result)],
      );
      if (ours === 0) throw leaseLost(lease.runId);
      await manager.query(
        `UPDATE obligations SET settled_at = COALESCE(settled_at, now()), last_error = NULL WHERE id = ANY($1) AND run_id = $2`,
        [ids, lease.runId],
      );
      for (const { id, kind, terms } of begun) {
        await manager.query('INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, $3, $4)', [id, lease.runId, kind, terms]);
      }
    });
    return begun.map(({ id }) => id);
  }

  async reopen(ids: readonly string[]): Promise<void> {
    await this.dataSource.query('UPDATE obligations SET settled_at = NULL, next_try_at = NULL WHERE id = ANY($1)', [ids]);
  }

  /**
   * Pays a debt of a run that goes on.
   * @param open as far as the run knows. When it is settled all the same, somebody who found the lease lost has
   * undone the thing under the run's hands, and nothing built on it counts.
   * @throws JobsError LEASE_LOST; what the payer throws.
   */
  async payOwn(id: string, open: boolean, lease: Lease, log: Logger): Promise<void> {
    const obligation = await this.dataSource.manager.findOneBy(ObligationEntity, { id });
    if (obligation !== null && obligation.settledAt === null) await this.pay(obligation, undefined, log);
    else if (open) throw leaseLost(lease.runId);
  }

  private async tryToPay(obligation: DueObligation, signal: AbortSignal, log: Logger): Promise<Try> {
    try {
      await this.pay(obligation, signal, log);
      return 'paid';
    } catch (error) {
      if (error instanceof JobsError && error.code === 'OBLIGATION_CLAIMED') return 'claimed elsewhere';
      log.warn(
        { obligation: { id: obligation.id, kind: obligation.kind }, error: errorForLog(error) },
        'an obligation could not be paid yet',
      );
      return { reason: failureForPeople(error, obligation.runId).message, outOfTime: error instanceof TimeoutError };
    }
  }

  /**
   * Pays under a claim, with a deadline of its own; what fails is kept with the time of its next try. The claim
   * lives like a lease: renewed while its holder lives, so that a killed payer holds up nobody for long.
   */
  private async pay(obligation: DueObligation, signal: AbortSignal | undefined, log: Logger): Promise<void> {
    const { payTimeoutMs, leaseExpiryMs, leaseRenewMs } = this.environment.settings;
    const claim = newId();
    const [, claimed] = await this.dataSource.query(
      `UPDATE obligations SET claimed_by = $2, claimed_until = now() + $3 * interval '1 millisecond', attempts = attempts + 1
       WHERE id = $1 AND settled_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())`,
      [obligation.id, claim, leaseExpiryMs],
    );
    if (claimed === 0) throw claimedElsewhere(obligation.kind);
    const claimLost = new AbortController();
    const renewal = setInterval(() => {
      this.renewClaim(obligation.id, claim).then(
        (ours) => ours || claimLost.abort(claimedElsewhere(obligation.kind)),
        // Not heard of the database: the next renewal may be; if none is, another payer only repeats what is done.
        () => undefined,
      );
    }, leaseRenewMs);
    const { signal: either, letGo } = joinSignals(signal, claimLost.signal);
    let outcome: unknown;
    try {
      const payer = this.registry.payer(obligation.kind);
      outcome = await withTimeout(`Undoing "${obligation.kind}"`, payTimeoutMs, either, async (payerSignal) => {
        setMaxListeners(0, payerSignal);
        return await payer(obligation.terms, payerSignal, log);
      });
    } catch (error) {
      await this.postpone(obligation, claim, error);
      throw error;
    } finally {
      clearInterval(renewal);
      letGo();
    }
    await this.dataSource.query(
      `UPDATE obligations SET settled_at = now(), last_error = NULL, next_try_at = NULL, claimed_by = NULL, claimed_until = NULL,
         look_again_at = CASE WHEN $3 THEN NULL ELSE look_again_at END
       WHERE id = $1 AND claimed_by = $2`,
      [obligation.id, claim, outcome === 'undone'],
    );
  }

  private async renewClaim(id: string, claim: string): Promise<boolean> {
    const [, renewed] = await this.dataSource.query(
      `UPDATE obligations SET claimed_until = now() + $3 * interval '1 millisecond' WHERE id = $1 AND claimed_by = $2`,
      [id, claim, this.environment.settings.leaseExpiryMs],
    );
    return renewed > 0;
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

function stillOwed({ kind }: Pick<ObligationEntity, 'kind'>, reason: string): string {
  return `"${kind}" is still owed: ${reason}`;
}

function claimedElsewhere(kind: string): JobsError {
  return new JobsError(`"${kind}" is being undone by another worker.`, { code: 'OBLIGATION_CLAIMED', retryable: true });
}
