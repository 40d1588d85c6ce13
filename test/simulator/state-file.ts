import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A state with fewer entities is written in one turn of the event loop: so short that nobody waits for it. */
const SMALL_STATE_ENTITIES = 2000;
/** How many entities are turned into text before others get their turn. */
const ENTITIES_PER_TURN = 250;
const MAX_TRIES = 3;

/**
 * A state kept in a JSON file: whole or not at all (written beside, then renamed), once per burst of
 * changes, and piece by piece where it is large, so that a cloud of 30,000 VMs goes on answering meanwhile.
 */
export class StateFile {
  private timer: NodeJS.Timeout | undefined;
  private queued: Promise<void> | undefined;
  private last: Promise<void> = Promise.resolve();
  private revision = 0;

  constructor(
    private readonly path: string,
    private readonly state: () => object,
    private readonly delayMs: number,
    private readonly onFailure: (error: Error) => void,
  ) {}

  /** Something in the state is another now; it will be written soon. */
  changed(): void {
    this.revision += 1;
    this.timer ??= setTimeout(() => {
      this.save().catch((error: unknown) => this.onFailure(error as Error));
    }, this.delayMs).unref();
  }

  /** Writes the state as it is now or later; callers that wait for the same write share it. */
  save(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.queued) return this.queued;
    const queued = this.last
      .catch(() => undefined)
      .then(() => {
        this.queued = undefined;
        return this.write();
      });
    this.queued = queued;
    this.last = queued;
    return queued;
  }

  private async write(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    for (let attempt = 1; ; attempt += 1) {
      const begun = this.revision;
      await this.writeBeside(attempt >= MAX_TRIES);
      // A state that changed between two pieces fits together nowhere: it is written anew.
      if (attempt >= MAX_TRIES || begun === this.revision) break;
    }
    await rename(`${this.path}.new`, this.path);
  }

  private async writeBeside(atOnce: boolean): Promise<void> {
    const state = this.state();
    const file = await open(`${this.path}.new`, 'w');
    try {
      if (atOnce || entityCount(state) < SMALL_STATE_ENTITIES) await file.writeFile(JSON.stringify(state));
      else for await (const piece of pieces(state)) await file.writeFile(piece);
      await file.close();
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(`${this.path}.new`, { force: true });
      throw error;
    }
  }
}

function entityCount(state: object): number {
  return Object.values(state).reduce((sum: number, value: unknown) => sum + (Array.isArray(value) ? value.length : 1), 0);
}

/** The same text as JSON.stringify of the whole, a few entities at a time. */
async function* pieces(state: object): AsyncGenerator<string> {
  let separator = '{';
  for (const [key, value] of Object.entries(state) as [string, unknown][]) {
    if (value === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    separator = ',';
    if (!Array.isArray(value)) {
      yield JSON.stringify(value);
      continue;
    }
    const entities = [...(value as unknown[])];
    yield '[';
    for (let from = 0; from < entities.length; from += ENTITIES_PER_TURN) {
      const text = JSON.stringify(entities.slice(from, from + ENTITIES_PER_TURN));
      yield `${from === 0 ? '' : ','}${text.slice(1, -1)}`;
      await nextTurn();
    }
    yield ']';
  }
  yield separator === '{' ? '{}' : '}';
}
