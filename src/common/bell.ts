/**
 * Wakes those in this process who wait for something to look at. What other processes do rings nothing here: whoever waits
 * looks again after a while in any case.
 */
export class Bell {
  private readonly waiting = new Set<() => void>();
  private rung = 0;

  /** To be taken before a look and handed to `next` after it: what rang during the look was perhaps not seen by it. */
  get rings(): number {
    return this.rung;
  }

  ring(): void {
    this.rung += 1;
    for (const wake of [...this.waiting]) wake();
  }

  /** Resolves at the first ring after `since`, after `timeoutMs`, or on abort, whichever comes first. */
  next(since: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.rung !== since) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
