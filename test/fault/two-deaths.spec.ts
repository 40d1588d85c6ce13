/**
 * The one that cleans up after a death dies as well, in the middle of that: whoever comes third finds what both left, and it is no
 * more than the first one owed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/jobs/index.js';
import type { GatedRequest, GateMoment } from '../simulator/request-gate.js';
import { ALL_KILLS } from './all-kills.js';
import { FAULT_SEED, FIRST_CHECKPOINT, SHOP, SHOP_VMS } from './fault-seed.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

interface Moment {
  moment: GateMoment;
  matching: (request: GatedRequest) => boolean;
}

interface Deaths {
  what: string;
  /** Of a restore; a backup has none. */
  request?: Record<string, unknown>;
  first: Moment;
  /** Reached by whoever finds the run. */
  second: Moment;
  end: Partial<Pick<RunView, 'state' | 'attempt'>> & { error: unknown };
  /** Which VMs, of which vApp, are as they were first. */
  restored?: { vapp: string; vms: readonly string[] };
}

const COPY = 'shop-copy';
const before = (matching: Moment['matching']): Moment => ({ moment: 'before', matching });
const after = (matching: Moment['matching']): Moment => ({ moment: 'after', matching });
const called = (name: string) => (request: GatedRequest) => request.method === name;
const asked = (path: RegExp) => (request: GatedRequest) => request.door === 'vcd' && path.test(request.object);
const deletes = (kind: 'vapp' | 'vm') => (request: GatedRequest) =>
  request.method === 'DELETE' && request.object.includes(`/vApp/${kind}-`);
const begunAgain = { state: 'warning', attempt: 2, error: null } as const;
const carriedOn = { state: 'warning', attempt: 1, error: null } as const;

const SAMPLE: readonly Deaths[] = [
  {
    what: 'a copy: while it is imported; while the vApp is deleted',
    request: { mode: 'copy', name: COPY },
    first: after(asked(/importVmIntoExistingVApp$/)),
    second: after(deletes('vapp')),
    end: begunAgain,
    restored: { vapp: COPY, vms: SHOP_VMS },
  },
  {
    what: 'in place: half written; when access is given back',
    request: { mode: 'overwrite' },
    first: after(called('written')),
    second: before(called('endAccess')),
    end: { state: 'failed', attempt: 1, error: expect.objectContaining({ code: 'WORKER_LOST' }) },
  },
];

const MORE: readonly Deaths[] = [
  {
    what: 'a backup: with its snapshot made; while it is removed',
    first: after(called('CreateSnapshot_Task')),
    second: after(called('RemoveSnapshot_Task')),
    end: begunAgain,
  },
  {
    what: 'a backup: while it copies; when maintenance mode is left',
    first: after(called('open')),
    second: before(asked(/exitMaintenanceMode$/)),
    end: begunAgain,
  },
  {
    what: 'a vApp anew: when the old one goes; when it goes indeed',
    request: { mode: 'recreate' },
    first: before(deletes('vapp')),
    second: after(deletes('vapp')),
    end: carriedOn,
    restored: { vapp: SHOP, vms: SHOP_VMS },
  },
  {
    what: 'a VM anew: between the old one and its place; when it takes it',
    request: { mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } },
    first: after(deletes('vm')),
    second: before(({ door, method, object }) => door === 'vcd' && (method === 'PUT' || object.endsWith('/reconfigureVm'))),
    end: carriedOn,
    restored: { vapp: SHOP, vms: ['db-1'] },
  },
];

describe('two deaths in a row', () => {
  let world: KillableWorld;
  let service: KillableService;
  let restorePointId: string;
  /** Those that are there; a copy stays. */
  const vapps = new Set([SHOP]);

  beforeAll(async () => {
    world = await KillableWorld.start({}, { taskDelayMs: 10, seed: FAULT_SEED });
    service = await world.startService();
    await world.register();
    await world.control.checkpoint(FIRST_CHECKPOINT, SHOP);
    restorePointId = String((await world.backUp(SHOP))[0]);
  });
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
  });

  const ask = (request: Record<string, unknown>) =>
    world.api.post<RunView>('/api/v1/restores', { restorePointId, parallelVms: 1, ...request });

  /** Kills the service at that moment of the run, and starts another one when `arm` has set what is to be met next. */
  async function dieAt(met: Promise<GatedRequest>, run: RunView, arm: () => void = () => undefined): Promise<void> {
    const ended = world.ended(run).then(({ state, error }) => {
      throw new Error(`It ended as ${state} without coming there: ${JSON.stringify(error)}`);
    });
    ended.catch(() => undefined);
    await Promise.race([met, ended]);
    expect(await service.kill()).toEqual([]);
    world.simulator.gate.release(false);
    arm();
    service = await world.startService();
  }

  async function assertAsFirst({ vapp, vms }: NonNullable<Deaths['restored']>): Promise<void> {
    const { disks } = await world.control.compare(FIRST_CHECKPOINT, vapp, { ignoreName: true });
    const different = disks.filter((disk) => vms.includes(disk.vm) && disk.differingBytes > 0);
    expect(different.map(({ vm, label }) => `${vm}/${label}`)).toEqual([]);
  }

  it.each(ALL_KILLS ? [...SAMPLE, ...MORE] : SAMPLE)(
    '$what',
    { timeout: 240_000 },
    async ({ request, first, second, end, restored, what }) => {
      const { gate } = world.simulator;
      for (const vm of SHOP_VMS) await world.control.guestWrite(vm, { disk: 0, seed: `${vm}-${what}`, scatteredBlocks: 12 });
      const firstMet = gate.hold({ number: 1, ...first });
      const run = await (request === undefined ? world.startBackup(SHOP) : ask(request));
      let secondMet: Promise<GatedRequest> | undefined;
      await dieAt(firstMet, run, () => {
        secondMet = gate.hold({ number: 1, ...second });
      });
      await dieAt(secondMet as Promise<GatedRequest>, run);
      const ended = await world.ended(run);
      expect(ended).toMatchObject(end);
      if (restored !== undefined) vapps.add(restored.vapp);
      await world.expectNothingOwed([...vapps], 75_000);
      if (restored !== undefined) await assertAsFirst(restored);
      if (ended.result === null) {
        // Neither death has taken it with it.
        expect(ended.warnings).toContainEqual(expect.stringMatching(/^VM "\S+" is half written over/));
        expect((await world.ended(await ask(request ?? {}))).error).toBeNull();
        await assertAsFirst({ vapp: SHOP, vms: SHOP_VMS });
      }
      await world.backUp(SHOP);
    },
  );
});
