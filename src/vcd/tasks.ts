import { sleep, type XmlElement } from '../common/index.js';
import { badAnswer, faultFromAttributes, sentence, VcdError } from './error.js';
import type { VcdAnswer, VcdHttp } from './http.js';
import { linkHref } from './links.js';

/** `canceled` is not in the reference's list; clients of VMware's own handle it all the same. */
const RUNNING = new Set(['queued', 'preRunning', 'running']);

export interface TaskWait {
  /** Begins the sentence of an error. */
  operation: string;
  subject?: string;
  pollMs: number;
  timeoutMs: number;
  signal?: AbortSignal;
  /**
   * For what makes something new: nobody waits for it any more, so VCD is asked to stop. Not for deleting or
   * stopping, which would then begin anew with every try.
   */
  cancelOnAbort?: boolean;
}

const CANCEL_TIMEOUT_MS = 15_000;

export function isRunning(task: XmlElement): boolean {
  return RUNNING.has(task.attribute('status') ?? '');
}

/** Tasks of the entity itself that have not ended. */
export function runningTasks(entity: XmlElement): XmlElement[] {
  return (entity.child('Tasks')?.childrenNamed('Task') ?? []).filter(isRunning);
}

/** Tasks of a vApp and of each of its VMs that have not ended. */
export function runningTasksOfVapp(vapp: XmlElement): XmlElement[] {
  const vms = vapp.child('Children')?.childrenNamed('Vm') ?? [];
  return [vapp, ...vms].flatMap(runningTasks);
}

/** The task of a 202 answer. */
export function taskOf(answer: VcdAnswer, operation: string): XmlElement {
  const root = answer.root();
  if (root.local !== 'Task') throw badAnswer(operation, `the answer is a ${root.local}, not a task`, answer.requestId);
  return root;
}

/**
 * Waits for the end of a task.
 * @throws VcdError TASK_FAILED, TASK_ABORTED or TASK_CANCELED with VCD's own sentence; TASK_TIMEOUT.
 */
export async function waitForTask(http: VcdHttp, task: XmlElement, wait: TaskWait): Promise<XmlElement> {
  const href = task.attribute('href');
  if (href === undefined) throw badAnswer(wait.operation, 'the task has no address');
  const startedMs = performance.now();
  let current = task;
  try {
    // The first looks come quickly: most edits take a fraction of a second.
    for (let delayMs = Math.min(100, wait.pollMs); isRunning(current); delayMs = Math.min(delayMs * 2, wait.pollMs)) {
      if (performance.now() - startedMs > wait.timeoutMs) throw tookTooLong(wait);
      await sleep(delayMs, wait.signal);
      current = (await http.get(href, `${wait.operation}: asking for the task`, wait.signal, wait.subject)).root();
    }
  } catch (error) {
    // Whether VCD can is VCD's to decide; why nobody waits any more says more than a refused cancel.
    if (wait.cancelOnAbort) await cancelTask(http, current, `${wait.operation}: cancelling its task`).catch(() => undefined);
    throw error;
  }
  if (current.attribute('status') !== 'success') throw taskFailure(current, wait);
  return current;
}

function taskFailure(task: XmlElement, wait: TaskWait): VcdError {
  const status = task.attribute('status') ?? 'unknown';
  const error = task.child('Error');
  const fault = error && faultFromAttributes((name) => error.attribute(name));
  const reason = fault?.message || task.textAt('Details') || `its task ended as ${status}`;
  const codes: Record<string, string> = { aborted: 'TASK_ABORTED', canceled: 'TASK_CANCELED', cancelled: 'TASK_CANCELED' };
  return new VcdError(`${wait.operation} failed: ${sentence(reason)}`, {
    code: codes[status] ?? 'TASK_FAILED',
    retryable: fault?.minorErrorCode === 'BUSY_ENTITY',
    subject: wait.subject,
    operation: wait.operation,
    majorErrorCode: fault?.majorErrorCode,
    minorErrorCode: fault?.minorErrorCode,
    details: { taskOperation: task.attribute('operationName') ?? '', taskHref: task.attribute('href') ?? '' },
  });
}

export function tookTooLong(wait: TaskWait): VcdError {
  return new VcdError(`${wait.operation} did not finish within ${Math.round(wait.timeoutMs / 1000)} s.`, {
    code: 'TASK_TIMEOUT',
    retryable: true,
    subject: wait.subject,
    operation: wait.operation,
  });
}

/** Asks VCD to stop a task nobody waits for any more. Its link is there while the task can be stopped. */
export async function cancelTask(http: VcdHttp, task: XmlElement, operation: string): Promise<void> {
  const href = task.attribute('href');
  if (href === undefined || !isRunning(task)) return;
  await http.request({
    method: 'POST',
    href: linkHref(task, 'task:cancel') ?? `${href}/action/cancel`,
    operation,
    idempotent: true,
    // The wait's own signal has fired already.
    signal: AbortSignal.timeout(CANCEL_TIMEOUT_MS),
  });
}
