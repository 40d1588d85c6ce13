/**
 * A worker that dies while it restores into a VCD catalog. What is owed then, besides the VMs and the vApp that a
 * template is captured from.
 *
 * Before the hand-over the run is begun again: there is one of what was asked for, and nothing of the first attempt.
 *
 * | step                           | owed                          | paid by whoever finds the run           |
 * | ------------------------------ | ----------------------------- | --------------------------------------- |
 * | capture the vApp, a template   | vcd.template (unique name)    | the template is deleted                 |
 * | upload a medium                | vcd.media (unique name)       | the upload is stopped, the medium goes  |
 * | hand-over of a replacement     | vcd.replace-item              | the old one goes, the new one is named  |
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALL_KILLS } from './all-kills.js';
import type { RunView } from '../../src/jobs/index.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import type { Seed } from '../simulator/seeds/schema.js';
import type { GatedRequest, GateMoment } from '../simulator/request-gate.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

const MIB = 2 ** 20;
const RECOVERY_TIMEOUT_MS = 60_000;
const VAPPS = ['golden', 'lone', 'erp'];

/** Only what the catalogs are made of, and small. */
function seed(): Seed {
  const everything = everythingSeed();
  const vapps = everything.vapps.filter(({ name }) => VAPPS.includes(name));
  for (const disk of vapps.flatMap(({ vms }) => vms.flatMap(({ disks }) => disks)))
    Object.assign(disk, { capacityBytes: 4 * MIB, dataBytes: MIB });
  return { ...everything, vapps, disks: [], affinityRules: [], instances: [], snapshots: [] };
}

/** The first attempt's death is a warning, and there is nothing else to say. */
const begunAgain = { state: 'warning', attempt: 2, error: null, warnings: [expect.stringContaining('disappeared')] };

interface CatalogState {
  vappTemplates: { id: string; name: string }[];
  media: { id: string; name: string }[];
}

describe('a worker killed in a restore into a catalog', { timeout: 180_000 }, () => {
  let world: KillableWorld;
  let service: KillableService;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { seed: seed() });
    service = await world.startService();
    await world.register();
  }, 60_000);
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
  });

  const backUp = async (kind: string, name: string): Promise<string> => {
    const { items } = await world.api.get<{ items: { id: string }[] }>(`/api/v1/vapps?kind=${kind}&name=${name}`);
    const run = await world.ended(await world.api.post<RunView>('/api/v1/backups', { vappId: items[0]?.id, settings: {} }));
    expect(run.error).toBeNull();
    return String(run.result?.restorePointId);
  };
  const items = async () => {
    const { vappTemplates, media } = await world.control.state<CatalogState>();
    return { templates: vappTemplates.map(({ name }) => name).sort(), media: media.map(({ name }) => name).sort() };
  };
  const idOf = async (kind: keyof CatalogState, name: string) =>
    (await world.control.state<CatalogState>())[kind].find((each) => each.name === name)?.id;

  /** @returns the run whose worker died when `reached` came true, when nothing is owed any more. */
  async function killWhen(reached: () => Promise<unknown>, request: Record<string, unknown>): Promise<RunView> {
    const run = await world.api.post<RunView>('/api/v1/restores', { parallelVms: 1, ...request });
    const first = await Promise.race([reached().then(() => undefined), world.ended(run)]);
    if (first !== undefined) throw new Error(`The run ended before: ${JSON.stringify(first.error)}`);
    expect(await service.kill()).toEqual([]);
    world.simulator.gate.release(false);
    await world.control.clearFaults();
    service = await world.startService();
    await world.expectNothingOwed(VAPPS, RECOVERY_TIMEOUT_MS);
    return world.run(run.id);
  }
  async function killIn(request: Record<string, unknown>, moment: GateMoment, method: string, path: RegExp): Promise<RunView> {
    const matching = (gated: GatedRequest) => gated.door === 'vcd' && gated.method === method && path.test(gated.object);
    const reached = world.simulator.gate.hold({ number: 1, moment, matching });
    return killWhen(() => reached, request);
  }

  describe('of a template', () => {
    let restorePointId: string;
    beforeAll(async () => {
      restorePointId = await backUp('vapp-template', 'pair');
    }, 60_000);

    it.runIf(ALL_KILLS).each<[string, string, GateMoment, string, RegExp]>([
      ['VCD has begun to capture it', 'pair-2', 'after', 'POST', /\/action\/captureVApp$/],
      ['its settings are put back', 'pair-3', 'before', 'PUT', /\/vAppTemplate\/vappTemplate-[^/]+$/],
    ])('is made by another one, once, and no vApp is left: %s', { timeout: 120_000 }, async (_, name, moment, method, path) => {
      const { templates, media } = await items();
      const run = await killIn({ restorePointId, mode: 'template', name }, moment, method, path);
      expect(run).toMatchObject({ ...begunAgain, result: { templateName: name } });
      expect(await items()).toEqual({ templates: [...templates, name].sort(), media });
    });

    const handedOver: [string, RegExp][] = [
      ['the old one has not gone', /\/vAppTemplate\/vappTemplate-[^/]+$/],
      ['its vApp has not gone', /\/vApp\/vapp-[^/]+$/],
    ];
    it.each(ALL_KILLS ? handedOver : handedOver.slice(0, 1))(
      'is carried to its end once it is handed over: %s',
      { timeout: 120_000 },
      async (_, path) => {
        const old = await idOf('vappTemplates', 'pair');
        const before = await items();
        const run = await killIn({ restorePointId, mode: 'template', choices: { existingItem: 'replace' } }, 'before', 'DELETE', path);
        expect(run).toMatchObject({ state: 'warning', error: null, result: { templateName: 'pair' } });
        expect(await items()).toEqual(before);
        expect(await idOf('vappTemplates', 'pair')).not.toBe(old);
      },
    );
  });

  describe('of a medium', () => {
    let restorePointId: string;
    beforeAll(async () => {
      restorePointId = await backUp('media', 'installer');
    }, 60_000);

    it.runIf(ALL_KILLS)('is uploaded by another one, once: VCD has made it', { timeout: 120_000 }, async () => {
      const { templates, media } = await items();
      const run = await killIn({ restorePointId, mode: 'medium', name: 'disc-2' }, 'after', 'POST', /\/action\/upload$/);
      expect(run).toMatchObject({ ...begunAgain, result: { mediaName: 'disc-2' } });
      expect(await items()).toEqual({ templates, media: [...media, 'disc-2'].sort() });
    });

    it('is uploaded by another one, once: its bytes are under way', { timeout: 120_000 }, async () => {
      const { templates, media } = await items();
      const sending = await world.hold({ door: 'vcd', method: 'PUT', path: '^/transfer/', delayMs: 20_000 });
      const run = await killWhen(sending, { restorePointId, mode: 'medium', name: 'disc-3' });
      expect(run).toMatchObject({ ...begunAgain, result: { mediaName: 'disc-3' } });
      expect(await items()).toEqual({ templates, media: [...media, 'disc-3'].sort() });
    });

    it.runIf(ALL_KILLS)('is carried to its end once it is handed over', { timeout: 120_000 }, async () => {
      const old = await idOf('media', 'installer');
      const before = await items();
      const request = { restorePointId, mode: 'medium', choices: { existingItem: 'replace' } };
      const run = await killIn(request, 'before', 'DELETE', /\/media\/[^/]+$/);
      expect(run).toMatchObject({ state: 'warning', error: null, result: { mediaName: 'installer' } });
      expect(await items()).toEqual(before);
      expect(await idOf('media', 'installer')).not.toBe(old);
    });
  });
});
