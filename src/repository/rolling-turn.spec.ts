import { describe, expect, it } from 'vitest';
import { organizationFolder } from './format.js';
import { RollingTurn, type RollingState } from './rolling-turn.js';
import type { BlobStore } from './types.js';

const T0 = Date.parse('2026-11-21T00:00:00Z');

/** Packs of 10 bytes each, in the order of their names. */
function storeOf(packs: ReadonlyMap<string, number>): BlobStore {
  return {
    async *list() {
      for (const [name, atMs] of [...packs].sort(([a], [b]) => (a < b ? -1 : 1)))
        yield { name: `orgs/o/packs/${name}`, sizeBytes: 10, modifiedAt: new Date(atMs) };
      yield { name: 'orgs/o/manifests/x', sizeBytes: 1_000_000, modifiedAt: new Date(T0) };
    },
  } as Partial<BlobStore> as BlobStore;
}

async function turn(packs: ReadonlyMap<string, number>, state: RollingState, share: number, stopAfter = Number.POSITIVE_INFINITY) {
  let last = state;
  const rolling = await RollingTurn.plan(storeOf(packs), {
    state,
    share,
    onState: async (next) => {
      last = next;
    },
  });
  const read: string[] = [];
  for (const name of [...packs.keys()].sort()) {
    if (!rolling.has(`orgs/o/packs/${name}`)) continue;
    if (read.length >= stopAfter) return { read, state: last };
    read.push(name);
    await rolling.done(`orgs/o/packs/${name}`);
  }
  await rolling.end();
  return { read, state: last };
}

describe('RollingTurn', () => {
  it('reads everything once in a cycle, a share each time, and begins anew', async () => {
    const packs = new Map(Array.from({ length: 10 }, (_, i) => [`p${i}`, T0]));
    let state: RollingState = { newUntil: new Date(T0 + 1).toISOString() };
    const seen: string[][] = [];
    for (let run = 0; run < 5; run += 1) {
      const done = await turn(packs, state, 0.3);
      seen.push(done.read);
      state = { ...done.state, newUntil: new Date(T0 + 1).toISOString() };
    }
    expect(seen.map((read) => read.length)).toEqual([3, 3, 3, 1, 3]);
    expect(seen.slice(0, 4).flat()).toEqual([...packs.keys()]);
  });

  it('reads what came since the last one, wherever its name stands, and once', async () => {
    const packs = new Map(Array.from({ length: 10 }, (_, i) => [`p${i}`, T0]));
    const first = await turn(packs, {}, 0.2);
    expect(first.read).toEqual(['p0', 'p1']);
    packs.set('p05', T0 + 5000).set('p95', T0 + 5000);
    const second = await turn(packs, first.state, 0.1);
    // Of the same instant as the newest one before: they could have come after its listing.
    expect(second.read).toEqual(expect.arrayContaining(['p05', 'p95']));
    packs.set('p00', T0 + 9000);
    const third = await turn(packs, second.state, 0.01);
    expect(third.read).toEqual(expect.arrayContaining(['p00', 'p05', 'p95']));
    expect(third.read).not.toContain('p9');
  });

  it('interrupted, goes on after the last pack that was read, and reads new ones again', async () => {
    const packs = new Map(Array.from({ length: 10 }, (_, i) => [`p${i}`, T0]));
    const before = { newUntil: new Date(T0 + 1000).toISOString() };
    const cut = await turn(packs, before, 0.5, 2);
    expect(cut).toEqual({ read: ['p0', 'p1'], state: { after: 'orgs/o/packs/p1', ...before } });
    expect((await turn(packs, cut.state, 0.5)).read).toEqual(['p2', 'p3', 'p4', 'p5', 'p6']);
  });

  it('looks again at what is known to be damaged, and goes on where it ended all the same', async () => {
    const state = { after: 'orgs/o/packs/p1', newUntil: new Date(T0 + 1).toISOString() };
    const store = storeOf(new Map(Array.from({ length: 10 }, (_, i) => [`p${i}`, T0])));
    let last: RollingState = {};
    const onState = async (next: RollingState) => {
      last = next;
    };
    const again = [{ organizationId: 'urn:o', name: 'packs/bad' }];
    const rolling = await RollingTurn.plan(store, { state, share: 0.1, again, onState });
    const bad = `orgs/${organizationFolder('urn:o')}/packs/bad`;
    expect(rolling.has(bad)).toBe(true);
    await rolling.done('orgs/o/packs/p2');
    await rolling.done(bad);
    expect(last.after).toBe('orgs/o/packs/p2');
  });

  it.each([0, 1.5, Number.NaN])('refuses the share %d', async (share) => {
    await expect(RollingTurn.plan(storeOf(new Map()), { share })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
