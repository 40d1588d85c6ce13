import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { CancelledError, describeError, type Logger } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import { PolicyRounds } from './policy-rounds.js';

const INTERVALS = { round: 'policies.round', metadata: 'policies.metadata' } as const;

/** Wakes the rounds, in every process that carries out runs. */
@Injectable()
export class PolicyTicks implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private readonly under = new Map<string, Promise<void>>();

  constructor(
    private readonly rounds: PolicyRounds,
    private readonly scheduler: SchedulerRegistry,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'policies' | 'role'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.role === 'api') return;
    const { signal } = this.stopping;
    this.every(INTERVALS.round, () => this.rounds.round(signal));
    this.every(INTERVALS.metadata, () => this.rounds.refreshMetadata(signal));
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    for (const name of Object.values(INTERVALS)) {
      if (this.scheduler.doesExist('interval', name)) this.scheduler.deleteInterval(name);
    }
    await Promise.all(this.under.values());
  }

  /** Never two of a kind at once; one that fails is tried again with the next tick. */
  private every(name: string, work: () => Promise<void>): void {
    const tick = () => {
      if (this.under.has(name) || this.stopping.signal.aborted) return;
      const done = work()
        .catch((error: unknown) => {
          if (!this.stopping.signal.aborted) this.log.warn({ reason: describeError(error), name }, 'policies could not be looked at');
        })
        .finally(() => this.under.delete(name));
      this.under.set(name, done);
    };
    this.scheduler.addInterval(name, setInterval(tick, this.config.policies.tickMs));
    tick();
  }
}
