import { randomUUID } from 'node:crypto';
import { VcdFault, busyEntity } from './faults.js';

/** What a task or another entity is called in an error text and in an href. */
export type EntityKind = 'vapp' | 'vm' | 'vapptemplate' | 'media' | 'disk' | 'catalog' | 'catalogitem' | 'vmaffinityrule' | 'user';
export interface EntityName {
  kind: EntityKind;
  id: string;
  name: string;
}

export type TaskStatus = 'queued' | 'running' | 'success' | 'error' | 'aborted';

export interface Task {
  id: string;
  status: TaskStatus;
  operationName: string;
  operation: string;
  owner: EntityName;
  /** Ids of the entities that refuse other writes while this runs. */
  blocks: readonly string[];
  userId: string;
  organizationId: string;
  startedAt: Date;
  endedAt: Date | undefined;
  progress: number;
  cancelRequested: boolean;
  error: VcdFault | undefined;
}

export interface TaskRequest {
  operationName: string;
  operation: string;
  owner: EntityName;
  blocks: readonly string[];
  userId: string;
  organizationId: string;
  delayMs?: number;
  /** What the task does; it happens at the end of its time, so that a cancelled one has done nothing. */
  work: () => Promise<void> | void;
  /** After an error or a cancel. */
  undo?: () => Promise<void> | void;
  /** Told to work that waits for something: it is to end with an error now. */
  onCancel?: () => void;
}

const KEPT_TASKS = 2000;

/** Runs tasks that take time, knows who is busy, forgets the oldest finished ones. */
export class TaskBoard {
  private readonly tasks = new Map<string, Task>();
  private readonly unfinishedTasks = new Set<Task>();
  private changes = 0;
  private readonly pending = new Set<Promise<void>>();
  private readonly wakeUps = new Map<string, () => void>();
  private readonly cancels = new Map<string, () => void>();
  /** Faults of tasks that do their work and end badly all the same. */
  private readonly lateFaults = new Map<Task, VcdFault>();
  private closed = false;

  /** @param failure asked when a task is about to finish; what it returns becomes the task's error. */
  constructor(
    private readonly delayMs: (operationName: string) => number,
    private readonly failure: (operationName: string) => VcdFault | undefined = () => undefined,
    private readonly onFinished: (task: Task) => void = () => undefined,
  ) {}

  all(): Task[] {
    return [...this.tasks.values()];
  }

  get(id: string): Task | undefined {
    return this.tasks.get(id);
  }

  unfinished(entityId: string): Task[] {
    return [...this.unfinishedTasks].filter((task) => task.owner.id === entityId || task.blocks.includes(entityId));
  }

  isBlocked(entityId: string): boolean {
    for (const task of this.unfinishedTasks) if (task.blocks.includes(entityId)) return true;
    return false;
  }

  /** Another number after each task that began, went on or ended. */
  get revision(): number {
    return this.changes;
  }

  /** @throws VcdFault BUSY_ENTITY naming the first busy one. */
  requireIdle(...entities: readonly EntityName[]): void {
    for (const entity of entities) {
      const task = [...this.unfinishedTasks].find((candidate) => candidate.blocks.includes(entity.id));
      if (task) throw busyEntity(entity.kind, entity.id, operationConstant(task.operationName), task.id);
    }
  }

  start(request: TaskRequest): Task {
    const task: Task = {
      id: randomUUID(),
      status: 'queued',
      operationName: request.operationName,
      operation: request.operation,
      owner: request.owner,
      blocks: request.blocks,
      userId: request.userId,
      organizationId: request.organizationId,
      startedAt: new Date(),
      endedAt: undefined,
      progress: 0,
      cancelRequested: false,
      error: undefined,
    };
    this.tasks.set(task.id, task);
    this.unfinishedTasks.add(task);
    this.changes += 1;
    this.forgetOldest();
    if (request.onCancel) this.cancels.set(task.id, request.onCancel);
    const running = this.run(task, request).finally(() => this.pending.delete(running));
    this.pending.add(running);
    return task;
  }

  /** A task that is past its time cannot be cancelled any more; asking is no error. */
  cancel(task: Task): void {
    if (!isUnfinished(task)) return;
    task.cancelRequested = true;
    this.wakeUps.get(task.id)?.();
    this.cancels.get(task.id)?.();
  }

  /** Its work is done, and then it ends with that error: what it made is there. */
  failWhenDone(task: Task, fault: VcdFault): void {
    this.lateFaults.set(task, fault);
  }

  /** Ends the waits of all tasks and resolves when none works any more. */
  async close(): Promise<void> {
    this.closed = true;
    for (const wake of [...this.wakeUps.values(), ...this.cancels.values()]) wake();
    await Promise.all(this.pending);
  }

  private async run(task: Task, request: TaskRequest): Promise<void> {
    const totalMs = request.delayMs ?? this.delayMs(request.operationName);
    const steps = 4;
    for (let step = 0; step < steps && !task.cancelRequested && !this.closed; step += 1) {
      await this.pause(task.id, totalMs / steps);
      task.status = 'running';
      task.progress = Math.round(((step + 1) * 90) / steps);
      this.changes += 1;
    }
    try {
      if (task.cancelRequested || this.closed) {
        await request.undo?.();
        finish(task, 'aborted');
        return;
      }
      const injected = this.failure(task.operationName);
      if (injected) throw injected;
      await request.work();
      task.progress = 100;
      task.error = this.lateFaults.get(task);
      finish(task, task.error === undefined ? 'success' : 'error');
    } catch (error) {
      const isAborted = task.cancelRequested || this.closed;
      if (!isAborted) task.error = error instanceof VcdFault ? error : new VcdFault(500, 'INTERNAL_SERVER_ERROR', (error as Error).message);
      await Promise.resolve(request.undo?.()).catch(() => undefined);
      finish(task, isAborted ? 'aborted' : 'error');
    } finally {
      this.unfinishedTasks.delete(task);
      this.lateFaults.delete(task);
      this.cancels.delete(task.id);
      this.changes += 1;
      this.onFinished(task);
    }
  }

  private pause(taskId: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wakeUps.delete(taskId);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wakeUps.set(taskId, done);
    });
  }

  private forgetOldest(): void {
    if (this.tasks.size <= KEPT_TASKS) return;
    for (const task of this.tasks.values()) {
      if (isUnfinished(task)) continue;
      this.tasks.delete(task.id);
      if (this.tasks.size <= KEPT_TASKS) return;
    }
  }
}

export function isUnfinished(task: Task): boolean {
  return task.status === 'queued' || task.status === 'running';
}

function finish(task: Task, status: TaskStatus): void {
  task.status = status;
  task.endedAt = new Date();
}

/** vappUpdateVm -> VAPP_UPDATE_VM, the form error texts use. */
function operationConstant(operationName: string): string {
  return operationName.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
}
