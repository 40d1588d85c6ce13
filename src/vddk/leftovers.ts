import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason, type Logger, throwIfAborted, withTimeout } from '../common/index.js';
import type { VddkSettings, VixTarget } from './types.js';
import { withHost } from './vddk-host.js';

/** Cleanup talks to vCenter about each VM it finds traces of. */
const CLEANUP_TIMEOUT_MS = 2 * 60_000;
const CONFIGURATION_FILE = /^vddk-(\d+)-[0-9a-f]+\.conf$/;

/**
 * What killed processes left behind on this machine: attached disks, and files below the temporary folder. Looked for once
 * per vCenter and process, before its first disk is opened, because later somebody's disks may be attached.
 */
export class Leftovers {
  private readonly looked = new Map<string, Promise<void>>();

  /**
   * A failure is logged: a copy can succeed beside leftovers, and the next start looks again.
   * @throws the reason of `signal`, which ends the wait and not the work: others wait for it, too.
   */
  cleanUpOnce(
    vcenterInstanceUuid: string,
    settings: VddkSettings,
    target: () => VixTarget,
    log: Logger,
    signal?: AbortSignal,
  ): Promise<void> {
    const key = vcenterInstanceUuid.toLowerCase();
    let looking = this.looked.get(key);
    if (looking === undefined) {
      looking = cleanUp(settings, target, log).catch((error: unknown) => {
        log.warn({ error, vcenterInstanceUuid }, 'what earlier copies left behind could not be cleaned up');
      });
      this.looked.set(key, looking);
    }
    return unlessAborted(looking, signal);
  }
}

async function unlessAborted(looking: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return looking;
  throwIfAborted(signal);
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([looking, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

async function cleanUp(settings: VddkSettings, target: () => VixTarget, log: Logger): Promise<void> {
  if (!(await hasLeftovers(settings.temporaryDir))) return;
  await withTimeout('Cleaning up after earlier copies', CLEANUP_TIMEOUT_MS, undefined, (signal) =>
    withHost(settings, { log, signal }, async (host) => {
      const counts = await host.cleanup(target(), signal);
      log.info({ ...counts, folder: settings.temporaryDir }, 'cleaned up after earlier copies');
    }),
  );
}

/** VDDK keeps its state of each VM in folders of its own. Configuration files of processes that are gone are removed here. */
async function hasLeftovers(temporaryDir: string): Promise<boolean> {
  const names = await readdir(temporaryDir).catch(() => []);
  let found = false;
  for (const name of names) {
    const pid = CONFIGURATION_FILE.exec(name)?.[1];
    if (pid === undefined) found = true;
    else if (!isAlive(Number(pid))) await rm(join(temporaryDir, name), { force: true });
  }
  return found;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
