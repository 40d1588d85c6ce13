import { type Logger, sleep } from '../common/index.js';
import type { VddkSettings, VixTarget } from './types.js';
import { withTries } from './tries.js';
import { VddkError } from './vddk-error.js';
import { forCallsAlone, VddkHost } from './vddk-host.js';
import type { RetryRule } from './vix-codes.js';

/** "waits up to 10 minutes for Storage vMotion to finish": ten tries, a minute apart (guide, PrepareForAccess). */
export const MIGRATION_WAIT: RetryRule = { attempts: 10, delayMs: 60_000 };
/** A library that waits itself is not asked for longer. */
const MIGRATION_LIMIT_MS = 10 * 60_000;
/** How a method that vCenter has disabled already, or a disk that moves, may show: the guide's sample waits whatever the error. */
const PERHAPS_MOVING = new Set(['VIX_FAIL', 'VIX_OBJECT_BUSY', 'VIX_FILE_LOCKED', 'VIX_ERROR']);

export interface AccessRequest {
  settings: VddkSettings;
  /** Asked before every call: a session that was renewed has another cookie. */
  target: () => VixTarget;
  /** Makes sure that the session behind `target` lives. */
  renewSession: (signal: AbortSignal) => Promise<void>;
  /** At most 50 characters; EndAccess has the same. */
  identity: string;
  log: Logger;
  signal: AbortSignal;
}

/** The VMs that one run keeps where they are, by identity, and the process that does it. */
interface Holder {
  host: Promise<VddkHost> | undefined;
  readonly held: Map<string, AccessRequest>;
}

/**
 * PrepareForAccess and EndAccess of this process's runs. The host that prepared for access lives until its run lets go:
 * Cleanup, which HotAdd needs after each VM, ends the access of processes that are gone, and so would let vMotion have
 * VMs that are still being copied.
 */
export class AccessHosts {
  private readonly holders = new Map<string, Holder>();

  /**
   * Keeps a VM where it is, after waiting for what moves it now. EndAccess is owed from the call on, whatever comes of it
   * (guide, "Behavior of FCD with vMotion").
   * @param owner whose `letGo` ends the process
   * @throws VddkError
   */
  async prepare(owner: string, request: AccessRequest): Promise<void> {
    const holder = this.holders.get(owner) ?? { host: undefined, held: new Map() };
    this.holders.set(owner, holder);
    holder.held.set(request.identity, request);
    await untilMoved(() => prepareOn(holder, request), request);
  }

  /**
   * Lets a VM be moved again: by the process that prepared it, or by another where that is gone, or another worker's.
   * @throws VddkError
   */
  async end(request: AccessRequest): Promise<void> {
    const known = [...this.holders.values()].find(({ held }) => held.has(request.identity));
    const holder = known ?? { host: undefined, held: new Map() };
    const { settings, identity, signal } = request;
    try {
      await withTries(async () => (await liveHost(holder, request)).endAccess(request.target(), identity, signal), {
        retries: settings.retries,
        ...request,
      });
      holder.held.delete(identity);
    } finally {
      if (known === undefined) await stop(holder);
    }
  }

  /** After a Cleanup: what a host of ours held that had died is held anew. A failure is logged: the copy may succeed all the same. */
  async holdAgain(): Promise<void> {
    for (const holder of this.holders.values()) {
      const host = await holder.host?.catch(() => undefined);
      if (host === undefined || host.isAlive) continue;
      for (const request of holder.held.values()) {
        try {
          await prepareOn(holder, request);
        } catch (error) {
          request.log.warn(
            { error, identity: request.identity },
            'a VM may be moved while it is copied: it could not be prepared for access anew',
          );
        }
      }
      // Its owner let go meanwhile, and could not end a process that was not there yet.
      if (![...this.holders.values()].includes(holder)) await stop(holder);
    }
  }

  /** Ends the process of an owner; never throws. What it had prepared stays so until somebody calls `end`. */
  async letGo(owner: string): Promise<void> {
    const holder = this.holders.get(owner);
    this.holders.delete(owner);
    holder?.held.clear();
    if (holder !== undefined) await stop(holder);
  }
}

function prepareOn(holder: Holder, request: AccessRequest): Promise<void> {
  const { settings, identity, signal } = request;
  const prepare = async () => {
    const host = await liveHost(holder, request);
    // Access may have been ended while the process was started, or between two tries: nobody would end it again.
    if (holder.held.get(identity) === request) await host.prepareForAccess(request.target(), identity, signal);
  };
  return withTries(prepare, { retries: settings.retries, except: mayBeMoving, ...request });
}

/** The holder's process, or another one where that has ended. It carries no data, so it has next to no memory. */
async function liveHost(holder: Holder, { settings, log, signal }: AccessRequest): Promise<VddkHost> {
  const before = holder.host;
  const host = await before?.catch(() => undefined);
  if (host?.isAlive === true) return host;
  await host?.stop();
  // Whoever came first has started it.
  if (holder.host === before) holder.host = VddkHost.start(forCallsAlone(settings), { log, signal });
  return holder.host as Promise<VddkHost>;
}

async function stop(holder: Holder): Promise<void> {
  const host = await holder.host?.catch(() => undefined);
  await host?.stop();
}

async function untilMoved(prepare: () => Promise<void>, { settings, log, signal, identity }: AccessRequest): Promise<void> {
  const { attempts, delayMs } = settings.migrationWait ?? MIGRATION_WAIT;
  const startedMs = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await prepare();
    } catch (error) {
      if (!mayBeMoving(error) || attempt >= attempts || performance.now() - startedMs > MIGRATION_LIMIT_MS) throw error;
      log.info({ error, identity }, 'waiting for what may be moving the VM');
      await sleep(delayMs, signal);
    }
  }
}

function mayBeMoving(error: unknown): boolean {
  return error instanceof VddkError && PERHAPS_MOVING.has(error.code);
}
