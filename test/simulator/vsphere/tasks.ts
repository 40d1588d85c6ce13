import { sleep } from '../../../src/common/index.js';
import type { Inventory } from '../model/inventory.js';
import { moRef, vim, type MoRef, type VimObject, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { managedObjectNotFound } from '../model/inventory.js';

export interface TaskTiming {
  minMs: number;
  maxMs: number;
}

interface TaskRecord {
  info: VimObject;
  /** It does its work, and ends with this all the same. */
  lateFault?: SimFault;
  cancel: AbortController;
  ended: Promise<void>;
}

const KEPT_TASKS = 500;
const STEPS = 4;

/** vCenter's tasks: queued, running with progress, then success or error; seen through the property collector. */
export class TaskBoard {
  private readonly tasks = new Map<string, TaskRecord>();
  private readonly running = new Set<Promise<void>>();
  private number = 0;
  private closed = false;

  constructor(
    private readonly inventory: Inventory,
    private readonly timing: TaskTiming,
  ) {}

  start(
    operation: string,
    entity: { reference: MoRef; name: string; descriptionId: string },
    options: { exclusive: boolean; cancelable: boolean; injected: SimFault | undefined },
    work: () => Promise<VimValue>,
  ): MoRef {
    const busy = options.exclusive && this.busyTask(entity.reference.value);
    if (busy)
      throw new SimFault('TaskInProgress', 'The operation is not allowed in the current state: another task is already in progress.', {
        task: busy,
      });
    this.number += 1;
    const reference = moRef('Task', `task-${this.number}`);
    const record: TaskRecord = {
      cancel: new AbortController(),
      ended: Promise.resolve(),
      info: vim('TaskInfo', {
        key: reference.value,
        task: reference,
        name: operation,
        descriptionId: entity.descriptionId,
        entity: entity.reference,
        entityName: entity.name,
        state: 'queued',
        cancelled: false,
        cancelable: options.cancelable,
        reason: vim('TaskReasonUser', { userName: 'administrator@vsphere.local' }),
        queueTime: new Date().toISOString(),
        eventChainId: this.number,
      }),
    };
    this.tasks.set(reference.value, record);
    for (const old of this.tasks.keys()) {
      if (this.tasks.size <= KEPT_TASKS) break;
      if (this.tasks.get(old)?.info.completeTime !== undefined) this.tasks.delete(old);
    }
    const run = this.run(record, options.injected, work).finally(() => this.running.delete(run));
    this.running.add(run);
    record.ended = run;
    return reference;
  }

  info(moRefValue: string): VimObject {
    const task = this.tasks.get(moRefValue);
    if (!task) throw managedObjectNotFound('Task', moRefValue);
    return task.info;
  }

  has(moRefValue: string): boolean {
    return this.tasks.has(moRefValue);
  }

  cancel(moRefValue: string): void {
    const info = this.info(moRefValue);
    if (info.cancelable !== true) throw new SimFault('NotSupported', 'The task cannot be cancelled.');
    if (info.completeTime !== undefined) throw new SimFault('InvalidState', 'The task has ended.');
    info.cancelled = true;
    this.tasks.get(moRefValue)?.cancel.abort();
  }

  /** Its work is done, and then it ends with that fault: what it made is there. */
  failWhenDone(moRefValue: string, fault: SimFault): void {
    const task = this.tasks.get(moRefValue);
    if (task) task.lateFault = fault;
  }

  /** Until none of these operations runs on the entity any more. */
  async settled(entity: string, operations: readonly string[]): Promise<void> {
    for (;;) {
      const busy = [...this.tasks.values()].find(
        ({ info }) =>
          (info.entity as MoRef).value === entity && info.completeTime === undefined && operations.includes(info.name as string),
      );
      if (!busy) return;
      await busy.ended;
    }
  }

  recent(entity?: string): MoRef[] {
    return [...this.tasks.values()]
      .filter(({ info }) => entity === undefined || (info.entity as MoRef).value === entity)
      .slice(-20)
      .map(({ info }) => info.task as MoRef);
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.running);
  }

  private busyTask(entity: string): MoRef | undefined {
    for (const { info } of this.tasks.values()) {
      if ((info.entity as MoRef).value === entity && info.completeTime === undefined) return info.task as MoRef;
    }
    return undefined;
  }

  private async run(record: TaskRecord, injected: SimFault | undefined, work: () => Promise<VimValue>): Promise<void> {
    const { info, cancel } = record;
    const key = info.key as string;
    const totalMs = this.closed ? 0 : this.timing.minMs + Math.random() * (this.timing.maxMs - this.timing.minMs);
    try {
      await sleep(totalMs / STEPS, cancel.signal);
      Object.assign(info, { state: 'running', startTime: new Date().toISOString(), progress: 0 });
      this.inventory.changed(key);
      for (let step = 1; step < STEPS; step += 1) {
        await sleep(totalMs / STEPS, cancel.signal);
        info.progress = Math.round((step * 90) / STEPS);
        this.inventory.changed(key);
      }
      if (injected) throw injected;
      info.cancelable = false;
      const result = await work();
      if (record.lateFault) throw record.lateFault;
      Object.assign(info, { state: 'success', progress: undefined, ...(result === undefined ? {} : { result }) });
    } catch (error) {
      const fault = info.cancelled === true ? new SimFault('RequestCanceled', 'The task was canceled by a user.') : asSimFault(error);
      Object.assign(info, { state: 'error', progress: undefined, error: localizedFault(fault) });
    }
    info.completeTime = new Date().toISOString();
    this.inventory.changed(key);
  }
}

/** Anything that is not a vim25 fault of ours is vCenter's "general system error". */
export function asSimFault(error: unknown): SimFault {
  if (error instanceof SimFault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new SimFault('SystemError', `A general system error occurred: ${message}`, { reason: message });
}

export function localizedFault(fault: SimFault): VimObject {
  return vim('LocalizedMethodFault', {
    fault: { $type: fault.faultType, ...(fault.detail as Record<string, VimValue>) },
    localizedMessage: fault.message,
  });
}
