import { abortReason, throwIfAborted } from './wait.js';

interface Waiter<T> {
  demand: T;
  enter: () => void;
}

/** Who may enter, and what that takes up. */
export interface Admission<T> {
  /**
   * Begins one look at those who wait.
   * @returns asked of each in order of arrival; its true has counted the demand in.
   */
  look: () => (demand: T) => boolean;
  /** Counts out what `look` counted in. */
  leave: (demand: T) => void;
}

/** Waiters in order of arrival, whom a rule lets in. What waits can be aborted; what entered leaves exactly once. */
export class WaitQueue<T> {
  private waiters: Waiter<T>[] = [];

  constructor(private readonly admission: Admission<T>) {}

  /** @returns the release function, safe to call twice. */
  async enter(demand: T, signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        // Those behind may have waited for this one's turn alone.
        this.admit();
        reject(abortReason(signal as AbortSignal));
      };
      const waiter: Waiter<T> = {
        demand,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiters.push(waiter);
      this.admit();
    });
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.admission.leave(demand);
      this.admit();
    };
  }

  private admit(): void {
    const enters = this.admission.look();
    this.waiters = this.waiters.filter((waiter) => {
      const admitted = enters(waiter.demand);
      if (admitted) waiter.enter();
      return !admitted;
    });
  }
}
