import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { DataSource } from 'typeorm';
import { CancelledError, CLOCK_TOLERANCE_MS, describeError, type Logger, withTimeout } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import { CloudService } from './cloud.service.js';

const INTERVAL = 'clouds.refresh';
const LOOK_MS = 30_000;
const REFRESH_TIMEOUT_MS = 60 * 60_000;

/**
 * Keeps inventories fresh without anybody asking: what policies mean is decided by them, and a vApp that nobody has seen is
 * backed up by nobody.
 */
@Injectable()
export class InventoryRefresh implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private current: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly clouds: CloudService,
    private readonly scheduler: SchedulerRegistry,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'inventory' | 'role'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.role === 'api' || this.config.inventory.refreshMinutes === 0) return;
    this.scheduler.addInterval(
      INTERVAL,
      setInterval(() => void this.look(), LOOK_MS),
    );
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    if (this.scheduler.doesExist('interval', INTERVAL)) this.scheduler.deleteInterval(INTERVAL);
    await this.current;
  }

  /** Never two at once in a process. Never throws. */
  async look(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.current ??= this.refreshOld()
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted) this.log.warn({ reason: describeError(error) }, 'inventories could not be refreshed');
      })
      .finally(() => {
        this.current = undefined;
      });
    await this.current;
  }

  private async refreshOld(): Promise<void> {
    const { signal } = this.stopping;
    for (;;) {
      const cloud = await this.take();
      if (cloud === undefined || signal.aborted) return;
      try {
        await withTimeout(`Refreshing the inventory of cloud "${cloud.name}"`, REFRESH_TIMEOUT_MS, signal, (either) =>
          this.clouds.refresh(cloud.id, {}, either),
        );
      } catch (error) {
        // The cloud shows it as `refreshError`; the last inventory holds.
        if (!signal.aborted) this.log.warn({ cloud: cloud.name, reason: describeError(error) }, 'an inventory could not be refreshed');
      }
    }
  }

  /**
   * The next one whose time has come, for this process alone. One that failed is not tried sooner: a login that is refused
   * again and again locks its account. What lies further ahead than clocks differ was written before the database's clock went back: nobody waits for that.
   */
  private async take(): Promise<{ id: string; name: string } | undefined> {
    const isOld = (at: string) => `(${at} < now() - $1 * interval '1 minute' OR ${at} > now() + $2 * interval '1 millisecond')`;
    const [rows]: [{ id: string; name: string }[], number] = await this.dataSource.query(
      `UPDATE clouds SET refresh_tried_at = now(), refresh_unended = refresh_unended + 1 WHERE id = (
         SELECT id FROM clouds
         WHERE ${isOld('COALESCE(refreshed_at, created_at)')} AND (refresh_tried_at IS NULL OR ${isOld('refresh_tried_at')})
         ORDER BY refreshed_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id, name`,
      [this.config.inventory.refreshMinutes, CLOCK_TOLERANCE_MS],
    );
    return rows[0];
  }
}
