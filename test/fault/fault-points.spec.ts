/**
 * A sample of `npm run test:fault`, which tries every fault at every step of every operation: the deaths that differ most in what
 * is owed then, a connection that drops and a call that fails late.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { GatedRequest } from '../simulator/request-gate.js';
import { ALL_KILLS } from './all-kills.js';
import { openDatabaseDoor } from './database-door.js';
import { type FaultName, FAULTS } from './faults.js';
import { FaultWorld } from './fault-world.js';
import type { Operation } from './operation.js';
import { operationNamed } from './operations.js';
import { type Trial, tryPoint } from './try-point.js';

interface Sample {
  operation: string;
  what: string;
  fault: FaultName;
  matching: (request: GatedRequest) => boolean;
  outcome: Trial['outcome'];
}

const SAMPLE: readonly Sample[] = [
  {
    operation: 'incremental',
    what: 'the connection drops when vCenter has been asked for a snapshot',
    fault: 'dropped-after',
    matching: ({ method }) => method === 'CreateSnapshot_Task',
    outcome: 'undone',
  },
  {
    operation: 'backup',
    what: 'VCD says that entering maintenance mode failed, and it is entered',
    fault: 'fails-late',
    matching: ({ object }) => object.endsWith('/action/enterMaintenanceMode'),
    outcome: 'carried on',
  },
  {
    operation: 'recreate',
    what: 'killed when it is handed over, with the old vApp still there',
    fault: 'killed-before',
    matching: ({ method, object }) => method === 'DELETE' && /\/vApp\/vapp-/.test(object),
    outcome: 'carried on',
  },
];

const MORE: readonly Sample[] = [
  {
    operation: 'copy',
    what: 'killed when it is handed over and to be powered on',
    fault: 'killed-before',
    matching: ({ object }) => object.endsWith('/power/action/powerOn'),
    outcome: 'carried on',
  },
  {
    operation: 'copy',
    what: 'killed when VCD has been asked to power it on',
    fault: 'killed-after',
    matching: ({ object }) => object.endsWith('/power/action/powerOn'),
    outcome: 'carried on',
  },
  {
    operation: 'vms',
    what: 'killed between the old VM and its place',
    fault: 'killed-after',
    matching: ({ method, object }) => method === 'DELETE' && /\/vApp\/vm-/.test(object),
    outcome: 'carried on',
  },
  {
    operation: 'backup',
    what: 'the task that takes a snapshot fails when there is one',
    fault: 'task-fails-late',
    matching: ({ method }) => method === 'CreateSnapshot_Task',
    outcome: 'undone',
  },
  {
    operation: 'overwrite-again',
    what: 'killed when it is half written over, for the second time',
    fault: 'killed-after',
    matching: ({ method }) => method === 'written',
    outcome: 'undone',
  },
];

describe('a fault at one step', () => {
  let world: FaultWorld;
  beforeAll(async () => {
    world = await FaultWorld.start({ openDoors: [openDatabaseDoor] });
  });
  afterAll(async () => {
    await world?.close();
  });

  it.each(ALL_KILLS ? [...SAMPLE, ...MORE] : SAMPLE)(
    '$operation, $what: $outcome',
    { timeout: 180_000 },
    async ({ operation, fault: name, matching, outcome }) => {
      const fault = FAULTS.find((candidate) => candidate.name === name);
      if (fault === undefined) throw new Error(`There is no fault "${name}"`);
      expect(await tryPoint(world, operationNamed(operation), { fault, number: 1, matching })).toMatchObject({
        ...{ operation, fault: name, outcome, broken: [] },
      });
    },
  );

  it('that is another run’s kills nothing of one that nobody had taken yet', { timeout: 180_000 }, async () => {
    const fault = FAULTS.find(({ name }) => name === 'killed-before');
    if (fault === undefined) throw new Error('There is no fault "killed-before"');
    const incremental = operationNamed('incremental');
    let isFirst = true;
    // The second look at what an earlier run owed is struck, and only then somebody asks.
    const askedLate: Operation = Object.assign(Object.create(incremental) as Operation, {
      ask: async (at: FaultWorld) => {
        if (isFirst) {
          isFirst = false;
          await at.query(`UPDATE obligations SET look_again_at = now() WHERE id = (SELECT id FROM obligations ORDER BY id LIMIT 1)`);
          await vi.waitUntil(() => !at.gate.isWatching, 30_000);
        }
        return incremental.ask(at);
      },
    });
    const matching = ({ door, method, object }: GatedRequest) => door === 'database' && method === 'UPDATE' && object === 'obligations';
    expect(await tryPoint(world, askedLate, { fault, number: 1, matching })).toMatchObject({ outcome: 'carried on', broken: [] });
  });

  it('that never comes leaves nothing that the next one would take for its own', { timeout: 180_000 }, async () => {
    const [fault] = FAULTS;
    if (fault === undefined) throw new Error('There are no faults');
    expect(await tryPoint(world, operationNamed('incremental'), { fault, number: 1, matching: () => false })).toBeUndefined();
    await world.spoil();
    await world.points.check(await world.points.contentNow());
  });
});
