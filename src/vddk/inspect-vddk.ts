import { type Logger, MIB } from '../common/index.js';
import type { VddkSettings } from './types.js';
import { VddkHost } from './vddk-host.js';

export interface VddkInstallation {
  /** "8.0.0", or the library's file name where it does not say. */
  version: string;
  libraryFile: string;
  /** What it can carry disks by; undefined where it does not tell. */
  transportModes: string[] | undefined;
}

/**
 * Loads and initializes VDDK once, for the start of the service and its readiness.
 * @throws VddkError saying what is missing.
 */
export async function inspectVddk(settings: VddkSettings, options: { log: Logger; signal?: AbortSignal }): Promise<VddkInstallation> {
  const host = await VddkHost.start({ ...settings, ioDepth: 1, maxRequestBytes: MIB, memoryBytes: MIB }, options);
  try {
    return { version: host.libraryVersion, libraryFile: host.libraryFile, transportModes: host.transportModes };
  } finally {
    await host.stop();
  }
}
