import { badRequest, operationDenied, VcdFault } from '../faults.js';
import type { Answer, Exchange } from '../exchange.js';
import type { Vapp, Vm } from '../state.js';
import type { EntityName, Task } from '../tasks.js';
import { taskView } from '../views/task-view.js';
import { MEDIA } from '../xml-names.js';

/**
 * The vApp, if this session may change it now.
 * @throws VcdFault 403 without the right, 400 in maintenance mode (tenants only), 400 BUSY_ENTITY.
 */
export function writableVapp(exchange: Exchange, id: string, level: 'Change' | 'FullControl' = 'Change'): Vapp {
  const vapp = exchange.cloud.requireVapp(exchange.session, id);
  requireWritable(exchange, vapp, level);
  exchange.cloud.tasks.requireIdle(exchange.cloud.nameOf(vapp), ...exchange.cloud.vmsOf(vapp).map((vm) => exchange.cloud.nameOf(vm)));
  return vapp;
}

/** As writableVapp; siblings of the VM may be busy. */
export function writableVm(exchange: Exchange, id: string): Vm {
  const vm = exchange.cloud.requireVm(exchange.session, id);
  const vapp = exchange.cloud.vappOf(vm);
  requireWritable(exchange, vapp, 'Change');
  exchange.cloud.tasks.requireIdle(exchange.cloud.nameOf(vm), exchange.cloud.nameOf(vapp));
  return vm;
}

function requireWritable(exchange: Exchange, vapp: Vapp, level: 'Change' | 'FullControl'): void {
  const granted = exchange.cloud.accessLevel(exchange.session, vapp);
  if (granted === 'ReadOnly' || (level === 'FullControl' && granted !== 'FullControl')) {
    throw operationDenied(level === 'FullControl' ? 'vApp: Delete' : 'vApp: Edit Properties');
  }
  if (vapp.inMaintenanceMode && !exchange.session.isProvider) {
    const message = `The requested operation could not be executed since vApp "${vapp.name}" is in maintenance mode.`;
    throw exchange.cloud.variants.maintenanceWrite === '403'
      ? new VcdFault(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', message)
      : badRequest(message);
  }
}

/** What a task needs to know of an entity that is neither vApp nor VM of one. */
export interface OwnedEntity extends EntityName {
  organizationId: string;
}

export interface TaskPlan {
  operationName: string;
  /** "Updating Virtual Application": name and id of the entity follow. */
  operation: string;
  entity: Vapp | Vm | OwnedEntity;
  /** More entities that are busy meanwhile. */
  alsoBlocks?: readonly string[];
  work: () => Promise<void> | void;
  undo?: () => Promise<void> | void;
  onCancel?: () => void;
}

/** @throws VcdFault 400 BUSY_ENTITY */
export function requireIdle(exchange: Exchange, entity: OwnedEntity): void {
  exchange.cloud.tasks.requireIdle(entity);
}

export function startTask(exchange: Exchange, plan: TaskPlan): Task {
  const { cloud, session } = exchange;
  const { entity } = plan;
  const owner = 'kind' in entity ? { kind: entity.kind, id: entity.id, name: entity.name } : cloud.nameOf(entity);
  const organizationId = 'vappId' in entity ? cloud.vappOf(entity).organizationId : entity.organizationId;
  return cloud.tasks.start({
    operationName: plan.operationName,
    operation: `${plan.operation} ${owner.name}(${owner.id})`,
    owner,
    blocks: [owner.id, ...(plan.alsoBlocks ?? [])],
    userId: session.user.id,
    organizationId,
    work: plan.work,
    undo: plan.undo,
    onCancel: plan.onCancel,
  });
}

export function accepted(exchange: Exchange, plan: TaskPlan): Answer {
  const task = startTask(exchange, plan);
  return { status: 202, xml: taskView(exchange, task), media: MEDIA.task, headers: { Location: exchange.hrefs.task(task.id) } };
}
