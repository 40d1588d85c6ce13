import type { Extent } from '../disk/index.js';
import type { RetryRule, VixRetry } from './vix-codes.js';

/** How this machine runs VDDK. */
export interface VddkSettings {
  /** VMware's distribution root: lib64/libvixDiskLib.so.N lies below it. */
  libraryDir: string;
  /** tmpDirectory of the InitEx configuration file; stable per worker, or Cleanup cannot find leftovers. */
  temporaryDir: string;
  /** vixDiskLib.nfcAio.Session.BufSizeIn64KB and BufCount. */
  nfcAioBufferSizeIn64KiB: number;
  nfcAioBufferCount: number;
  /** Reads or writes in flight on one disk. */
  ioDepth: number;
  /** Largest single request; 2 MiB through vCenter. */
  maxRequestBytes: number;
  /** Shared memory between a host and its worker. Must hold at least ioDepth requests. */
  memoryBytes: number;
  /** No answer of the host for this long (PrepareForAccess excepted: ten minutes) kills it. */
  operationTimeoutMs: number;
  /** Further keys of the InitEx configuration file; absent ones have the guide's value. */
  library?: VddkLibrarySettings;
  /** The clouds are of VMware Cloud: HotAdd alone, without an NFC session, and no PrepareForAccess (6.7 release notes). */
  vmwareCloud?: boolean;
  /** Other counts and delays than RETRIES has. */
  retries?: Partial<Record<VixRetry, RetryRule>>;
  /** How PrepareForAccess waits for a migration; MIGRATION_WAIT where it is absent. */
  migrationWait?: RetryRule;
  /** How long a cancelled run waits for a Close, a Disconnect or another process's start, and how long for a Cleanup. */
  hurry?: { closeMs: number; cleanupMs: number };
}

/** InitEx configuration file (guide, chapter 4, "Initialize Virtual Disk API"). */
export interface VddkLibrarySettings {
  /** vixDiskLib.transport.LogLevel, 0 (panic) … 6 (trivia). */
  transportLogLevel?: number;
  /** vixDiskLib.nfc.LogLevel, 0 (quiet) … 4 (debug). */
  nfcLogLevel?: number;
  nfcAcceptTimeoutMs?: number;
  nfcRequestTimeoutMs?: number;
  nfcReadTimeoutMs?: number;
  nfcWriteTimeoutMs?: number;
  /** 0 waits for ever. */
  nfcFileSystemTimeoutMs?: number;
  nfcFileSystemWriteTimeoutMs?: number;
  /** Device node paths, separated by commas, where SAN transport looks for no VMFS; "all" leaves the allow list alone. */
  sanDenyList?: string | undefined;
  sanAllowList?: string | undefined;
  /** Caching of what is read; off, because a copy reads everything once. */
  enableCache?: boolean;
  /** FIPS validated cryptography. */
  enableFips?: boolean;
  /** VMware Cloud: only HotAdd, and no NFC session beside it (6.7 release notes). */
  hotAddWithoutNfc?: boolean;
  /** Name and version told to VMware where the customer takes part in CEIP; absent: nothing is told. */
  phoneHome?: { productName: string; productVersion: string; databaseDir?: string | undefined } | undefined;
}

/** How a vCenter is reached, and as whom. */
export interface VixServer {
  host: string;
  /** vCenter's HTTPS port. */
  port: number;
  /** SHA-1 of vCenter's certificate, colon-separated. */
  thumbprint: string;
  credentials: { kind: 'session'; cookie: string; userName: string } | { kind: 'password'; userName: string; password: string };
}

/** The disks of one VM. */
export interface VixTarget extends VixServer {
  vmMoRef: string;
}

/** VixDiskLibVStorageObjectSpec: a first class disk without a VM (guide, "First Class Disk (FCD) Backup"); needs VDDK 6.7. */
export interface VixDiskTarget extends VixServer {
  storageObject: {
    /** UUID */
    id: string;
    datastoreMoRef: string;
    /** The disk as that snapshot froze it; without it as it is now, which alone can be written. */
    snapshotId?: string;
  };
}

export type Compression = 'none' | 'zlib' | 'fastlz' | 'skipz';

export interface IoRequest {
  /** On the disk; a multiple of 512. */
  offsetBytes: number;
  /** A multiple of 512, at most maxRequestBytes. */
  lengthBytes: number;
  /** Where in the host's shared memory. */
  memoryOffset: number;
}

/** One process with VDDK loaded; one per VM being copied. Every failure is a VddkError. */
export interface VddkHostApi {
  /** Shared with the host process: reads land here, writes are taken from here. */
  readonly memory: Buffer;
  readonly libraryVersion: string;
  /** Waits up to ten minutes while Storage vMotion runs (guide, PrepareForAccess). */
  prepareForAccess(target: VixTarget, identity: string, signal?: AbortSignal): Promise<void>;
  endAccess(target: VixTarget, identity: string, signal?: AbortSignal): Promise<void>;
  /**
   * Removes what a crashed process left; answers counts.
   * @param hurry once it fires, the process is ended where this takes longer than a minute.
   */
  cleanup(target: VixServer, signal?: AbortSignal, hurry?: AbortSignal): Promise<{ cleaned: number; remaining: number }>;
  connect(
    target: VixTarget | VixDiskTarget,
    options: { readOnly: boolean; snapshotMoRef?: string; transportModes: string },
    signal?: AbortSignal,
  ): Promise<VddkConnectionApi>;
  /** Ends the process and frees the memory; never throws; safe to call twice. */
  stop(): Promise<void>;
}

export interface OpenDiskOptions {
  /** Over NBD and NBDSSL only. */
  compression?: Compression;
  /** "VMware recommends … before performing a restore with HotAdd transport"; memory must be aligned to sectors (6.7 release notes). */
  unbuffered?: boolean;
}

export interface VddkConnectionApi {
  /**
   * @param path "[datastore] folder/disk.vmdk" as in the snapshot's own backing; VDDK passes it over where the target is a first
   *   class disk, whose id is as good as any
   */
  openDisk(path: string, options: OpenDiskOptions, signal?: AbortSignal): Promise<VddkDiskApi>;
  /** @param hurry as that of Close */
  disconnect(hurry?: AbortSignal): Promise<void>;
}

export type OnWidened = (widenedBytes: number) => void;

export interface VddkDiskApi {
  readonly path: string;
  readonly capacityBytes: number;
  /** The transport really used, read after Open. */
  readonly transportMode: string;
  /** DDB entries (GetMetadataKeys / ReadMetadata). */
  metadata(signal?: AbortSignal): Promise<Record<string, string>>;
  writeMetadata(entries: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void>;
  /**
   * Allocated extents; undefined when this library or disk cannot tell (the caller then reads all).
   * The tail below one 64 KiB unit cannot be asked and counts as allocated. Of more than MOST_EXTENTS those with the smallest
   * gaps are merged, and the gaps count as allocated, too.
   * @param onWidened called with the bytes of those gaps, where there are any.
   */
  queryAllocated(signal?: AbortSignal, onWidened?: OnWidened): Promise<Extent[] | undefined>;
  /** Starts all requests (the host keeps ioDepth of them in flight) and resolves when all are done. */
  read(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void>;
  write(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void>;
  /** Durable on the datastore. */
  flush(signal?: AbortSignal): Promise<void>;
  /**
   * Waits for outstanding I/O first.
   * @param hurry once it fires, the disk is given up where closing it takes longer than some seconds.
   */
  close(hurry?: AbortSignal): Promise<void>;
}
