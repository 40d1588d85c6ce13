import type { Extent } from '../disk/index.js';
import type { LiveHost, LiveHosts } from './live-host.js';
import { assertTransport, type Transport } from './transport-rules.js';
import type { IoRequest, OnWidened, VddkDiskApi } from './types.js';
import { retryOf, VddkError } from './vddk-error.js';

/** Code of the error after which a caller writes again from its last flush. */
export const WRITES_IN_DOUBT = 'VDDK_WRITES_IN_DOUBT';

/** HotAdd's Close on a host in maintenance mode. */
const SERVER_NOT_AVAILABLE = 14015;

/**
 * One disk, opened anew as often as its DiskAccess gets another host.
 *
 * Reads go on by themselves. Writes that were not flushed may be lost with a host: the call that notices fails with
 * WRITES_IN_DOUBT, and its caller writes again from its last flush, once everything it had under way has come to rest.
 */
export class SteadyDisk implements VddkDiskApi {
  private opened: { live: LiveHost; disk: Promise<VddkDiskApi> } | undefined;
  private facts: { capacityBytes: number; transportMode: string } | undefined;
  private failuresSinceFlush = 0;
  private toldOfFallback = false;
  private closing: Promise<void> | undefined;
  private permit: Promise<() => void> | undefined;

  constructor(
    private readonly access: LiveHosts,
    readonly path: string,
    private readonly modes: string,
    private readonly acquire: (signal: AbortSignal) => Promise<() => void>,
  ) {}

  get capacityBytes(): number {
    return this.facts?.capacityBytes ?? 0;
  }

  get transportMode(): string {
    return this.facts?.transportMode ?? 'unknown';
  }

  /** Waits for its permit first. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await this.hold(signal);
      await this.access.steadily((live) => this.on(live), signal);
    } catch (error) {
      this.giveBack();
      throw error;
    }
  }

  metadata(signal?: AbortSignal): Promise<Record<string, string>> {
    return this.access.steadily(async (live) => (await this.on(live)).metadata(signal), signal);
  }

  /** Keys are set, not added to: doing it again changes nothing. */
  writeMetadata(entries: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    return this.access.steadily(async (live) => (await this.on(live)).writeMetadata(entries, signal), signal);
  }

  queryAllocated(signal?: AbortSignal, onWidened?: OnWidened): Promise<Extent[] | undefined> {
    const widened = (widenedBytes: number) => {
      this.access.options.log.info(
        { disk: this.path, widenedBytes },
        'so many allocated areas that the smallest gaps count as allocated too',
      );
      onWidened?.(widenedBytes);
    };
    return this.access.steadily(async (live) => (await this.on(live)).queryAllocated(signal, widened), signal);
  }

