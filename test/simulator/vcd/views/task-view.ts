import type { XmlElement } from '../../../../src/common/index.js';
import { errorElement } from '../faults.js';
import { type EntityName, isUnfinished, type Task } from '../tasks.js';
import { build, links, MEDIA, optional, reference } from '../xml-names.js';
import { organizationReference, userReference, type Viewer } from './viewer.js';

const TASK_KEPT_MS = 90 * 24 * 3600 * 1000;

export function taskView(viewer: Viewer, task: Task): XmlElement {
  const { hrefs, cloud } = viewer;
  const href = hrefs.task(task.id);
  const owner = ownerAddress(viewer, task.owner);
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

function ownerAddress({ cloud, hrefs }: Viewer, { kind, id }: EntityName): { href: string; media: string } {
  switch (kind) {
    case 'vapp':
      return { href: hrefs.vapp(id), media: MEDIA.vapp };
    case 'vm':
      return { href: cloud.state.templateVms.some((vm) => vm.id === id) ? hrefs.templateVm(id) : hrefs.vm(id), media: MEDIA.vm };
    case 'vapptemplate':
      return { href: hrefs.vappTemplate(id), media: MEDIA.vappTemplate };
    case 'media':
      return { href: hrefs.media(id), media: MEDIA.media };
    case 'disk':
      return { href: hrefs.disk(id), media: MEDIA.disk };
    case 'catalog':
      return { href: hrefs.catalog(id), media: MEDIA.catalog };
    case 'catalogitem':
      return { href: hrefs.catalogItem(id), media: MEDIA.catalogItem };
    case 'user':
      return { href: hrefs.user(id), media: MEDIA.user };
    case 'vmaffinityrule':
      return { href: hrefs.affinityRule(id), media: MEDIA.affinityRule };
  }
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
