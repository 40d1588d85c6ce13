import { abortReason, type Logger, sleep, type XmlElement, withTimeout } from '../common/index.js';
import { faultError, isNotFound, readLocalizedFault, VsphereError } from './errors.js';
import type { PropertyReader } from './properties.js';
import type { CallArguments, CallOptions, VimSession } from './session.js';
import { type ManagedObject, referenceOf, soapReference } from './vim-xml.js';

/** One long poll; short enough that proxies between us and vCenter do not cut it. */
const POLL_SECONDS = 30;
const TASK_TIMEOUT_MS = 30 * 60_000;
const CLEANUP_TIMEOUT_MS = 10_000;
const MAX_PAUSE_MS = 15_000;

export interface TaskWait {
  /** `creating a snapshot of VM "web-1"`. */
  doing: string;
  subject?: string | undefined;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  onProgress?: (percent: number) => void;
  /** The task goes on although nobody waits: half a snapshot removal is worse than a late one. */
  uncancellable?: boolean;
}

interface TaskState {
  state: string | undefined;
  error: XmlElement | undefined;
}

/** Waits for vCenter's tasks by the property collector's updates; nothing here polls by sleeping. */
export class TaskWaiter {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly log: Logger,
  ) {}

  /** Starts a `…_Task` method and waits for its task; 30 minutes unless told otherwise. @returns and throws as `wait`. */
  async run(
    method: string,
    self: ManagedObject,
    args: CallArguments,
    options: CallOptions & { taskTimeoutMs?: number; uncancellable?: boolean },
  ): Promise<ManagedObject | undefined> {
    const { taskTimeoutMs, ...call } = options;
    const answer = await this.session.call(method, self, args, call);
    const task = referenceOf(answer.child('returnval'));
    if (task === undefined) {
      throw new VsphereError(`vCenter ${this.session.transport.name} accepted ${options.doing} and named no task.`, {
        code: 'INCOMPLETE_ANSWER',
        method,
      });
    }
    return this.wait(task, { ...call, timeoutMs: taskTimeoutMs ?? TASK_TIMEOUT_MS });
  }

  /**
   * @returns the task's result, where it is an object.
   * @throws VsphereError with the task's own fault; TimeoutError; the signal's reason. On the last two the task is cancelled where it can and may be.
   */
  async wait(task: ManagedObject, wait: TaskWait): Promise<ManagedObject | undefined> {
    const what = `On vCenter ${this.session.transport.name}, ${wait.doing}`;
    try {
      const error = await withTimeout(what, wait.timeoutMs, wait.signal, (signal) => this.follow(task, wait, signal));
      if (error !== undefined) throw this.fault(error, task, wait);
    } catch (error) {
      if (!(error instanceof VsphereError) && !wait.uncancellable) await this.cancel(task, wait.doing);
      throw error;
    }
    const info = await this.properties.read(task, ['info'], wait.doing, wait.subject, wait.signal);
    const result = info.get('info')?.child('result');
    return result?.attribute('type', '') === undefined ? undefined : referenceOf(result);
  }

  /** Waits for a task of anybody's to end, whatever its outcome; never cancels it. */
  async end(task: ManagedObject, wait: Pick<TaskWait, 'doing' | 'timeoutMs' | 'signal'>): Promise<void> {
    const what = `On vCenter ${this.session.transport.name}, ${wait.doing}`;
    await withTimeout(what, wait.timeoutMs, wait.signal, async (signal) => {
      try {
        await this.follow(task, wait, signal);
      } catch (error) {
        // vCenter forgets ended tasks after ten minutes.
        if (!(error instanceof VsphereError && (isNotFound(error) || error.code === 'TASK_VANISHED'))) throw error;
      }
    });
  }

  /** @returns the task's error, or undefined when it succeeded. */
  private async follow(task: ManagedObject, wait: TaskWait, signal: AbortSignal): Promise<XmlElement | undefined> {
    for (let lost = 1; ; lost += 1) {
      const generation = this.session.generation;
      try {
        return await this.watch(task, wait, signal);
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        // A collector lives in its session and its vCenter process; the task outlives both.
        const away = error instanceof VsphereError && (error.code === 'CONNECTION_LOST' || error.code === 'UNREACHABLE');
        const expired = error instanceof VsphereError && this.session.generation !== generation;
        if (!away && !expired) throw error;
        await sleep(Math.min(MAX_PAUSE_MS, 250 * 2 ** Math.min(lost, 8)), signal);
      }
    }
  }

  private async watch(task: ManagedObject, wait: TaskWait, signal: AbortSignal): Promise<XmlElement | undefined> {
    const { doing, subject } = wait;
    // A collector of its own: a second WaitForUpdatesEx on the same collector would end the first.
    const made = await this.session.call('CreatePropertyCollector', this.session.content.propertyCollector, {}, { doing, subject, signal });
    const collector = referenceOf(made.child('returnval'));
    if (collector === undefined) throw this.fault(undefined, task, wait);
    try {
      const spec = {
        propSet: { type: 'Task', all: false, pathSet: ['info.state', 'info.progress', 'info.error'] },
        objectSet: { obj: soapReference(task), skip: false },
      };
      await this.session.call('CreateFilter', collector, { spec, partialUpdates: false }, { doing, subject, signal });
      return await this.updates(task, collector, wait, signal);
    } finally {
      await this.destroy(collector);
    }
  }

  private async updates(
    task: ManagedObject,
    collector: ManagedObject,
    wait: TaskWait,
    signal: AbortSignal,
  ): Promise<XmlElement | undefined> {
    const known: TaskState = { state: undefined, error: undefined };
    let version = '';
    for (;;) {
      const answer = await this.session.call(
        'WaitForUpdatesEx',
        collector,
        { version, options: { maxWaitSeconds: POLL_SECONDS } },
        { doing: wait.doing, subject: wait.subject, signal, timeoutMs: (POLL_SECONDS + 60) * 1000, idempotent: true },
      );
      const updates = answer.child('returnval');
      if (updates === undefined) continue;
      version = updates.textAt('version') ?? version;
      for (const update of updates.childrenNamed('filterSet').flatMap((filter) => filter.childrenNamed('objectSet'))) {
        if (update.textAt('kind') === 'leave') throw this.vanished(task, wait);
        applyChanges(update, known, wait.onProgress);
      }
      if (known.state === 'success') return undefined;
      if (known.state === 'error') return known.error ?? (await this.readError(task, wait, signal));
    }
  }

  private async readError(task: ManagedObject, wait: TaskWait, signal: AbortSignal): Promise<XmlElement> {
    const info = await this.properties.read(task, ['info'], wait.doing, wait.subject, signal);
    const error = info.get('info')?.child('error');
    if (error === undefined) throw this.fault(undefined, task, wait);
    return error;
  }

  private fault(error: XmlElement | undefined, task: ManagedObject, wait: TaskWait): VsphereError {
    const fault = error ? readLocalizedFault(error) : { faultType: 'VimFault', message: 'no reason was given', invalidProperty: undefined };
    return faultError(fault, {
      doing: wait.doing,
      vcenter: this.session.transport.name,
      object: task.value,
      ...(wait.subject === undefined ? {} : { subject: wait.subject }),
    });
  }

  private vanished(task: ManagedObject, wait: TaskWait): VsphereError {
    return new VsphereError(`vCenter ${this.session.transport.name} lost the task of ${wait.doing}; look there for its outcome.`, {
      code: 'TASK_VANISHED',
      object: task.value,
      ...(wait.subject === undefined ? {} : { subject: wait.subject }),
    });
  }

  private async cancel(task: ManagedObject, doing: string): Promise<void> {
    try {
      await this.session.call('CancelTask', task, {}, { doing: `cancelling ${doing}`, timeoutMs: CLEANUP_TIMEOUT_MS });
    } catch (error) {
      // Most tasks cannot be cancelled (NotSupported); the caller's obligations cover what they leave.
      this.log.debug({ task: task.value, code: (error as VsphereError).code }, 'the vCenter task was not cancelled');
    }
  }

  /** Also ends a WaitForUpdatesEx that is still open on the server, and destroys the filter. */
  private async destroy(collector: ManagedObject): Promise<void> {
    try {
      await this.session.call('DestroyPropertyCollector', collector, {}, { doing: 'the end of a wait', timeoutMs: CLEANUP_TIMEOUT_MS });
    } catch (error) {
      if (!isNotFound(error)) this.log.debug({ code: (error as VsphereError).code }, 'a property collector was left to its session');
    }
  }
}

function applyChanges(update: XmlElement, known: TaskState, onProgress: ((percent: number) => void) | undefined): void {
  for (const change of update.childrenNamed('changeSet')) {
    const value = change.child('val');
    const name = change.textAt('name');
    if (name === 'info.state') known.state = value?.text();
    else if (name === 'info.error') known.error = value;
    else if (name === 'info.progress' && value !== undefined) onProgress?.(Number(value.text()));
  }
}
