import type { Logger } from '../common/index.js';
import type { OpenDiskPermits } from './open-disk-permits.js';
import type { Transport } from './transport-rules.js';
import type { Compression, VddkConnectionApi, VddkSettings, VixDiskTarget, VixTarget } from './types.js';
import type { VddkHost } from './vddk-host.js';
import type { RetryRule, VixRetry } from './vix-codes.js';

/** Which transports a run may use. */
export interface TransportPolicy {
  /** In order of preference. */
  modes: readonly Transport[];
  /** What becomes of a disk that VDDK opens by another transport than those. */
  fallback: 'allow' | 'refuse';
  /** Of NBD and NBDSSL. */
  compression: Compression;
}

export interface DiskAccessOptions {
  settings: VddkSettings;
  transport: TransportPolicy;
  /** Asked before every connection: a session that was renewed has another cookie. */
  target: () => VixTarget | VixDiskTarget;
  /** Makes sure that the session behind `target` lives. */
  renewSession: (signal: AbortSignal) => Promise<void>;
  readOnly: boolean;
  snapshotMoRef?: string;
  limits: OpenDiskPermits;
  /** Whom the limits are of. */
  vcenterInstanceUuid: string;
  esxiHostMoRef: string | undefined;
  /** After each Cleanup, which may have ended what another process of this service had prepared for access. */
  afterCleanup?: () => Promise<void>;
  /** For the people who read the run's report. */
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/** A host process and what was opened in it; replaced as a whole when something in it fails. */
export interface LiveHost {
  readonly host: VddkHost;
  /** By transport modes. */
  readonly connections: Map<string, Promise<VddkConnectionApi>>;
}

/** What one disk needs of the access it belongs to. */
export interface LiveHosts {
  readonly options: DiskAccessOptions;
  /** The host of the moment: another promise when it was replaced. */
  readonly moment: Promise<LiveHost>;
  steadily<T>(work: (live: LiveHost) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** A new host in place of `failed`, unless somebody replaced that one already. */
  renew(failed: Promise<LiveHost>, kind: VixRetry, cause: unknown): Promise<void>;
  rule(kind: VixRetry): RetryRule;
  connection(live: LiveHost, modes: string): Promise<VddkConnectionApi>;
  noteTransport(transportMode: string): void;
  /** Gives back what HotAdd left on this machine; never throws. */
  cleanUp(): Promise<void>;
}
