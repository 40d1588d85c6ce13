/**
 * What a restore in place writes cannot be undone, and the process that wrote it may be gone: the run says so all the same, and so
 * does each backup of that VM until it is restored.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/jobs/index.js';
import type { GatedRequest } from '../simulator/request-gate.js';
import { FAULT_SEED, SHOP, SHOP_VMS } from './fault-seed.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

describe('a restore in place whose worker is killed', { timeout: 240_000 }, () => {
  let world: KillableWorld;
  let service: KillableService;
  let restorePointId: string;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { taskDelayMs: 10, seed: FAULT_SEED });
    service = await world.startService();
    await world.register();
    restorePointId = String((await world.backUp(SHOP))[0]);
  }, 240_000);
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
  });

  const ask = (request: Record<string, unknown>) =>
    world.api.post<RunView>('/api/v1/restores', { restorePointId, parallelVms: 1, ...request });

  async function killedAt(request: Record<string, unknown>, matching: (request: GatedRequest) => boolean, number = 1): Promise<RunView> {
    for (const vm of SHOP_VMS) await world.control.guestWrite(vm, { disk: 0, seed: `${vm}-${request.mode}`, scatteredBlocks: 24 });
    const held = world.simulator.gate.hold({ number, moment: 'after', matching });
    const run = await ask(request);
    const ended = world.ended(run).then(({ error }) => Promise.reject(new Error(`It never came there: ${JSON.stringify(error)}`)));
    ended.catch(() => undefined);
    await Promise.race([held, ended]);
    await service.kill();
    world.simulator.gate.release(false);
    service = await world.startService();
    return await world.ended(run);
  }

  /** What a backup says of disks that are half written over. */
  async function told(): Promise<string[]> {
    const run = await world.ended(await world.startBackup(SHOP, {}));
    expect(run.error).toBeNull();
    const point = (await world.restorePoints()).find(({ id }) => id === run.result?.restorePointId);
    const ofRestores = (sentences: readonly string[] = []) =>
      sentences.filter((text) => /a restore that came to nothing/.test(text)).toSorted();
    // In the restore point as in the run: whoever restores it sees no run.
    expect(ofRestores(point?.warnings)).toEqual(ofRestores(run.warnings));
    return ofRestores(run.warnings);
  }

  const writtenOver = ({ method }: GatedRequest) => method === 'written';
  const sentence = (vm: string) => `VM "${vm}" is half written over and must not be started; restore it again.`;
  const writtenSentence = (vm: string) => `VM "${vm}" is written over, and what a restore does after that was not done; restore it again.`;
  const warning = (vm: string, runId: string) =>
    `Hard disk 1 of VM "${vm}" is in this restore point as a restore that came to nothing left it (run ${runId}); ` +
    'restore the VM again, or from an earlier restore point.';

  it('says which VM is half written and which was written before it, and so do their backups until they are restored', async () => {
    const end = await killedAt({ mode: 'overwrite' }, writtenOver, 2);
    expect(end).toMatchObject({ state: 'failed', attempt: 1, result: null, error: { code: 'WORKER_LOST' } });
    const half = SHOP_VMS.filter((name) => end.warnings.includes(sentence(name)));
    expect(half).toHaveLength(1);
    expect(end.error?.message).toContain(sentence(String(half[0])));
    expect(end.error?.message).not.toMatch(/Start it again/);
    const written = SHOP_VMS.filter((name) => end.warnings.includes(writtenSentence(name)));
    expect([...half, ...written].toSorted()).toEqual(SHOP_VMS.toSorted());
    const warnings = SHOP_VMS.map((name) => warning(name, end.id)).toSorted();
    expect(await told()).toEqual(warnings);
    // As long as it is so.
    expect(await told()).toEqual(warnings);
    expect((await world.ended(await ask({ mode: 'overwrite' }))).error).toBeNull();
    expect(await told()).toEqual([]);
  });

  it('says so of one disk; a VM that takes the place of the half written one has no part in it', async () => {
    const disk = { vm: 'db-1', disk: 'Hard disk 1' };
    const end = await killedAt({ mode: 'disk', disk, choices: { existingVms: 'overwrite' } }, writtenOver);
    expect(end.warnings).toContain(sentence('db-1'));
    expect(await told()).toEqual([warning('db-1', end.id)]);
    const replaced = await world.ended(await ask({ mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } }));
    expect(replaced.error).toBeNull();
    expect(await told()).toEqual([]);
  });

  it('says that all was undone where nothing was written yet', async () => {
    const end = await killedAt({ mode: 'overwrite' }, ({ method }) => method === 'prepareForAccess');
    expect(end.error).toMatchObject({
      code: 'WORKER_LOST',
      message: expect.stringMatching(/what it had begun was undone\. Start it again\.$/),
    });
    expect(end.warnings.filter((text) => /restore it again/.test(text))).toEqual([]);
    expect(await told()).toEqual([]);
    await world.expectNothingOwed([SHOP], 75_000);
  });
});
