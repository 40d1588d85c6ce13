import { invalidArgument } from './errors.js';
import { organizationFolder } from './format.js';
import type { BlobStore } from './types.js';

/** What a rolling verification knows of the ones before it; JSON. */
export interface RollingState {
  /** The last pack in its turn that was read, by its whole object name; the next turn begins after it. */
  after?: string;
  /** Packs up to this instant of the store's clock were read when they were new (ISO). */
  newUntil?: string;
}

export interface PackName {
  organizationId: string;
  /** Below the organization's folder. */
  name: string;
}

export interface RollingOptions {
  state?: RollingState;
  /** Which part of all bytes this run reads in their turn, besides what is new: more than 0, at most 1; a thirtieth by default. */
  share?: number;
  /** Packs that are read in any case: those known to be damaged, of which only a look says whether they still are. */
  again?: readonly PackName[];
  /** Called after every pack and at the end; whoever keeps it lets an interrupted run go on. */
  onState?: (state: RollingState) => Promise<void>;
}

const DEFAULT_SHARE = 1 / 30;

/**
 * Which packs a verification reads when each reads a part: all that came since the last one, those known to be damaged, and a share of
 * the others in the order of their names, which is random in time. Whoever runs it often enough reads every new pack soon and all of them in a known time.
 */
export class RollingTurn {
  private newestMs = 0;
  private readonly chosen = new Set<string>();
  /** Of the chosen, those whose turn it is, as opposed to new ones. */
  private inTurn = new Set<string>();
  private last: string | undefined;
  private wrapped = false;

  private constructor(
    private readonly options: RollingOptions,
    private readonly state: RollingState,
  ) {
    this.last = state.after;
    for (const { organizationId, name } of options.again ?? []) this.chosen.add(`orgs/${organizationFolder(organizationId)}/${name}`);
  }

  static async plan(store: BlobStore, options: RollingOptions, signal?: AbortSignal): Promise<RollingTurn> {
    const share = options.share ?? DEFAULT_SHARE;
    if (!(share > 0 && share <= 1)) throw invalidArgument('The share of a rolling verification is more than 0 and at most 1');
    const turn = new RollingTurn(options, options.state ?? {});
    const totalBytes = await turn.chooseNew(store, signal);
    await turn.chooseInTurn(store, totalBytes * share, signal);
    return turn;
  }

  has(name: string): boolean {
    return this.chosen.has(name);
  }

  async done(name: string): Promise<void> {
    if (!this.inTurn.has(name)) return;
    this.last = name;
    await this.options.onState?.(this.current(this.state.newUntil));
  }

  /** Everything chosen was looked through. */
  async end(): Promise<void> {
    if (this.wrapped) this.last = undefined;
    await this.options.onState?.(this.current(this.newestMs === 0 ? this.state.newUntil : new Date(this.newestMs).toISOString()));
  }

  private current(newUntil: string | undefined): RollingState {
    return { ...(this.last !== undefined && { after: this.last }), ...(newUntil !== undefined && { newUntil }) };
  }

  /** @returns the bytes of all packs. */
  private async chooseNew(store: BlobStore, signal?: AbortSignal): Promise<number> {
    const sinceMs = this.state.newUntil === undefined ? Number.POSITIVE_INFINITY : Date.parse(this.state.newUntil);
    let totalBytes = 0;
    for await (const { name, sizeBytes, modifiedAt } of packsIn(store, signal)) {
      totalBytes += sizeBytes;
      this.newestMs = Math.max(this.newestMs, modifiedAt.getTime());
      // At the very instant of the last one: it may have been put after the listing.
      if (modifiedAt.getTime() >= sinceMs) this.chosen.add(name);
    }
    return totalBytes;
  }

  /** A share of everything from where the last one ended; a turn that reaches the end is over, and the next begins anew. */
  private async chooseInTurn(store: BlobStore, budgetBytes: number, signal?: AbortSignal): Promise<void> {
    let bytes = 0;
    this.wrapped = true;
    for await (const { name, sizeBytes } of packsIn(store, signal)) {
      if (this.state.after !== undefined && name <= this.state.after) continue;
      if (bytes >= budgetBytes) {
        this.wrapped = false;
        return;
      }
      bytes += sizeBytes;
      this.inTurn.add(name);
      this.chosen.add(name);
    }
  }
}

async function* packsIn(store: BlobStore, signal?: AbortSignal) {
  for await (const entry of store.list('orgs/', signal)) if (entry.name.split('/')[2] === 'packs') yield entry;
}
