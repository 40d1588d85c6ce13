import { WaitQueue } from '../common/index.js';

type Turn = 'together' | 'alone';

/** Who may use a disk's handle: batches of I/O together, any other call alone, in order of arrival. */
export class DiskTurns {
  private inside = 0;
  private insideAlone = false;
  private readonly queue = new WaitQueue<Turn>({
    look: () => this.look(),
    leave: () => {
      this.inside -= 1;
      this.insideAlone = false;
    },
  });

  /** @returns the release function. */
  together(signal?: AbortSignal): Promise<() => void> {
    return this.queue.enter('together', signal);
  }

  /** @returns the release function. */
  alone(signal?: AbortSignal): Promise<() => void> {
    return this.queue.enter('alone', signal);
  }

  private look(): (turn: Turn) => boolean {
    let blocked = false;
    return (turn) => {
      // Nobody overtakes.
      blocked ||= this.insideAlone || (turn === 'alone' && this.inside > 0);
      if (blocked) return false;
      this.inside += 1;
      this.insideAlone = turn === 'alone';
      return true;
    };
  }
}
