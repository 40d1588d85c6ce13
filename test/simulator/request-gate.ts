/** A request as the gate sees it, at whichever door it came in. */
export interface GatedRequest {
  door: 'vcd' | 'vcenter' | 'vix';
  /** HTTP method, SOAP operation, or the vix door's op. */
  method: string;
  /** Path, moRef, or disk. */
  object: string;
}

/** before: the cloud has not begun it. after: it is done, and its answer does not leave. */
export type GateMoment = 'before' | 'after';

export interface GateOrder {
  /** Which of the requests that change something, from 1; those are counted from the order on. */
  number: number;
  moment: GateMoment;
  /** Counts only what it says yes to. */
  matching?: (request: GatedRequest) => boolean;
}

/** A held request that never reached the cloud, or whose answer never left it. */
export class CutRequest extends Error {}

/**
 * Holds one request that changes something while its sender is killed: the moments between two states of a cloud are
 * exactly those.
 */
export class RequestGate {
  /** What went by since the last order. */
  readonly passed: GatedRequest[] = [];
  private order: GateOrder | undefined;
  private count = 0;
  private onReached: ((request: GatedRequest) => void) | undefined;
  private onReleased: ((serve: boolean) => void) | undefined;

  /** @returns when that request is held. Without it, requests go by and are noted. */
  hold(order: GateOrder): Promise<GatedRequest> {
    this.release(false);
    this.passed.length = 0;
    this.count = 0;
    this.order = order;
    return new Promise((resolve) => {
      this.onReached = resolve;
    });
  }

  /** @param serve whether the held request is carried out all the same, late; or its answer sent. */
  release(serve: boolean): void {
    this.order = undefined;
    this.onReleased?.(serve);
    this.onReleased = undefined;
  }

  async pass<T>(request: GatedRequest, work: () => Promise<T> | T): Promise<T> {
    if (!changesSomething(request)) return work();
    this.passed.push(request);
    const { order } = this;
    if (order === undefined || !(order.matching?.(request) ?? true)) return work();
    this.count += 1;
    if (this.count !== order.number) return work();
    const result = order.moment === 'after' ? await work() : undefined;
    const released = new Promise<boolean>((resolve) => {
      this.onReleased = resolve;
    });
    this.onReached?.(request);
    if (!(await released)) throw new CutRequest(`${request.method} ${request.object} was cut off`);
    return order.moment === 'after' ? (result as T) : work();
  }
}

/** Logins and questions are no moments, and neither is what a session keeps for itself. */
function changesSomething({ door, method, object }: GatedRequest): boolean {
  if (door === 'vcd') return method !== 'GET' && !/^\/(?:oauth|cloudapi\/1\.0\.0\/sessions|api\/sessions?)(?:\/|$)/.test(object);
  if (door === 'vix') return ['prepareForAccess', 'endAccess', 'open', 'written'].includes(method);
  return /_Task$/.test(method) && !/^Search/.test(method);
}
