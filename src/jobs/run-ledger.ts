import type { Logger } from '../common/index.js';
import type { Lease } from './lease-keeper.js';
import type { ObligationService } from './obligation.service.js';
import type { NewObligation, ObligationHandle, ObligationLedger } from './types.js';

/** What one worker owes for one run: which debts are open as far as this worker knows. */
export class RunLedger implements ObligationLedger {
  private readonly open = new Set<string>();
  private committedResult: Record<string, unknown> | undefined;

  constructor(
    private readonly obligations: ObligationService,
    private readonly lease: Lease,
    private readonly log: Logger,
  ) {}

  /** The result kept by `commit`; undefined before it. */
  get committed(): Record<string, unknown> | undefined {
    return this.committedResult;
  }

  async owe(kind: string, terms: Record<string, unknown>): Promise<ObligationHandle> {
    return this.handle(await this.obligations.record(this.lease, kind, terms));
  }

  private handle(id: string): ObligationHandle {
    this.open.add(id);
    return {
      id,
      amend: async (more) => await this.obligations.amend(id, more),
      settle: async () => {
        await this.obligations.settle([id], this.lease);
        this.open.delete(id);
      },
      pay: async () => {
        await this.obligations.payOwn(id, this.open.has(id), this.lease, this.log);
        this.open.delete(id);
      },
    };
  }

  async commit(
    result: Record<string, unknown>,
    kept: readonly ObligationHandle[],
    follows: readonly NewObligation[] = [],
  ): Promise<ObligationHandle[]> {
    const ids = kept.map((handle) => handle.id);
    const begun = await this.obligations.settle(ids, this.lease, { result, follows });
    for (const id of ids) this.open.delete(id);
    this.committedResult = result;
    return begun.map((id) => this.handle(id));
  }

  /**
   * For a worker that lost its lease while it was frozen or cut off: the sweep may have paid a debt
   * before this worker, not yet knowing, made the thing. So each is to be paid once more.
   */
  async reopen(): Promise<void> {
    if (this.open.size > 0) await this.obligations.reopen([...this.open]);
  }
}