  read(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void> {
    return this.access.steadily(async (live) => (await this.on(live)).read(requests, signal), signal);
  }

  write(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void> {
    return this.inDoubtUnlessDone((disk) => disk.write(requests, signal), signal);
  }

  async flush(signal?: AbortSignal): Promise<void> {
    await this.inDoubtUnlessDone((disk) => disk.flush(signal), signal);
    this.failuresSinceFlush = 0;
  }

  close(): Promise<void> {
    this.closing ??= this.end().finally(() => this.giveBack());
    return this.closing;
  }

  private on(live: LiveHost): Promise<VddkDiskApi> {
    if (this.opened?.live !== live) this.opened = { live, disk: this.openOn(live) };
    return this.opened.disk;
  }

  private async openOn(live: LiveHost): Promise<VddkDiskApi> {
    const { transport, readOnly, signal } = this.access.options;
    // What SAN or HotAdd carried may be opened over the network this time, and nobody hears of it before it is.
    await this.hold(signal);
    const connection = await this.access.connection(live, this.modes);
    const [first] = this.modes.split(':');
    const compression = /nbd/.test(this.modes) ? transport.compression : 'none';
    const disk = await connection.openDisk(this.path, { compression, unbuffered: !readOnly && first === 'hotadd' }, signal);
    try {
      this.check(disk);
    } catch (error) {
      // Whatever Close says, this is what a person must hear; the host's end closes it at the latest.
      await disk.close(signal).catch(() => undefined);
      throw error;
    }
    // "These NFC session limits do not apply to SAN or HotAdd transport" (guide, Table 3-4).
    if (disk.transportMode === 'san' || disk.transportMode === 'hotadd') this.giveBack();
    this.access.noteTransport(disk.transportMode);
    this.facts = { capacityBytes: disk.capacityBytes, transportMode: disk.transportMode };
    return disk;
  }

  /** One permit, however many hosts it is opened on. */
  private hold(signal: AbortSignal): Promise<unknown> {
    this.permit ??= this.acquire(signal).catch((error: unknown) => {
      this.permit = undefined;
      throw error;
    });
    return this.permit;
  }

  private giveBack(): void {
    this.permit?.then(
      (release) => release(),
      () => undefined,
    );
    this.permit = undefined;
  }

  private check(disk: VddkDiskApi): void {
    const { transport, warn } = this.access.options;
    const wanted = this.modes.split(':') as Transport[];
    assertTransport(disk.transportMode, wanted, transport.fallback, this.path);
    if (!(wanted as string[]).includes(disk.transportMode) && !this.toldOfFallback) {
      this.toldOfFallback = true;
      warn(`${this.path} is carried by transport ${disk.transportMode}: VDDK could use none of ${wanted.join(', ')}.`);
    }
    if (this.facts !== undefined && this.facts.capacityBytes !== disk.capacityBytes) {
      const sizes = `${this.facts.capacityBytes} bytes before and ${disk.capacityBytes} now`;
      throw new VddkError(`${this.path} is not the disk it was when it was opened first: it had ${sizes}`, {
        code: 'VDDK_CAPACITY',
        subject: this.path,
      });
    }
  }

  private async inDoubtUnlessDone(work: (disk: VddkDiskApi) => Promise<void>, signal = this.access.options.signal): Promise<void> {
    const moment = this.access.moment;
    try {
      await work(await this.on(await moment));
    } catch (error) {
      const kind = retryOf(error);
      const lost = this.access.moment !== moment;
      if (signal.aborted || (kind === undefined && !lost)) throw error;
      if (!lost) this.failuresSinceFlush += 1;
      if (kind !== undefined && this.failuresSinceFlush >= this.access.rule(kind).attempts) throw error;
      await this.access.renew(moment, kind ?? 'once', error);
      throw new VddkError(`What was written to ${this.path} since the last flush must be written again, because its connection was lost`, {
        code: WRITES_IN_DOUBT,
        subject: this.path,
        retryable: true,
        cause: error,
      });
    }
  }

  private async end(): Promise<void> {
    const { readOnly, log, signal } = this.access.options;
    const { live, disk } = this.opened ?? {};
    // A host that was replaced has closed its disks.
    if (live === undefined || disk === undefined || (await this.access.moment.catch(() => undefined)) !== live) return;
    const inner = await disk.catch(() => undefined);
    try {
      await inner?.close(signal);
    } catch (error) {
      await this.mourn(error);
      // All that was wanted of it was read.
      if (!readOnly || isLeftByHotAdd(error, this.transportMode)) throw error;
      log.warn({ error, disk: this.path }, 'a disk that was read did not close');
    }
  }

  /** Guide, "Best Practices for HotAdd Transport": Cleanup, then the administrator. */
  private async mourn(error: unknown): Promise<void> {
    if (!isLeftByHotAdd(error, this.transportMode)) return;
    await this.access.cleanUp();
    this.access.options.warn(
      `${this.path} could not be detached from this machine, because its ESXi host is in maintenance mode: once the host has left it, remove the snapshot of the VM by hand if it is still there, and run this again.`,
    );
  }
}

function isLeftByHotAdd(error: unknown, transportMode: string): boolean {
  return transportMode === 'hotadd' && error instanceof VddkError && error.vixCode === SERVER_NOT_AVAILABLE;
}
