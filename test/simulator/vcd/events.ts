import { randomUUID } from 'node:crypto';
import type { VcdCloud } from './cloud.js';
import type { Session } from './sessions.js';
import type { EntityKind, EntityName, Task } from './tasks.js';

/** What the audit trail of a cell keeps of one thing that happened. */
export interface CloudEvent {
  id: string;
  /** com/vmware/vcloud/event/vapp/modify … */
  type: string;
  at: Date;
  succeeded: boolean;
  entity: EntityName;
  userId: string;
  organizationId: string;
  description: string;
}

const KEPT_EVENTS = 10_000;

/** As it stands in the state file. */
export interface KeptEvent extends Omit<CloudEvent, 'at'> {
  at: string;
}

/** The events of the cell, oldest first; of more than 10,000 the oldest go. They outlive the process with the rest of the state. */
export class EventLog {
  private events: CloudEvent[];
  private added = 0;
  private retentionMs = Number.POSITIVE_INFINITY;

  /** @param onAdded told of each new one, which is not in the file yet */
  constructor(
    kept: readonly KeptEvent[],
    private readonly onAdded: () => void,
  ) {
    this.events = kept.map((event) => ({ ...event, at: new Date(event.at) }));
  }

  kept(): KeptEvent[] {
    return this.events.slice(-KEPT_EVENTS).map((event) => ({ ...event, at: event.at.toISOString() }));
  }

  add(event: Omit<CloudEvent, 'id' | 'at'>): void {
    this.events.push({ ...event, id: randomUUID(), at: new Date() });
    this.added += 1;
    this.onAdded();
    // Thrown away in bulk, so that a full list does not move with each event.
    if (this.events.length > KEPT_EVENTS * 1.2) this.events = this.events.slice(-KEPT_EVENTS);
  }

  addTask(task: Task): void {
    this.add({
      type: `com/vmware/vcloud/event/task/${task.status === 'success' ? 'complete' : task.status === 'aborted' ? 'abort' : 'fail'}`,
      succeeded: task.status === 'success',
      entity: task.owner,
      userId: task.userId,
      organizationId: task.organizationId,
      description: task.operation,
    });
  }

  /** Only those younger than the retention time, as VCD's activity log setting has it. */
  all(): readonly CloudEvent[] {
    const oldestMs = Date.now() - this.retentionMs;
    return this.retentionMs === Number.POSITIVE_INFINITY ? this.events : this.events.filter((event) => event.at.getTime() >= oldestMs);
  }

  keepFor(retentionMs: number): void {
    this.retentionMs = retentionMs;
    this.added += 1;
  }

  get revision(): number {
    return this.added;
  }
}

const RESOURCE_KINDS: readonly (readonly [RegExp, EntityKind])[] = [
  [/^vApp\/vapp-([0-9a-f-]{36})/, 'vapp'],
  [/^vApp\/vm-([0-9a-f-]{36})/, 'vm'],
  [/^vAppTemplate\/vappTemplate-([0-9a-f-]{36})/, 'vapptemplate'],
  [/^(?:admin\/)?catalog\/([0-9a-f-]{36})/, 'catalog'],
  [/^catalogItem\/([0-9a-f-]{36})/, 'catalogitem'],
  [/^media\/([0-9a-f-]{36})/, 'media'],
  [/^disk\/([0-9a-f-]{36})/, 'disk'],
];

/**
 * The event of a request that changes something, with or without a task: owner, access rights,
 * metadata and maintenance mode have none. Undefined for reads and for what is no entity.
 * @param resource the path below /api/
 */
export function requestEvent(
  cloud: VcdCloud,
  session: Session,
  method: string,
  resource: string,
): Omit<CloudEvent, 'id' | 'at'> | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  for (const [pattern, kind] of RESOURCE_KINDS) {
    const match = pattern.exec(resource);
    if (!match) continue;
    const id = match[1] as string;
    const entity = entityOf(cloud, kind, id);
    if (!entity) return undefined;
    const part =
      resource
        .slice(match[0].length)
        .replace(/^\/(?:action\/)?/, '')
        .split('/')[0] ?? '';
    const what = method === 'DELETE' && part === '' ? 'delete' : part === '' ? 'modify' : part.replace(/[^A-Za-z]/g, '');
    return {
      type: `com/vmware/vcloud/event/${kind}/${what}`,
      succeeded: true,
      entity: { kind, id, name: entity.name },
      userId: session.user.id,
      organizationId: entity.organizationId,
      description: `${what} ${kind} ${entity.name}`,
    };
  }
  return undefined;
}

function entityOf(cloud: VcdCloud, kind: EntityKind, id: string): { name: string; organizationId: string } | undefined {
  const { state } = cloud;
  const byId = <T extends { id: string }>(list: readonly T[]): T | undefined => list.find((candidate) => candidate.id === id);
  switch (kind) {
    case 'vapp':
      return byId(state.vapps);
    case 'vm': {
      const vm = byId(state.vms);
      return vm && { name: vm.name, organizationId: cloud.vappOf(vm).organizationId };
    }
    case 'vapptemplate':
      return byId(state.vappTemplates);
    case 'media':
      return byId(state.media);
    case 'disk':
      return byId(state.disks);
    case 'catalog':
      return byId(state.catalogs);
    case 'catalogitem': {
      const item = byId(state.catalogItems);
      const catalog = state.catalogs.find((candidate) => candidate.id === item?.catalogId);
      return item && catalog && { name: item.name, organizationId: catalog.organizationId };
    }
    default:
      return undefined;
  }
}
