import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Logger, MIB, Semaphore, throwIfAborted } from '../common/index.js';
import { createSharedMemory, type SharedMemory } from '../native/index.js';
import { checkSettings, writeConfigurationFile } from './configuration-file.js';
import { PROTOCOL_VERSION } from './frames.js';
import { type Answer, builtHostExecutable, HostProcess } from './host-process.js';
import type {
  Compression,
  OpenDiskOptions,
  VddkConnectionApi,
  VddkHostApi,
  VddkSettings,
  VixDiskTarget,
  VixServer,
  VixTarget,
} from './types.js';
import { VddkError } from './vddk-error.js';
import { type HostCallOptions, type HostCalls, VddkDisk } from './vddk-disk.js';

/** Storage vMotion may hold PrepareForAccess back; the library itself waits this long (guide). */
const PREPARE_TIMEOUT_MS = 11 * 60_000;

/** Cleanup talks to vCenter about each VM; what a cancelled run leaves then is looked for at the next start. */
const CLEANUP_HURRY_MS = 60_000;

const OPEN_UNBUFFERED = 1;
const OPEN_READ_ONLY = 4;
const COMPRESSION_FLAGS: Record<Compression, number> = { none: 0, zlib: 16, fastlz: 32, skipz: 64 };

export interface VddkHostOptions {
  log: Logger;
  /** Ends the start, not the host. */
  signal?: AbortSignal;
  /** Of a start that is to be carried out all the same: once it fires, nobody waits long for it. */
  hurry?: AbortSignal;
  /** The vddk-host to run; by default the one of native/build. */
  executable?: string;
  /** Outlives the host; by default the host has its own. */
  memory?: SharedMemory;
}

/** VMware Cloud refuses it to its customers, and says to go on (6.7 release notes, VIX_E_HOST_USER_PERMISSIONS). */
const USER_PERMISSIONS = 3014;

export class VddkHost implements VddkHostApi, HostCalls {
  private readonly designatedThread = new Semaphore(1);
  private stopped: Promise<void> | undefined;
  libraryVersion = '';
  /** The libvixDiskLib.so.N that was loaded. */
  libraryFile = '';
  /** VixDiskLib_ListTransportModes; undefined where the library does not tell. */
  transportModes: string[] | undefined;

  private constructor(
    readonly settings: VddkSettings,
    readonly process: HostProcess,
    private readonly shared: SharedMemory,
    private readonly ownsMemory: boolean,
    private readonly configurationFile: string,
    private readonly log: Logger,
  ) {}

  /**
   * Starts a vddk-host and loads VDDK into it.
   * @throws VddkError when the settings cannot work, or the library does not load or initialize.
   */
  static async start(settings: VddkSettings, options: VddkHostOptions): Promise<VddkHost> {
    checkSettings(settings);
    throwIfAborted(options.signal);
    const executable = options.executable ?? builtHostExecutable();
    const configurationFile = await writeConfigurationFile(settings);
    let shared: SharedMemory | undefined;
    let host: VddkHost | undefined;
    try {
      shared = options.memory ?? createSharedMemory(settings.memoryBytes);
      const { libraryDir, temporaryDir } = settings;
      const process = new HostProcess(executable, { libraryDir, temporaryDir, memoryFd: shared.fd }, options.log);
      host = new VddkHost(settings, process, shared, options.memory === undefined, configurationFile, options.log);
      await host.initialize(options);
      return host;
    } catch (error) {
      if (host) await host.stop();
      else await rm(configurationFile, { force: true });
      if (!host && options.memory === undefined) shared?.close();
      throw error;
    }
  }

