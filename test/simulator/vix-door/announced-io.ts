import type { RequestGate } from '../request-gate.js';
import { VIX, VixFault } from './vix-fault.js';

interface BegunIo {
  end: () => void;
  passed: Promise<void>;
}

/**
 * Reads and writes at the gate. The stand-in carries them out itself, on the datastore's files; where somebody watches the gate,
 * it tells before and after each, which stands for the NFC request and its answer.
 */
export class AnnouncedIo {
  private readonly begun = new Map<string, BegunIo>();
  private last = 0;

  constructor(private readonly gate: RequestGate) {}

  /** @returns when it may be carried out. @throws CutRequest, FailedRequest. */
  async begin(kind: string, object: string): Promise<{ number: string }> {
    if (kind !== 'read' && kind !== 'write') throw new VixFault(VIX.invalidArgument, `There is no I/O "${kind}".`);
    this.last += 1;
    const number = String(this.last);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    let proceed = () => {};
    const mayProceed = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const passed = this.gate.pass({ door: 'vix', method: kind, object }, () => {
      proceed();
      return ended;
    });
    this.begun.set(number, { end, passed });
    try {
      await Promise.race([mayProceed, passed]);
    } catch (error) {
      this.begun.delete(number);
      throw error;
    }
    return { number };
  }

  /** It is done. @throws CutRequest, FailedRequest: what becomes of its answer. */
  async end(number: string): Promise<void> {
    const io = this.begun.get(number);
    if (!io) throw new VixFault(VIX.invalidArgument, `There is no I/O number ${number}.`);
    this.begun.delete(number);
    io.end();
    await io.passed;
  }

  /** Nobody is left to tell the end of any. */
  close(): void {
    for (const { end, passed } of this.begun.values()) {
      passed.catch(() => undefined);
      end();
    }
    this.begun.clear();
  }
}
