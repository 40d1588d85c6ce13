import type { XmlElement } from '../../../../src/common/index.js';
import { errorElement } from '../faults.js';
import { isUnfinished, type Task } from '../tasks.js';
import { build, links, MEDIA, optional, reference } from '../xml-names.js';
import { organizationReference, userReference, type Viewer } from './viewer.js';

const TASK_KEPT_MS = 90 * 24 * 3600 * 1000;

export function taskView(viewer: Viewer, task: Task): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = hrefs.task(task.id);
  const owner =
    task.owner.kind === 'vapp'
      ? { href: hrefs.vapp(task.owner.id), media: MEDIA.vapp }
      : { href: hrefs.vm(task.owner.id), media: MEDIA.vm };
  const organization = cloud.organization(task.organizationId);
  return build(
    'Task',
    {
      cancelRequested: task.cancelRequested,
      startTime: task.startedAt.toISOString(),
      endTime: task.endedAt?.toISOString(),
      expiryTime: new Date(task.startedAt.getTime() + TASK_KEPT_MS).toISOString(),
      status: task.status,
      serviceNamespace: 'com.vmware.vcloud',
      operationName: task.operationName,
      operation: task.operation,
      name: 'task',
      id: `urn:vcloud:task:${task.id}`,
      href,
      type: `${MEDIA.task}+xml`,
    },
    isUnfinished(task) ? links('task:cancel', `${href}/action/cancel`) : [],
    reference('Owner', { ...owner, id: `urn:vcloud:${task.owner.kind}:${task.owner.id}`, name: task.owner.name }),
    task.error && errorElement('Error', task.error, viewer.session.isProvider),
    userReference(viewer, 'User', cloud.user(task.userId)),
    organization && organizationReference(viewer, 'Organization', organization),
    build('Progress', {}, task.progress),
    build('Details', {}, task.error ? `[ ${task.id} ] ${task.error.message}` : ''),
  );
}

/** The running tasks of an entity, as entities carry them; nothing when it is idle. */
export function tasksInProgress(viewer: Viewer, entityId: string): XmlElement | undefined {
  const tasks = viewer.cloud.tasks.unfinished(entityId);
  return tasks.length === 0
    ? undefined
    : build(
        'Tasks',
        {},
        tasks.map((task) => taskView(viewer, task)),
      );
}

export function tasksListView(viewer: Viewer, organizationId: string, tasks: readonly Task[]): XmlElement {
  return build(
    'TasksList',
    { href: viewer.hrefs.api(`tasksList/${organizationId}`), type: `${MEDIA.tasksList}+xml`, name: 'Tasks Lists' },
    optional('Description', undefined),
    tasks.map((task) => taskView(viewer, task)),
  );
}
