import type { Logger, XmlElement } from '../common/index.js';
import { defined, faultError, isNotFound, readLocalizedFault, VsphereError } from './errors.js';
import type { PropertyReader } from './properties.js';
import { type CallArguments, type CallOptions, CLEANUP_TIMEOUT_MS, type VimSession } from './session.js';
import type { KnownProperties, UpdateWait, UpdateWaiter } from './updates.js';
import { type ManagedObject, referenceOf } from './vim-xml.js';

const TASK_TIMEOUT_MS = 30 * 60_000;

export interface TaskWait extends Omit<UpdateWait, 'vanished'> {
  /** The task goes on although nobody waits: half a snapshot removal is worse than a late one. */
  uncancellable?: boolean;
}

/** How a task ended. An error without reason is told as one. */
type TaskEnd = { state: 'success' } | { state: 'error'; error: XmlElement | undefined };

/** Starts vCenter's tasks and waits for their end, by updates. */
export class TaskWaiter {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly updates: UpdateWaiter,
    private readonly log: Logger,
  ) {}

  /** Starts a `…_Task` method and waits for its task; 30 minutes unless told otherwise. @returns and throws as `wait`. */
  async run(
    method: string,
    self: ManagedObject,
    args: CallArguments,
    options: CallOptions & { taskTimeoutMs?: number; uncancellable?: boolean },
  ): Promise<ManagedObject | undefined> {
    return objectOf(await this.runForResult(method, self, args, options));
  }

  /** As `run`, for tasks whose result is no object but data: the element `result` of TaskInfo. */
  async runForResult(
    method: string,
    self: ManagedObject,
    args: CallArguments,
    options: CallOptions & { taskTimeoutMs?: number; uncancellable?: boolean },
  ): Promise<XmlElement | undefined> {
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
   * @returns the task's result, where it has one.
   * @throws VsphereError with the task's own fault; TimeoutError; the signal's reason. On the last two the task is cancelled where it can and may be.
   */
  async wait(task: ManagedObject, wait: TaskWait): Promise<XmlElement | undefined> {
    let end: TaskEnd;
    try {
      end = await this.follow(task, wait);
    } catch (error) {
      if (!(error instanceof VsphereError) && !wait.uncancellable) await this.cancel(task, wait.doing);
      throw error;
    }
    if (end.state === 'error' && end.error !== undefined) throw this.fault(end.error, task, wait);
    const info = await this.properties.read(task, ['info'], wait.doing, wait.subject, wait.signal);
    if (end.state === 'error') throw this.fault(info.get('info')?.child('error'), task, wait);
    return info.get('info')?.child('result');
  }

  /** Waits for a task of anybody's to end, whatever its outcome; never cancels it. */
  async end(task: ManagedObject, wait: Pick<TaskWait, 'doing' | 'timeoutMs' | 'signal'>): Promise<void> {
    try {
      await this.follow(task, wait);
    } catch (error) {
      // vCenter forgets ended tasks after ten minutes.
      if (!(error instanceof VsphereError && (isNotFound(error) || error.code === 'TASK_VANISHED'))) throw error;
    }
  }

  private follow(task: ManagedObject, wait: TaskWait): Promise<TaskEnd> {
    const decide = (known: KnownProperties): TaskEnd | undefined => {
      const state = known.get('info.state')?.text();
      if (state === 'success') return { state };
      return state === 'error' ? { state, error: known.get('info.error') } : undefined;
    };
    return this.updates.until(task, ['info.state', 'info.error'], decide, {
      ...wait,
      vanished: () => this.vanished(task, wait),
    });
  }

  private fault(error: XmlElement | undefined, task: ManagedObject, { doing, subject }: TaskWait): VsphereError {
    const fault = error ? readLocalizedFault(error) : { faultType: 'VimFault', message: 'no reason was given', invalidProperty: undefined };
    return faultError(fault, { doing, vcenter: this.session.transport.name, object: task.value, ...defined({ subject }) });
  }

  private vanished(task: ManagedObject, { doing, subject }: TaskWait): VsphereError {
    return new VsphereError(`vCenter ${this.session.transport.name} lost the task of ${doing}; look there for its outcome.`, {
      code: 'TASK_VANISHED',
      object: task.value,
      ...defined({ subject }),
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
}

function objectOf(result: XmlElement | undefined): ManagedObject | undefined {
  return result?.attribute('type', '') === undefined ? undefined : referenceOf(result);
}
