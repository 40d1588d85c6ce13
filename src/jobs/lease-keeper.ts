import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { CancelledError, sleep, withTimeout } from '../common/index.js';
import { leaseLost } from './errors.js';
import { errorForLog } from './run-failure.js';
import { type HeldLease, RunStore } from './run-store.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

/**
 * The right to work on a run. Its owner's name is given once: when a process that lost a run takes it up again, what it still
 * does under the old lease is refused like anybody's.
 */
export class Lease {
  private readonly controller = new AbortController();
  private readonly loss = new AbortController();

  constructor(
    readonly runId: string,
    readonly owner: string,
    /** Monotonic time of the last renewal the database confirmed. */
    public renewedAtMs: number,
  ) {
    // Every call of a run listens while it waits: as many as there are disks and requests in flight.
    setMaxListeners(0, this.controller.signal);
  }

  /** Fires on loss alone: for what has to be known of a run that was cancelled, too. */
  get lossSignal(): AbortSignal {
    return this.loss.signal;
  }

  /** Fires on cancel, on loss, and on shutdown; its reason says which. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get lost(): boolean {
    return this.loss.signal.aborted;
  }

  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  lose(): void {
    const error = leaseLost(this.runId);
    this.loss.abort(error);
    this.controller.abort(error);
  }
}

/**
 * Renews the leases of all runs in this process with one statement, and tells a run to stop when
 * somebody cancelled it, when its lease is gone, or when nothing has been heard of the database
 * for so long that the lease is about to be.
 */
@Injectable()
export class LeaseKeeper {
  /** By owner. */
  private readonly leases = new Map<string, Lease>();
  private named = 0;
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;

  constructor(
    private readonly store: RunStore,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /** For the statement that asks for a lease. */
  newOwner(): string {
    this.named += 1;
    return `${this.environment.workerId}:${this.named}`;
  }

  /** @param renewedAtMs performance.now() from before the statement that gave the lease: it counts from there. */
  hold(runId: string, owner: string, renewedAtMs: number): Lease {
    const lease = new Lease(runId, owner, renewedAtMs);
    this.leases.set(owner, lease);
    this.loop ??= this.keep();
    return lease;
  }

  release(lease: Lease): void {
    this.leases.delete(lease.owner);
  }

  /** Cancels without waiting for the next look, where the run is this process's own. */
  cancel(runId: string, reason?: string): void {
    for (const lease of this.leases.values()) if (lease.runId === runId) lease.abort(new CancelledError(reason));
  }

  /** Ends the loop; leases still held run out by themselves. */
  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await this.loop;
  }

  private async keep(): Promise<void> {
    const { cancelPollMs } = this.environment.settings;
    while (!this.stopping.signal.aborted) {
      await sleep(cancelPollMs, this.stopping.signal).catch(() => undefined);
      if (this.stopping.signal.aborted || this.leases.size === 0) continue;
      await this.tick();
    }
  }

  private async tick(): Promise<void> {
    const { leaseRenewMs, leaseExpiryMs } = this.environment.settings;
    const held = [...this.leases.values()].filter((lease) => !lease.lost);
    if (held.length === 0) return;
    const startedMs = performance.now();
    const due = held.some((lease) => startedMs - lease.renewedAtMs >= leaseRenewMs);
    const owners = held.map((lease) => lease.owner);
    try {
      const answer = await withTimeout('Renewing the leases', Math.min(leaseRenewMs, leaseExpiryMs / 3), undefined, () =>
        due ? this.store.renew(owners, leaseExpiryMs) : this.store.look(owners),
      );
      for (const lease of held) this.apply(lease, answer.get(lease.owner), due ? startedMs : undefined);
    } catch (error) {
      this.environment.logger.warn({ error: errorForLog(error) }, 'the leases of running runs could not be renewed');
    }
    // One renewal short of the expiry: the time left is for winding down before a sweep elsewhere begins to undo.
    for (const lease of held) {
      if (performance.now() - lease.renewedAtMs > leaseExpiryMs - leaseRenewMs) this.loseIfHeld(lease);
    }
  }

  private apply(lease: Lease, held: HeldLease | undefined, renewedAtMs: number | undefined): void {
    if (held === undefined) {
      this.loseIfHeld(lease);
      return;
    }
    if (renewedAtMs !== undefined) lease.renewedAtMs = renewedAtMs;
    if (held.cancelled) lease.abort(new CancelledError(held.cancelReason ?? undefined));
  }

  private loseIfHeld(lease: Lease): void {
    // A run that ended while the statement was under way has given its lease back itself.
    if (this.leases.has(lease.owner) && !lease.lost) lease.lose();
  }
}
