import { VcdFault } from './faults.js';

/** A fault the tests order: the next `count` requests (or tasks) that match end this way. */
export interface OrderedFault {
  id: string;
  /** Fails a task of this operationName instead of a request. */
  operationName?: string;
  method?: string;
  /** Regular expression on the path. */
  path?: string;
  /** How often; 0 = until it is removed. */
  count: number;
  /** 'error' answers, 'drop' cuts the connection before the work, 'drop-after' after it, 'delay' only waits; of a task, 'delay' makes it slow. */
  effect: (typeof EFFECTS)[number];
  status: number;
  minorErrorCode: string;
  message: string;
  delayMs: number;
  /** Sent as Retry-After with an error. */
  retryAfterSeconds?: number;
  /** With 'drop' below /transfer/: how many bytes of the file still pass before the connection is cut. */
  afterBytes?: number;
}

const EFFECTS = ['error', 'drop', 'drop-after', 'delay'] as const;

export class OrderedFaults {
  private faults: OrderedFault[] = [];
  private nextId = 1;

  add(order: Partial<OrderedFault>): OrderedFault {
    const fault: OrderedFault = {
      count: 1,
      effect: 'error',
      status: 500,
      minorErrorCode: 'INTERNAL_SERVER_ERROR',
      message: 'Unable to perform this action. Contact your cloud administrator.',
      delayMs: 0,
      ...order,
      id: `vcd-${this.nextId}`,
    };
    if (fault.path !== undefined) new RegExp(fault.path);
    if (!EFFECTS.includes(fault.effect)) throw new RangeError(`The effect of a fault is one of ${EFFECTS.join(', ')}`);
    this.nextId += 1;
    this.faults.push(fault);
    return fault;
  }

  list(): readonly OrderedFault[] {
    return this.faults;
  }

  clear(): void {
    this.faults = [];
  }

  forRequest(method: string, path: string): OrderedFault | undefined {
    return this.take(
      (fault) =>
        fault.operationName === undefined &&
        (fault.method === undefined || fault.method === method) &&
        (fault.path === undefined || new RegExp(fault.path).test(path)),
    );
  }

  forTask(operationName: string): VcdFault | undefined {
    const fault = this.take((candidate) => candidate.operationName === operationName && candidate.effect !== 'delay');
    return fault && new VcdFault(fault.status, fault.minorErrorCode, fault.message);
  }

  /** How much longer the task that begins now takes. */
  taskDelayMs(operationName: string): number {
    return this.take((candidate) => candidate.operationName === operationName && candidate.effect === 'delay')?.delayMs ?? 0;
  }

  private take(matches: (fault: OrderedFault) => boolean): OrderedFault | undefined {
    const fault = this.faults.find(matches);
    if (!fault || fault.count === 0) return fault;
    fault.count -= 1;
    if (fault.count === 0) this.faults = this.faults.filter((candidate) => candidate !== fault);
    return fault;
  }
}
