import { sleep, type XmlElement } from '../common/index.js';
import { readMedia, readTemplate, readVapp, type VcdContext } from './context.js';
import { runningTasksOfVapp, tookTooLong } from './tasks.js';

/**
 * Waits until neither the entity nor any of its VMs has a running task. What begins meanwhile is waited for too.
 * @returns the entity as it is then
 * @throws VcdError TASK_TIMEOUT
 */
export async function waitUntilIdle(
  context: VcdContext,
  href: string,
  read: (context: VcdContext, href: string, signal?: AbortSignal) => Promise<{ root: XmlElement }>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<XmlElement> {
  const startedMs = performance.now();
  for (;;) {
    const { root } = await read(context, href, signal);
    const running = runningTasksOfVapp(root);
    if (running.length === 0) return root;
    if (performance.now() - startedMs > timeoutMs) {
      const subject = context.names.label(href);
      const names = [...new Set(running.map((task) => task.attribute('operationName') ?? 'a task'))].join(', ');
      throw tookTooLong({ operation: `Waiting for ${names} of ${subject}`, subject, timeoutMs, pollMs: context.taskPollMs });
    }
    await sleep(context.taskPollMs, signal);
  }
}

/** The tasks of a vApp, a template or a medium. @throws VcdError TASK_TIMEOUT, VAPP_NOT_FOUND, TEMPLATE_NOT_FOUND, MEDIA_NOT_FOUND */
export async function waitForEntityTasks(context: VcdContext, href: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const read = href.includes('/vAppTemplate/') ? readTemplate : href.includes('/media/') ? readMedia : readVapp;
  await waitUntilIdle(context, href, read, timeoutMs, signal);
}
