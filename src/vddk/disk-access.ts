import { KIB, sleep, throwIfAborted } from '../common/index.js';
import { createSharedMemory, type SharedMemory } from '../native/index.js';
import { checkSettings } from './configuration-file.js';
import type { DiskAccessOptions, LiveHost, LiveHosts } from './live-host.js';
import { SteadyDisk } from './steady-disk.js';
import { type DiskPlace, transportModes } from './transport-rules.js';
import type { VddkConnectionApi, VddkDiskApi } from './types.js';
import { retryOf, VddkError } from './vddk-error.js';
import { VddkHost } from './vddk-host.js';
import { RETRIES, type RetryRule, type VixRetry } from './vix-codes.js';

/** What a disk is opened with; anything that is left out restricts nothing. */
export interface SteadyOpenOptions {
  place?: DiskPlace;
}

/**
 * The disks of one VM, over as many host processes as it takes: a failure that another try may mend (RETRIES) costs the
 * requests that were under way and nothing else. The memory stays the same, so that whoever waits for a read does not
 * notice. Transports are chosen by rule for each disk and held against what was really used.
 *
 * `close` must be called, also after a failure, and only when nobody uses the memory any more.
 */
export class DiskAccess implements LiveHosts {
  private current: Promise<LiveHost>;
  private renewals = 0;
  private usedHotAdd = false;

  private constructor(
    readonly options: DiskAccessOptions,
    private readonly shared: SharedMemory,
    first: LiveHost,
  ) {
    this.current = Promise.resolve(first);
  }

  /** @throws VddkError when the settings cannot work, or the library does not load. */
  static async start(options: DiskAccessOptions): Promise<DiskAccess> {
    checkSettings(options.settings);
    const shared = createSharedMemory(options.settings.memoryBytes);
    try {
      return new DiskAccess(options, shared, await startHost(options, shared));
    } catch (error) {
      shared.close();
      throw error;
    }
  }

  get memory(): Buffer {
    return this.shared.buffer;
  }

  /** How often everything was opened anew. */
  get renewalCount(): number {
    return this.renewals;
  }

  /**
   * Waits for its turn (OpenDiskLimits), then opens.
   * @param path "[datastore] folder/disk.vmdk"
   * @throws VddkError TRANSPORT_REFUSED, TRANSPORT_FELL_BACK; what VDDK says when no try was left.
   */
  async openDisk(path: string, { place }: SteadyOpenOptions, signal: AbortSignal = this.options.signal): Promise<VddkDiskApi> {
    const { transport, settings, limits, vcenterInstanceUuid, esxiHostMoRef } = this.options;
    const modes = place === undefined ? transport.modes.join(':') : transportModes(transport.modes, place, path);
    const nfcBytes = settings.nfcAioBufferSizeIn64KiB * 64 * KIB * settings.nfcAioBufferCount;
    const release = await limits.acquire({ vcenterInstanceUuid, esxiHostMoRef, nfcBytes }, signal);
    const disk = new SteadyDisk(this, path, modes, release);
    try {
      await disk.open(signal);
      return disk;
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Carries out one piece of work on the host of the moment, and again on a new one as often as its failures allow. Each
   * piece counts its own failures: one that can never succeed ends, however well the others do.
   */
  async steadily<T>(work: (live: LiveHost) => Promise<T>, signal: AbortSignal = this.options.signal): Promise<T> {
    const failures = new Map<VixRetry, number>();
    for (;;) {
      throwIfAborted(signal);
      const current = this.current;
      const live = await current;
      try {
        return await work(live);
      } catch (error) {
        throwIfAborted(signal);
        // The host was taken away from under it, because something else had failed: no fault of this one.
        if (this.current !== current && error instanceof VddkError) continue;
        const kind = retryOf(error);
        const count = (failures.get(kind ?? 'final') ?? 0) + 1;
        if (kind === undefined || count >= this.rule(kind).attempts) throw error;
        failures.set(kind, count);
        await this.renew(current, kind, error);
      }
    }
  }

  rule(kind: VixRetry): RetryRule {
    return this.options.settings.retries?.[kind] ?? RETRIES[kind];
  }

  async renew(failed: Promise<LiveHost>, kind: VixRetry, cause: unknown): Promise<void> {
    if (this.current === failed) {
      const replacing = this.replace(failed, kind, cause);
      // Whoever comes later hears of it, too.
      replacing.catch(() => undefined);
      this.current = replacing;
    }
    await this.current;
  }

  get moment(): Promise<LiveHost> {
    return this.current;
  }

  connection(live: LiveHost, modes: string): Promise<VddkConnectionApi> {
    let connection = live.connections.get(modes);
    if (connection === undefined) {
      const { target, readOnly, snapshotMoRef, signal } = this.options;
      const options = { readOnly, transportModes: modes, ...(snapshotMoRef !== undefined && { snapshotMoRef }) };
      connection = live.host.connect(target(), options, signal);
      live.connections.set(modes, connection);
    }
    return connection;
  }

  noteTransport(transportMode: string): void {
    this.usedHotAdd ||= transportMode === 'hotadd';
  }

  async cleanUp(): Promise<void> {
    const { log, target } = this.options;
    try {
      const { host } = await this.current;
      log.info(await host.cleanup(target()), 'cleaned up after HotAdd');
    } catch (error) {
      log.warn({ error }, 'cleaning up after HotAdd failed');
    }
  }

  /** Ends the host and frees the memory; never throws. */
  async close(): Promise<void> {
    const live = await this.current.catch(() => undefined);
    if (live !== undefined) {
      // "HotAdded disks should be released with VixDiskLib_Cleanup() before snapshot delete" (guide, HotAdd best practices),
      // and "immediately afterwards" is after Disconnect.
      if (this.usedHotAdd) {
        for (const connection of live.connections.values()) await connection.then((open) => open.disconnect()).catch(() => undefined);
        await this.cleanUp();
      }
      await end(live);
    }
    this.shared.close();
  }

  private async replace(failed: Promise<LiveHost>, kind: VixRetry, cause: unknown): Promise<LiveHost> {
    const { log, signal, renewSession } = this.options;
    this.renewals += 1;
    log.warn({ error: cause, retry: kind }, 'disks are opened anew in another VDDK process');
    // The memory may be used again only when the old process is gone.
    await end(await failed);
    await sleep(this.rule(kind).delayMs, signal);
    if (kind === 'login') await renewSession(signal);
    return startHost(this.options, this.shared);
  }
}

async function startHost({ settings, log, signal }: DiskAccessOptions, memory: SharedMemory): Promise<LiveHost> {
  return { host: await VddkHost.start(settings, { log, signal, memory }), connections: new Map() };
}

async function end({ host, connections }: LiveHost): Promise<void> {
  for (const connection of connections.values()) connection.catch(() => undefined);
  // Its last act is to close disks and connections.
  await host.stop();
}
