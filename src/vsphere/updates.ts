import { abortReason, type Logger, sleep, TimeoutError, type XmlElement, withTimeout } from '../common/index.js';
import { defined, faultError, isNotFound, readLocalizedFault, VsphereError } from './errors.js';
import { sessionEndedIn } from './properties.js';
import { CLEANUP_TIMEOUT_MS, type VimSession } from './session.js';
import { isTrue, type ManagedObject, referenceOf, soapReference } from './vim-xml.js';

/** One long poll; short enough that most proxies between us and vCenter do not cut it. */
const POLL_SECONDS = 30;
/** A poll that answers nothing for so much longer than it may last has lost its connection without a word. */
const POLL_GRACE_MS = 60_000;
const MAX_PAUSE_MS = 15_000;

export interface UpdateWait {
  /** `creating a snapshot of VM "web-1"`. */
  doing: string;
  subject?: string | undefined;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** How it is told that the object has gone while it was watched; NOT_FOUND unless told otherwise. */
  vanished?: () => Error;
}

/** Properties by the paths they were asked for; an unset one is absent. */
export type KnownProperties = ReadonlyMap<string, XmlElement>;

/** Waits for what vCenter tells by WaitForUpdatesEx; it never looks again after a pause to see whether something has changed. */
export class UpdateWaiter {
  constructor(
    private readonly session: VimSession,
    private readonly log: Logger,
  ) {}

  /**
   * Waits until `decide` finds in the object's properties what it looks for. It sees them complete, first as they are
   * now and then after each change. Connections that break, sessions that end and a vCenter that starts anew are
   * outlived: the wait goes on with another collector, until its own timeout.
   * @throws VsphereError NOT_FOUND, or the fault of a property that cannot be read; TimeoutError; the signal's reason.
   */
  async until<T>(
    object: ManagedObject,
    paths: readonly string[],
    decide: (known: KnownProperties) => T | undefined,
    wait: UpdateWait,
  ): Promise<T> {
    const what = `On vCenter ${this.session.transport.name}, ${wait.doing}`;
    return withTimeout(what, wait.timeoutMs, wait.signal, (signal) => this.follow(object, paths, decide, { ...wait, signal }));
  }

  private async follow<T>(
    object: ManagedObject,
    paths: readonly string[],
    decide: (known: KnownProperties) => T | undefined,
    wait: UpdateWait & { signal: AbortSignal },
  ): Promise<T> {
    for (let lost = 1; ; lost += 1) {
      const { generation } = this.session;
      const startedMs = performance.now();
      try {
        return await this.watch(object, paths, decide, wait);
      } catch (error) {
        if (wait.signal.aborted) throw abortReason(wait.signal);
        // A collector lives in its session and its vCenter process; the object outlives both.
        if (!connectionFailed(error) && !(error instanceof VsphereError && this.session.generation !== generation)) throw error;
        if (performance.now() - startedMs > POLL_SECONDS * 1000) lost = 1;
        await sleep(Math.min(MAX_PAUSE_MS, 250 * 2 ** Math.min(lost, 8)), wait.signal);
      }
    }
  }

  private async watch<T>(
    object: ManagedObject,
    paths: readonly string[],
    decide: (known: KnownProperties) => T | undefined,
    wait: UpdateWait & { signal: AbortSignal },
  ): Promise<T> {
    const { doing, subject, signal } = wait;
    const call = { doing, subject, signal };
    // A collector of its own: a second WaitForUpdatesEx on the same collector would end the first.
    const made = await this.session.call('CreatePropertyCollector', this.session.content.propertyCollector, {}, call);
    const collector = referenceOf(made.child('returnval'));
    if (collector === undefined) {
      throw new VsphereError(`vCenter ${this.session.transport.name} made no property collector for ${doing}.`, {
        code: 'INCOMPLETE_ANSWER',
      });
    }
    try {
      const spec = {
        propSet: { type: object.type, all: false, pathSet: [...paths] },
        objectSet: { obj: soapReference(object), skip: false },
      };
      await this.session.call('CreateFilter', collector, { spec, partialUpdates: false }, call);
      return await this.updates(object, collector, decide, wait);
    } finally {
      await this.destroy(collector);
    }
  }

