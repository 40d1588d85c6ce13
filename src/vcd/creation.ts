import { sleep, type XmlElement } from '../common/index.js';
import { type EntityAnswer, isGone, sendChange, type VcdContext } from './context.js';
import { waitUntilIdle } from './entity-tasks.js';
import { badAnswer, VcdError } from './error.js';
import type { VcdAnswer } from './http.js';
import { cancelTask, runningTasks, type TaskWait, waitForTask } from './tasks.js';

/** What making something new takes everywhere: a request not sent twice, a wait that ends with its caller, and nothing half-made left. */

/** Cleaning up after a failure goes on although the run was cancelled, but not for ever. */
export const CLEAN_UP_TIMEOUT_MS = 300_000;
/** How long something whose answer was lost is looked for before it counts as never begun. */
const LOST_LOOKS = 5;
/** FAILED_CREATION and UNRESOLVED: an entity whose making failed, or still goes on. */
const FAILED_CREATION = '-1';
const UNFINISHED = new Set([FAILED_CREATION, '0']);

type EntityRead = (context: VcdContext, href: string, signal?: AbortSignal) => Promise<EntityAnswer>;

/** Something VCD has begun to make. */
export interface Begun {
  href: string;
  /** The tasks its answer named; none where the answer was lost. */
  tasks: XmlElement[];
}

/** The new entity of a 201 answer. @throws VcdError BAD_ANSWER */
export function begunBy(answer: VcdAnswer, local: string, operation: string): Begun {
  const root = answer.root();
  const href = root.attribute('href') ?? answer.location;
  if (root.local !== local || href === undefined) throw badAnswer(operation, `the answer is not a ${local}`, answer.requestId);
  return { href, tasks: root.child('Tasks')?.childrenNamed('Task') ?? [] };
}

/**
 * Sends a request that makes something new. Where its answer was lost, the thing is looked for; only if it is
 * nowhere is the request sent again, once.
 * @param send the request alone: a wait inside it would let a lost look at a task pass for a lost request
 */
export async function sendOnce<T>(
  context: VcdContext,
  send: () => Promise<T>,
  find: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof VcdError && error.answerLost)) throw error;
      const found = await lookFor(context, find, signal);
      if (found !== undefined) return found;
      if (tries >= 2) throw error;
    }
  }
}

async function lookFor<T>(context: VcdContext, look: () => Promise<T | undefined>, signal?: AbortSignal): Promise<T | undefined> {
  for (let n = 0; n < LOST_LOOKS; n += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(context.taskPollMs, signal);
  }
  return undefined;
}

/**
 * Waits until what was begun is made, and answers with it as it then is. When nobody waits any more, VCD is asked to stop.
 * @param tasksOf tasks that count, of the entity as it is read
 * @throws VcdError TASK_FAILED …, with VCD's own sentence where the task tells one
 */
export async function finishCreation(
  context: VcdContext,
  begun: Begun,
  read: () => Promise<XmlElement>,
  wait: Pick<TaskWait, 'operation' | 'subject' | 'signal'>,
  tasksOf: (entity: XmlElement) => XmlElement[] = runningTasks,
): Promise<XmlElement> {
  const { taskPollMs: pollMs, taskTimeoutMs: timeoutMs } = context;
  const waitFor = (task: XmlElement) => waitForTask(context.http, task, { ...wait, pollMs, timeoutMs, cancelOnAbort: true });
  // The answer's own task first: once it has failed, the entity shows it no more, and the reason would be lost.
  for (const task of begun.tasks) await waitFor(task);
  let entity = await read();
  const running = tasksOf(entity);
  for (const task of running) await waitFor(task);
  if (running.length > 0) entity = await read();
  if (entity.attribute('status') !== FAILED_CREATION) return entity;
  throw new VcdError(`${wait.operation} failed: vCloud Director could not create it (status FAILED_CREATION).`, {
    code: 'TASK_FAILED',
    subject: wait.subject,
    operation: wait.operation,
  });
}

/**
 * Deletes a disk, medium or template; absent is success. One that is still being made is stopped first: an upload
 * nobody sends bytes to would keep it busy for an hour.
 */
export async function deleteEntity(context: VcdContext, href: string, read: EntityRead, signal?: AbortSignal): Promise<void> {
  try {
    const { root } = await read(context, href, signal);
    if (UNFINISHED.has(root.attribute('status') ?? '')) {
      const operation = `Cancelling the making of ${context.names.label(href)}`;
      for (const task of runningTasks(root)) await cancelTask(context.http, task, operation).catch(() => undefined);
      await waitUntilIdle(context, href, read, CLEAN_UP_TIMEOUT_MS, signal);
    }
    await sendChange(context, { method: 'DELETE', href, doing: 'Deleting', entityHref: href, signal });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/**
 * An entity whose task did not succeed is "in an indeterminate state, and should be deleted" (vCloud API guide).
 * A clean-up that fails must not hide the error that made it necessary: the caller's obligation is still on record.
 */
export async function deleteHalfMade(context: VcdContext, href: string, read: EntityRead): Promise<void> {
  await deleteEntity(context, href, read, AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS)).catch(() => undefined);
}
