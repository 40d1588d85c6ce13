import { KIB, sleep, throwIfAborted } from '../common/index.js';
import { createSharedMemory, type SharedMemory } from '../native/index.js';
import { checkSettings } from './configuration-file.js';
import type { DiskAccessOptions, LiveHost, LiveHosts } from './live-host.js';
import { SteadyDisk } from './steady-disk.js';
import { type DiskPlace, transportModes } from './transport-rules.js';
import type { VddkConnectionApi, VddkDiskApi } from './types.js';
import { ruleOf, Tries, withTries } from './tries.js';
import { VddkError } from './vddk-error.js';
import { VddkHost, withHost } from './vddk-host.js';
import type { RetryRule, VixRetry } from './vix-codes.js';

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
  /** Among the transports that were asked for. */
  private asksForHotAdd = false;
  /** HotAdd disks were, or may have been, attached to this machine and not all of them been cleaned up after. */
  private mayBeAttached = false;

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
   * Waits for its permit (OpenDiskPermits), then opens.
   * @param path "[datastore] folder/disk.vmdk"
   * @throws VddkError TRANSPORT_REFUSED, TRANSPORT_FELL_BACK; what VDDK says when no try was left.
   */
  async openDisk(path: string, { place }: SteadyOpenOptions, signal: AbortSignal = this.options.signal): Promise<VddkDiskApi> {
    const { transport, settings, limits, vcenterInstanceUuid, esxiHostMoRef } = this.options;
    const modes = place === undefined ? transport.modes.join(':') : transportModes(transport.modes, place, path);
    const nfcBytes = settings.nfcAioBufferSizeIn64KiB * 64 * KIB * settings.nfcAioBufferCount;
    const demand = { vcenterInstanceUuid, esxiHostMoRef, nfcBytes };
    const disk = new SteadyDisk(this, path, modes, (permitSignal) => limits.acquire(demand, permitSignal));
    await disk.open(signal);
    return disk;
  }

  /**
   * Carries out one piece of work on the host of the moment, and again on a new one as often as its failures allow. Each
   * piece counts its own failures: one that can never succeed ends, however well the others do.
   */
  async steadily<T>(work: (live: LiveHost) => Promise<T>, signal: AbortSignal = this.options.signal): Promise<T> {
    const tries = new Tries((kind) => this.rule(kind));
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
        const kind = tries.next(error);
        if (kind === undefined) throw error;
        await this.renew(current, kind, error);
      }
    }
  }

  rule(kind: VixRetry): RetryRule {
    return ruleOf(this.options.settings.retries, kind);
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
    this.asksForHotAdd ||= modes.split(':').includes('hotadd');
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
    this.mayBeAttached ||= transportMode === 'hotadd';
  }

  async cleanUp(): Promise<void> {
    await this.cleanUpBy(await this.current.catch(() => undefined));
  }

  /** Ends the host and frees the memory; never throws. Of a run that was cancelled it waits for nothing long. */
  async close(): Promise<void> {
    const { signal } = this.options;
    const live = await this.current.catch(() => undefined);
    // One that was ended in the middle of an Open says nothing of what it had attached.
    this.mayBeAttached ||= this.asksForHotAdd && live?.host.isAlive !== true;
    // "HotAdded disks should be released with VixDiskLib_Cleanup() before snapshot delete" (guide, HotAdd best practices),
    // and "immediately afterwards" is after Disconnect.
    if (this.mayBeAttached) {
      for (const connection of live?.connections.values() ?? [])
        await connection.then((open) => open.disconnect(signal)).catch(() => undefined);
      await this.cleanUpBy(live);
    }
    if (live !== undefined) await end(live);
    this.shared.close();
  }

  /** @param live another process is started where it cannot be asked any more. Never throws. */
  private async cleanUpBy(live: LiveHost | undefined): Promise<void> {
    const { log, target, settings, afterCleanup, signal: hurry } = this.options;
    const clean = (host: VddkHost) => host.cleanup(target(), undefined, hurry);
    try {
      const counts = live?.host.isAlive === true ? await clean(live.host) : await withHost(settings, { log, hurry }, clean);
      log.info(counts, 'cleaned up after HotAdd');
      await afterCleanup?.();
    } catch (error) {
      log.warn({ error }, 'cleaning up after HotAdd failed');
    }
  }

  private async replace(failed: Promise<LiveHost>, kind: VixRetry, cause: unknown): Promise<LiveHost> {
    const { log, signal, renewSession } = this.options;
    this.renewals += 1;
    log.warn({ error: cause, retry: kind }, 'disks are opened anew in another VDDK process');
    // The memory may be used again only when the old process is gone. Another access has memory of its own.
    const before = await failed;
    await end(before);
    if (!before.host.isReaped) throw stuck(before.host.pid, cause);
    // Nobody knows whether it came to attaching what it was about to open.
    this.mayBeAttached ||= this.asksForHotAdd;
    await sleep(this.rule(kind).delayMs, signal);
    if (kind === 'login') await renewSession(signal);
    const live = await startHost(this.options, this.shared);
    // A disk that the old process left attached cannot be attached again.
    if (this.mayBeAttached) await this.cleanUpBy(live);
    return live;
  }
}

function stuck(pid: number | undefined, cause: unknown): VddkError {
  return new VddkError(
    `VDDK process ${pid} was killed and has not ended, so its disks are not opened anew over the memory it may still write to. The copy can be begun again; where this stays, look for storage of this machine that does not answer`,
    { code: 'VDDK_HOST_STUCK', retryable: true, details: { pid }, cause },
  );
}

async function startHost(options: DiskAccessOptions, memory: SharedMemory): Promise<LiveHost> {
  const { settings, log, signal } = options;
  const start = () => VddkHost.start(settings, { log, signal, memory });
  return { host: await withTries(start, { retries: settings.retries, ...options }), connections: new Map() };
}

async function end({ host, connections }: LiveHost): Promise<void> {
  for (const connection of connections.values()) connection.catch(() => undefined);
  // Its last act is to close disks and connections.
  await host.stop();
}