  private async updates<T>(
    object: ManagedObject,
    collector: ManagedObject,
    decide: (known: KnownProperties) => T | undefined,
    wait: UpdateWait & { signal: AbortSignal },
  ): Promise<T> {
    const known = new Map<string, XmlElement>();
    let version = '';
    for (;;) {
      const updates = await this.poll(collector, version, wait);
      if (updates === 'begin anew') {
        version = '';
        known.clear();
        continue;
      }
      // A poll that ended without news has no return value; its version goes on being valid.
      if (updates === undefined) continue;
      version = updates.textAt('version') ?? version;
      for (const update of updates.childrenNamed('filterSet').flatMap((filter) => filter.childrenNamed('objectSet'))) {
        this.apply(update, known, object, wait);
      }
      // The rest of one consistent set comes with the next call (UpdateSet.truncated).
      if (isTrue(updates.child('truncated'))) continue;
      const found = decide(known);
      if (found !== undefined) return found;
    }
  }

  /** `begin anew`: vCenter has forgotten the version, and tells everything again from the empty one on. */
  private async poll(
    collector: ManagedObject,
    version: string,
    { doing, subject, signal }: UpdateWait & { signal: AbortSignal },
  ): Promise<XmlElement | 'begin anew' | undefined> {
    try {
      const answer = await this.session.call(
        'WaitForUpdatesEx',
        collector,
        { version, options: { maxWaitSeconds: POLL_SECONDS } },
        // Repeating it with the same version is safe: vCenter keeps the last set until a newer version is named.
        {
          ...{ doing, subject, signal, timeoutMs: POLL_SECONDS * 1000 + POLL_GRACE_MS },
          ...{ idempotent: true, longPoll: true, faultIn: sessionEndedIn },
        },
      );
      return answer.child('returnval');
    } catch (error) {
      if (version !== '' && error instanceof VsphereError && error.faultType === 'InvalidCollectorVersion') return 'begin anew';
      throw error;
    }
  }

  private apply(update: XmlElement, known: Map<string, XmlElement>, object: ManagedObject, wait: UpdateWait): void {
    const { doing, subject } = wait;
    const context = { doing, vcenter: this.session.transport.name, object: object.value, ...defined({ subject }) };
    if (update.textAt('kind') === 'leave') {
      throw wait.vanished?.() ?? faultError({ faultType: 'ManagedObjectNotFound', message: '', invalidProperty: undefined }, context);
    }
    for (const change of update.childrenNamed('changeSet')) {
      const name = change.textAt('name') ?? '';
      const value = change.child('val');
      if (value === undefined) known.delete(name);
      else known.set(name, value);
    }
    const fault = update.child('missingSet')?.child('fault');
    if (fault !== undefined) throw faultError(readLocalizedFault(fault), context);
  }

  /** Destroys the collector's filter too, and ends a WaitForUpdatesEx that is still open on the server. */
  private async destroy(collector: ManagedObject): Promise<void> {
    try {
      await this.session.call('DestroyPropertyCollector', collector, {}, { doing: 'the end of a wait', timeoutMs: CLEANUP_TIMEOUT_MS });
    } catch (error) {
      if (!isNotFound(error)) this.log.debug({ code: (error as VsphereError).code }, 'a property collector was left to its session');
    }
  }
}

/** A timeout is that of one poll: the wait's own aborts its signal, which was asked first. */
function connectionFailed(error: unknown): boolean {
  return (
    error instanceof TimeoutError || (error instanceof VsphereError && (error.code === 'CONNECTION_LOST' || error.code === 'UNREACHABLE'))
  );
}
