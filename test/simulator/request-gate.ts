import { sleep } from '../../src/common/index.js';

/** What a service reaches the world outside it through. */
export type DoorName = 'vcd' | 'vcenter' | 'vix' | 'database' | 'repository';

/** A request as the gate sees it, at whichever door it came in. */
export interface GatedRequest {
  door: DoorName;
  /** HTTP method, SOAP operation, the vix door's op, SQL command, or file operation. */
  method: string;
  /** Path, moRef, disk, table, or file. */
  object: string;
}

/** As it was noted, with whether its answer named a task. */
export interface NotedRequest extends GatedRequest {
  makesTask: boolean;
}

/** before: nobody has begun it. after: it is done, and its answer does not leave. */
export type GateMoment = 'before' | 'after';

/**
 * hold: it waits until it is released. drop: its connection is cut. fail: an error is the answer. fail-task: it is answered
 * as ever, and the task that its answer names does its work and then ends in an error.
 */
export type GateEffect = 'hold' | 'drop' | 'fail' | 'fail-task';

export interface GateOrder {
  /** Which of those that match, from 1, counted from the order on. */
  number: number;
  moment: GateMoment;
  /** Default: hold. */
  effect?: GateEffect;
  /** How long it takes before it is dropped or fails. */
  delayMs?: number;
  matching: (request: GatedRequest) => boolean;
}

/** A request whose connection shall be cut: before, it was not carried out; after, its answer is lost. */
export class CutRequest extends Error {}

/** A request that shall be answered with the door's own error; it was carried out where the moment was after. */
export class FailedRequest extends Error {}

/** A task that the board of its cloud can be told to end badly. */
export interface FailableTask {
  failWhenDone(): void;
}

/**
 * Where everything that a service asks the world for goes by: one request of many is held while its sender is killed, cut off,
 * or carried out and answered with an error. The moments between two states of a cloud are exactly those.
 */
export class RequestGate {
  private order: GateOrder | undefined;
  private count = 0;
  private noted: NotedRequest[] | undefined;
  private onStruck: ((request: GatedRequest) => void) | undefined;
  private onReleased: ((serve: boolean) => void) | undefined;

  /** One order at a time. @returns when it strikes: the request is held, or about to be dropped or to fail. */
  apply(order: GateOrder): Promise<GatedRequest> {
    this.release(false);
    this.count = 0;
    this.order = order;
    return new Promise((resolve) => {
      this.onStruck = resolve;
    });
  }

  /** @returns when that request is held. */
  hold(order: Omit<GateOrder, 'effect' | 'delayMs'>): Promise<GatedRequest> {
    return this.apply({ ...order, effect: 'hold' });
  }

  /** @param serve whether the held request is carried out all the same, late; or its answer sent. */
  release(serve: boolean): void {
    this.order = undefined;
    this.onReleased?.(serve);
    this.onReleased = undefined;
  }

  /** Whether anybody cares for what goes by. */
  get isWatching(): boolean {
    return this.order !== undefined || this.noted !== undefined;
  }

  /** From now on, in the order in which they came. */
  startNoting(): void {
    this.noted = [];
  }

  stopNoting(): NotedRequest[] {
    const noted = this.noted ?? [];
    this.noted = undefined;
    return noted;
  }

  /**
   * @param taskOf the task that the answer names, where it names one.
   * @throws CutRequest, FailedRequest: what the door has to do then; whatever `work` throws.
   */
  async pass<T>(request: GatedRequest, work: () => Promise<T> | T, taskOf?: (answer: T) => FailableTask | undefined): Promise<T> {
    const note = this.note(request);
    const order = this.due(request);
    if (order?.moment === 'before') return this.strike(order, request, work);
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      // Refused: nothing was carried out of which the answer could be lost. The next one is meant.
      if (order !== undefined && this.order === undefined) {
        this.order = order;
        this.count = order.number - 1;
      }
      throw error;
    }
    const task = taskOf?.(answer);
    if (note) note.makesTask = task !== undefined;
    if (order === undefined) return answer;
    if (order.effect !== 'fail-task') return this.strike(order, request, () => answer);
    if (task === undefined) throw new Error(`${request.method} ${request.object} makes no task that could fail`);
    task.failWhenDone();
    this.onStruck?.(request);
    return answer;
  }

  private note(request: GatedRequest): NotedRequest | undefined {
    if (this.noted === undefined) return undefined;
    const note = { ...request, makesTask: false };
    this.noted.push(note);
    return note;
  }

  /** The order, when this is the request it means. It strikes once. */
  private due(request: GatedRequest): GateOrder | undefined {
    const { order } = this;
    if (order === undefined || !order.matching(request)) return undefined;
    this.count += 1;
    if (this.count !== order.number) return undefined;
    this.order = undefined;
    return order;
  }

  private async strike<T>(order: GateOrder, request: GatedRequest, proceed: () => Promise<T> | T): Promise<T> {
    const { effect = 'hold', delayMs = 0 } = order;
    if (effect === 'hold') {
      const released = new Promise<boolean>((resolve) => {
        this.onReleased = resolve;
      });
      this.onStruck?.(request);
      if (await released) return proceed();
      throw new CutRequest(`${request.method} ${request.object} was cut off`);
    }
    this.onStruck?.(request);
    await sleep(delayMs);
    if (effect === 'drop') throw new CutRequest(`${request.method} ${request.object} was cut off`);
    throw new FailedRequest(`${request.method} ${request.object} was answered with an error`);
  }
}
