/**
 * A sample of `npm run test:fault`, which kills the worker before and after every request of every way of restoring:
 * the moments that differ most in what is owed then.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALL_KILLS } from './all-kills.js';
import type { GateOrder } from '../simulator/request-gate.js';
import { killModes } from './kill-modes.js';
import { type KillRow, KillSweep } from './kill-sweep.js';

const SAMPLE: readonly { mode: string; what: string; order: GateOrder; outcome: KillRow['outcome'] }[] = [
  {
    mode: 'recreate',
    what: 'handed over, with the old vApp still there',
    order: { number: 1, moment: 'before', matching: ({ method, object }) => method === 'DELETE' && /\/vApp\/vapp-/.test(object) },
    outcome: 'carried on',
  },
  {
    mode: 'vms',
    what: 'between the old VM and its place',
    order: { number: 1, moment: 'after', matching: ({ method, object }) => method === 'DELETE' && /\/vApp\/vm-/.test(object) },
    outcome: 'carried on',
  },
  {
    mode: 'overwrite-again',
    what: 'half written over, for the second time',
    order: { number: 1, moment: 'after', matching: ({ method }) => method === 'written' },
    outcome: 'undone',
  },
];

describe('a worker killed in the middle of a restore', () => {
  let sweep: KillSweep;
  beforeAll(async () => {
    sweep = await KillSweep.start();
  });
  afterAll(async () => {
    await sweep?.close();
  });

  it.each(ALL_KILLS ? SAMPLE : SAMPLE.slice(0, 2))(
    '$mode, $what: $outcome',
    { timeout: 180_000 },
    async ({ mode: name, order, outcome }) => {
      const mode = killModes.find((candidate) => candidate.name === name);
      if (mode === undefined) throw new Error(`There is no mode "${name}"`);
      expect(await sweep.kill(mode, order)).toMatchObject({ mode: name, outcome, faults: [] });
    },
  );
});
