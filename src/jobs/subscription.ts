import { JobsError } from './errors.js';
import type { RunChange } from './run-changes.js';
import type { RunView } from './types.js';

/** Runs that may wait for one reader; each is kept in its newest state alone. */
const MOST_WAITING = 500;

/** What one reader has not taken yet: a slow one skips states, and one that is too slow is let go. */
export class Subscription {
  private waiting = new Map<string, RunView>();
  private cursor: string | undefined;
  private overrun = false;
  private wake: (() => void) | undefined;

  constructor(readonly wants: (change: RunChange) => boolean) {}

  offer(view: RunView): void {
    if (this.overrun) return;
    // At its place in the order of changes.
    this.waiting.delete(view.id);
    this.waiting.set(view.id, view);
    if (this.waiting.size > MOST_WAITING) {
      this.overrun = true;
      this.waiting.clear();
    }
    this.wake?.();
  }

  /** Everything before the cursor has been offered. */
  reached(cursor: string): void {
    this.cursor = cursor;
  }

  /**
   * @returns the next run that has changed, with the cursor if nothing before it is left; undefined on abort.
   * @throws JobsError READER_TOO_SLOW.
   */
  async next(signal: AbortSignal): Promise<{ view: RunView; cursor: string | undefined } | undefined> {
    if (this.waiting.size === 0 && !this.overrun && !signal.aborted) await this.woken(signal);
    if (signal.aborted) return undefined;
    if (this.overrun) {
      throw new JobsError('The reader of the events is too slow; connect again with the last event id, or read the list of runs.', {
        code: 'READER_TOO_SLOW',
        retryable: true,
      });
    }
    const [first] = this.waiting;
    if (first === undefined) return undefined;
    this.waiting.delete(first[0]);
    return { view: first[1], cursor: this.waiting.size === 0 ? this.cursor : undefined };
  }

  private woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.wake = undefined;
        resolve();
      };
      this.wake = done;
      signal.addEventListener('abort', done);
    });
  }
}
