import type { CloudEvent } from './events.js';
import type { Hrefs } from './hrefs.js';
import { type FieldTable, type QueryType, queryType } from './query-type.js';
import type { User } from './state.js';
import type { EntityName, Task } from './tasks.js';
import { MEDIA } from './xml-names.js';

const EVENT_MEDIA = 'application/vnd.vmware.admin.event';

/** Where an entity that a task or an event names is found; undefined for kinds that have no resource of their own. */
function entityHref(hrefs: Hrefs, { kind, id }: EntityName): string | undefined {
  switch (kind) {
    case 'vapp':
      return hrefs.vapp(id);
    case 'vm':
      return hrefs.vm(id);
    case 'vapptemplate':
      return hrefs.vappTemplate(id);
    case 'media':
      return hrefs.media(id);
    case 'disk':
      return hrefs.disk(id);
    case 'catalog':
      return hrefs.catalog(id);
    case 'catalogitem':
      return hrefs.catalogItem(id);
    default:
      return undefined;
  }
}

const USER_FIELDS: FieldTable<User> = {
  name: (user) => user.name,
  fullName: (user) => user.fullName,
  isEnabled: (user) => user.enabled,
  isLdapUser: () => false,
  isExternal: () => false,
  identityProviderType: () => 'INTEGRATED',
};

const userType = (record: string, admin: boolean, more: FieldTable<User>): QueryType =>
  queryType<User>({
    record,
    reference: 'UserReference',
    media: MEDIA.user,
    providerOnly: admin,
    list: ({ cloud, session }) => cloud.state.users.filter((user) => admin || user.organizationId === session.organization.id),
    href: (user, { hrefs }) => hrefs.user(user.id),
    urn: (user) => `urn:vcloud:user:${user.id}`,
    fields: { ...USER_FIELDS, ...more },
  });

const TASK_FIELDS: FieldTable<Task> = {
  startDate: (task) => task.startedAt.toISOString(),
  endDate: (task) => task.endedAt?.toISOString(),
  name: (task) => task.operationName,
  status: (task) => task.status,
  progress: (task) => task.progress,
  org: (task, { hrefs }) => hrefs.org(task.organizationId),
  orgName: (task, { cloud }) => cloud.organization(task.organizationId)?.name,
  ownerName: (task, { cloud }) => cloud.user(task.userId)?.name,
  object: (task, { hrefs }) => entityHref(hrefs, task.owner),
  objectType: (task) => task.owner.kind,
  objectName: (task) => task.owner.name,
  serviceNamespace: () => 'com.vmware.vcloud',
};

const taskType = (record: string, admin: boolean): QueryType =>
  queryType<Task>({
    record,
    // The schemas have one reference element for both.
    reference: 'TaskReference',
    media: MEDIA.task,
    providerOnly: admin,
    defaultSort: 'startDate',
    list: ({ cloud, session }) => cloud.tasks.all().filter((task) => session.isProvider || task.organizationId === session.organization.id),
    href: (task, { hrefs }) => hrefs.task(task.id),
    urn: (task) => `urn:vcloud:task:${task.id}`,
    fields: TASK_FIELDS,
  });

const EVENT_FIELDS: FieldTable<CloudEvent> = {
  timeStamp: (event) => event.at.toISOString(),
  eventId: (event) => event.id,
  eventType: (event) => event.type,
  eventStatus: (event) => (event.succeeded ? 1 : 0),
  userName: (event, { cloud }) => cloud.user(event.userId)?.name,
  orgName: (event, { cloud }) => cloud.organization(event.organizationId)?.name,
  entityType: (event) => event.entity.kind,
  entityName: (event) => event.entity.name,
  entity: (event) => `urn:vcloud:${event.entity.kind}:${event.entity.id}`,
  description: (event) => event.description,
  serviceNamespace: () => 'com.vmware.vcloud',
};

const eventType = (record: string, admin: boolean, more: FieldTable<CloudEvent>): QueryType =>
  queryType<CloudEvent>({
    record,
    // The schemas have no reference for a tenant's event.
    reference: 'AdminEventReference',
    media: EVENT_MEDIA,
    providerOnly: admin,
    defaultSort: 'timeStamp',
    list: ({ cloud, session }) => cloud.events.all().filter((event) => admin || event.organizationId === session.organization.id),
    // An event is no resource: its record has no address.
    href: () => '',
    urn: (event) => `urn:vcloud:event:${event.id}`,
    fields: { ...EVENT_FIELDS, ...more },
  });

/** Users, tasks and events. */
export const ACTIVITY_QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  user: userType('UserRecord', false, { isLocked: () => false, roleNames: (user) => user.role }),
  adminUser: userType('AdminUserRecord', true, { org: (user, { hrefs }) => hrefs.org(user.organizationId) }),
  task: taskType('TaskRecord', false),
  adminTask: taskType('AdminTaskRecord', true),
  event: eventType('EventRecord', false, {}),
  adminEvent: eventType('AdminEventRecord', true, { org: (event, { hrefs }) => hrefs.org(event.organizationId) }),
};
