import { describeError, type Logger } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { remove } from './gc-lock.js';
import type { BlobStore } from './types.js';

export interface ClaimTimes {
  heartbeatMs: number;
  /** Silent for this long, by the store's clock, a service is gone. */
  expiryMs: number;
}

export const CLAIM_TIMES: ClaimTimes = { heartbeatMs: 60_000, expiryMs: 5 * 60_000 };

/** Who works on the repository: all processes that share a database are one. */
export interface ClaimingService {
  /** Of the database: lower-case letters, digits and hyphens. */
  databaseId: string;
  hostName: string;
}

/**
 * `services/DATABASEID`: the sign that a service with this database works on the repository. Two databases on one repository lose no
 * data - any number of writers may share it - but each would back up the same vApps without knowing of the other's snapshots,
 * maintenance modes and restore points: that is a mistake to be told of, not to be lived with.
 */
export class ServiceClaim {
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> | undefined;
  private told = '';

  private constructor(
    private readonly store: BlobStore,
    private readonly service: ClaimingService,
    private readonly times: ClaimTimes,
    private readonly log: Logger,
  ) {}

  /** @throws RepositoryError REPOSITORY_IN_USE naming the other service's host. A store that cannot be written to is no reason not to read from it. */
  static async take(store: BlobStore, service: ClaimingService, log: Logger, times: ClaimTimes = CLAIM_TIMES): Promise<ServiceClaim> {
    const claim = new ServiceClaim(store, service, times, log);
    const rival = await claim.beat();
    if (rival !== undefined) {
      await remove(store, claim.name).catch(() => undefined);
      throw new RepositoryError(claim.sentence(rival), { code: 'REPOSITORY_IN_USE', subject: rival.name });
    }
    // One at a time: on a folder that hangs each takes one of the process's few threads for files until it answers.
    claim.timer = setInterval(() => {
      claim.beating ??= claim.beat().then((other) => {
        claim.beating = undefined;
        claim.tell(other);
      });
    }, times.heartbeatMs);
    claim.timer.unref();
    return claim;
  }

  /** Never throws: a sign that stays expires. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    await remove(this.store, this.name).catch(() => undefined);
  }

  private get name(): string {
    return `services/${this.service.databaseId}`;
  }

  /** @returns another service that lives. */
  private async beat(): Promise<{ name: string; hostName: string } | undefined> {
    try {
      const { hostName } = this.service;
      await this.store.put(this.name, Buffer.from(`${JSON.stringify({ hostName })}\n`));
      const found: { name: string; modifiedMs: number }[] = [];
      for await (const { name, modifiedAt } of this.store.list('services/')) found.push({ name, modifiedMs: modifiedAt.getTime() });
      // Our own sign is as old as now, by the clock that dated the others.
      const nowMs = found.find(({ name }) => name === this.name)?.modifiedMs ?? Date.now();
      const rivals = found.filter(({ name, modifiedMs }) => name !== this.name && nowMs - modifiedMs <= this.times.expiryMs);
      const [rival] = rivals;
      return rival && { name: rival.name, hostName: await this.hostOf(rival.name) };
    } catch (error) {
      this.log.warn({ reason: describeError(error) }, 'The sign of this service could not be put into the repository');
      return undefined;
    }
  }

  private async hostOf(name: string): Promise<string> {
    try {
      const sign = JSON.parse((await this.store.get(name)).toString('utf8')) as { hostName?: unknown } | null;
      return typeof sign?.hostName === 'string' ? sign.hostName : 'an unknown host';
    } catch (error) {
      if (error instanceof SyntaxError || isRepositoryError(error, 'BLOB_NOT_FOUND')) return 'an unknown host';
      throw error;
    }
  }

  private tell(rival: { name: string; hostName: string } | undefined): void {
    if (rival !== undefined && rival.name !== this.told) this.log.error(this.sentence(rival));
    this.told = rival?.name ?? '';
  }

  private sentence({ hostName }: { hostName: string }): string {
    return `Another vApp Vault, on ${hostName}, works on this repository with another database; stop one of the two, or give both one database (one that is gone is forgotten after ${this.times.expiryMs / 60_000} minutes)`;
  }
}
