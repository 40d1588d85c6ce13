/** What several callers wait for at once: who gives up ends his own wait and nobody else's. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { abortReason } from '../../src/common/index.js';
import { type BlobRange, StoreWrapper } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, makeWorkspace, readChunk, type Workspace } from './fixture.js';

/** Holds some of its reads back until `open`, and gives a held one up with its caller's signal, as every store does. */
class HeldReads extends StoreWrapper {
  readonly asked: string[] = [];
  isHeld: (name: string, range: BlobRange | undefined) => boolean = () => false;
  open: () => void = () => undefined;
  private reach: () => void = () => undefined;
  /** The first read that is held. */
  readonly reached = new Promise<void>((resolve) => {
    this.reach = resolve;
  });
  private readonly gate = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    if (this.isHeld(name, range)) {
      this.asked.push(name);
      this.reach();
      const givenUp = new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(abortReason(signal)), { once: true });
      });
      await Promise.race([this.gate, givenUp]);
    }
    return this.inner.get(name, range, signal);
  }
}

const chunks = new Map([0, 1].map((i) => [i, randomBytes(CHUNK_BYTES)]));
let workspace: Workspace;
let store: HeldReads;
beforeEach(async () => {
  // Data and index in packs of their own.
  workspace = await makeWorkspace({ packTargetBytes: CHUNK_BYTES });
  store = new HeldReads(workspace.store);
});
afterEach(() => workspace.remove());

/** Two ask for the same, the first gives up, and only then is the store's answer there. */
async function firstGivesUp<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [first, second] = [new AbortController(), new AbortController()];
  const givenUp = expect(ask(first.signal)).rejects.toThrow('the first caller gave up');
  await store.reached;
  const waiting = ask(second.signal);
  // The second has come as far as it can.
  await new Promise((resolve) => setImmediate(resolve));
  first.abort(new Error('the first caller gave up'));
  await givenUp;
  store.open();
  const answer = await waiting;
  expect(store.asked).toHaveLength(1);
  return answer;
}

it("a pack's header is read for all who wait for it, though the first of them gives up", async () => {
  const { ref, disk } = await backUp(workspace.repository, 'rp-1', chunks);
  const reader = await (await workspace.reopen(store)).openDisk(ref, disk);
  // The index has been read; the data's pack has not.
  for await (const _ of reader.dataChunks()) break;
  store.isHeld = (name, range) => name.includes('/packs/') && range?.offset === 0;
  const bytes = await firstGivesUp(async (signal) => {
    const memory = Buffer.alloc(CHUNK_BYTES);
    await reader.read(memory, [{ chunkIndex: 1, offset: 0 }], signal);
    return memory;
  });
  expect(bytes.equals(chunks.get(1) as Buffer)).toBe(true);
  expect((await readChunk(reader, 0)).equals(chunks.get(0) as Buffer)).toBe(true);
});

it("an organization's key is read for all who wait for it, though the first of them gives up", async () => {
  const { ref } = await backUp(workspace.repository, 'rp-1', chunks);
  const repository = await workspace.reopen(store);
  store.isHeld = (name) => name.startsWith('keys/');
  expect((await firstGivesUp((signal) => repository.readManifest(ref, signal))).restorePointId).toBe('rp-1');
});