  get memory(): Buffer {
    return this.shared.buffer;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Whether it can still be asked. */
  get isAlive(): boolean {
    return this.process.isAlive;
  }

  /** Nothing of it writes to the memory any more; false while it runs, and where killing it did not end it. */
  get isReaped(): boolean {
    return this.process.isReaped;
  }

  private async initialize({ signal, hurry }: VddkHostOptions): Promise<void> {
    const { libraryDir, ioDepth, maxRequestBytes } = this.settings;
    const request = { op: 'hello', version: PROTOCOL_VERSION, libraryDir, configFile: this.configurationFile, ioDepth, maxRequestBytes };
    const options = { activity: `start from ${libraryDir}`, subject: libraryDir, ...inHaste(this.settings, hurry) };
    const answer = await this.call(request, options, signal);
    this.libraryFile = String(answer.libraryFile);
    const modes = typeof answer.transportModes === 'string' ? answer.transportModes : '';
    this.transportModes = modes === '' ? undefined : modes.split(':');
    // Only VDDK itself says which release it is; another library is known by its file.
    this.libraryVersion = String(answer.libraryVersion ?? '') || basename(this.libraryFile);
  }

  async prepareForAccess(target: VixTarget, identity: string, signal?: AbortSignal): Promise<void> {
    const activity = `prepare ${target.vmMoRef} on ${target.host} for access`;
    const timeoutMs = Math.max(this.settings.operationTimeoutMs, PREPARE_TIMEOUT_MS);
    const options = { activity, subject: target.vmMoRef, timeoutMs };
    await this.unlessForbidden(() => this.call({ op: 'prepareForAccess', target, identity }, options, signal));
  }

  async endAccess(target: VixTarget, identity: string, signal?: AbortSignal): Promise<void> {
    const activity = `end access to ${target.vmMoRef} on ${target.host}`;
    await this.unlessForbidden(() => this.call({ op: 'endAccess', target, identity }, { activity, subject: target.vmMoRef }, signal));
  }

  private async unlessForbidden(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(this.settings.vmwareCloud === true && error instanceof VddkError && error.vixCode === USER_PERMISSIONS)) throw error;
      this.log.info({ vddk: error.message }, 'passed over, as VMware Cloud wants it');
    }
  }

  async cleanup(target: VixServer, signal?: AbortSignal, hurry?: AbortSignal): Promise<{ cleaned: number; remaining: number }> {
    const activity = `clean up after earlier copies on ${target.host}`;
    const hurryMs = this.settings.hurry?.cleanupMs ?? CLEANUP_HURRY_MS;
    const answer = await this.call({ op: 'cleanup', target }, { activity, subject: target.host, hurry, hurryMs }, signal);
    return { cleaned: Number(answer.cleaned), remaining: Number(answer.remaining) };
  }

  connect(
    target: VixTarget | VixDiskTarget,
    options: { readOnly: boolean; snapshotMoRef?: string; transportModes: string },
    signal?: AbortSignal,
  ): Promise<VddkConnectionApi> {
    const request = { target, readOnly: options.readOnly, snapshot: options.snapshotMoRef ?? null, transportModes: options.transportModes };
    const subject = 'storageObject' in target ? `first class disk ${target.storageObject.id}` : target.vmMoRef;
    return this.openConnection(request, `connect to ${target.host}:${target.port} for ${subject}`, subject, signal);
  }

  /** VDDK's hosted mode: openDisk then takes absolute paths of VMDK files on this machine. */
  connectHosted(options: { readOnly: boolean }, signal?: AbortSignal): Promise<VddkConnectionApi> {
    const request = { target: null, readOnly: options.readOnly, snapshot: null, transportModes: 'file' };
    return this.openConnection(request, 'open local disks', 'this machine', signal);
  }

  private async openConnection(request: object, activity: string, subject: string, signal?: AbortSignal): Promise<VddkConnection> {
    const { readOnly } = request as { readOnly: boolean };
    const late = { activity: 'disconnect', ...inHaste(this.settings, signal) };
    const disconnect = (answer: Answer) => this.call({ op: 'disconnect', connection: answer.connection }, late).catch(() => undefined);
    const answer = await this.call({ op: 'connect', ...request }, { activity, subject }, signal, disconnect);
    return new VddkConnection(this, String(answer.connection), readOnly);
  }

  /** One call on the library's designated thread; its time starts when its turn comes. */
  async call(request: object, options: HostCallOptions, signal?: AbortSignal, onLate?: (answer: Answer) => void): Promise<Answer> {
    const { timeoutMs = this.settings.operationTimeoutMs, onSettled, ...rest } = options;
    const release = await this.designatedThread.acquire(signal).catch((error: unknown) => {
      onSettled?.();
      throw error;
    });
    const settled = () => {
      release();
      onSettled?.();
    };
    return this.process.call(request, { ...rest, timeoutMs, onSettled: settled }, signal, onLate);
  }

  stop(): Promise<void> {
    this.stopped ??= this.end();
    return this.stopped;
  }

  private async end(): Promise<void> {
    await this.process.stop(this.libraryVersion !== '');
    if (this.ownsMemory) this.shared.close();
    // A file left behind holds no secret and does no harm.
    await rm(this.configurationFile, { force: true }).catch(() => undefined);
  }
}

/** Settings of a host that carries no data: next to no memory. */
export function forCallsAlone(settings: VddkSettings): VddkSettings {
  return { ...settings, ioDepth: 1, maxRequestBytes: MIB, memoryBytes: MIB };
}

/** One host for calls that carry no data, ended when `work` is. @throws VddkError where it does not start; what `work` throws. */
export async function withHost<T>(settings: VddkSettings, options: VddkHostOptions, work: (host: VddkHost) => Promise<T>): Promise<T> {
  const host = await VddkHost.start(forCallsAlone(settings), options);
  try {
    return await work(host);
  } finally {
    await host.stop();
  }
}

/** Of a call that gives something back. */
function inHaste({ hurry: times }: VddkSettings, hurry: AbortSignal | undefined): Pick<HostCallOptions, 'hurry' | 'hurryMs'> {
  return { hurry, hurryMs: times?.closeMs };
}

class VddkConnection implements VddkConnectionApi {
  private disconnecting: Promise<void> | undefined;

  constructor(
    private readonly host: HostCalls,
    private readonly number: string,
    private readonly readOnly: boolean,
  ) {}

  async openDisk(path: string, options: OpenDiskOptions, signal?: AbortSignal): Promise<VddkDisk> {
    const flags =
      (this.readOnly ? OPEN_READ_ONLY : 0) +
      (options.unbuffered === true ? OPEN_UNBUFFERED : 0) +
      COMPRESSION_FLAGS[options.compression ?? 'none'];
    const close = (answer: Answer) => this.close(answer, signal).catch(() => undefined);
    const request = { op: 'open', connection: this.number, path, flags };
    const answer = await this.host.call(request, { activity: `open ${path}`, subject: path }, signal, close);
    try {
      return new VddkDisk(this.host, path, answer);
    } catch (error) {
      await this.close(answer, signal);
      throw error;
    }
  }

  /** Closes the disks that are still open, too. Safe to call twice. */
  disconnect(hurry?: AbortSignal): Promise<void> {
    const options = { activity: 'disconnect', ...inHaste(this.host.settings, hurry) };
    this.disconnecting ??= this.host.call({ op: 'disconnect', connection: this.number }, options).then(() => undefined);
    return this.disconnecting;
  }

  private async close(opened: Answer, hurry: AbortSignal | undefined): Promise<void> {
    await this.host.call({ op: 'close', disk: opened.disk }, { activity: 'close a disk', ...inHaste(this.host.settings, hurry) });
  }
}
