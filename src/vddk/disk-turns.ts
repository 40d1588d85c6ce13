import { abortReason, throwIfAborted } from '../common/index.js';

interface Waiter {
  alone: boolean;
  enter: () => void;
}

/** Who may use a disk's handle: batches of I/O together, any other call alone, in order of arrival. */
export class DiskTurns {
  private inside = 0;
  private insideAlone = false;
  private readonly waiting: Waiter[] = [];

  /** @returns the release function. */
  together(signal?: AbortSignal): Promise<() => void> {
    return this.enter(false, signal);
  }

  /** @returns the release function. */
  alone(signal?: AbortSignal): Promise<() => void> {
    return this.enter(true, signal);
  }

  private async enter(alone: boolean, signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        this.admit();
        reject(abortReason(signal as AbortSignal));
      };
      const waiter: Waiter = {
        alone,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(waiter);
      this.admit();
    });
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.inside -= 1;
      this.insideAlone = false;
      this.admit();
    };
  }

  private admit(): void {
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      if (this.insideAlone || (next.alone && this.inside > 0)) return;
      this.waiting.shift();
      this.inside += 1;
      this.insideAlone = next.alone;
      next.enter();
    }
  }
}
