import type { Logger } from '../common/index.js';
import type { VddkSettings } from './types.js';
import { withHost } from './vddk-host.js';

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
export function inspectVddk(settings: VddkSettings, options: { log: Logger; signal?: AbortSignal }): Promise<VddkInstallation> {
  return withHost(settings, options, async ({ libraryVersion, libraryFile, transportModes }) => ({
    version: libraryVersion,
    libraryFile,
    transportModes,
  }));
}
