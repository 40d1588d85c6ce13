/** The service dies in the middle of what it does to a restore point on somebody's word: deleting it, putting it under a legal hold. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { LegalHoldView } from '../../src/catalog/legal-hold.service.js';
import type { GatedRequest } from '../simulator/request-gate.js';
import { FAULT_SEED, SHOP } from './fault-seed.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';
import { RepositoryDoor } from './repository-door.js';

describe('a service killed between the repository and its database', { timeout: 180_000 }, () => {
  let world: KillableWorld;
  let door: RepositoryDoor;
  let service: KillableService;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { taskDelayMs: 10, seed: FAULT_SEED });
    door = await RepositoryDoor.open(world.simulator.gate, world.repositoryDir);
    service = await world.startService(door.environment);
    await world.register();
  }, 120_000);
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
    await door?.close();
  });

  /** Kills the service once the repository has done it, and starts another one. */
  async function killAfter(method: string, object: RegExp, ask: () => Promise<unknown>): Promise<void> {
    const matching = (request: GatedRequest) => request.door === 'repository' && request.method === method && object.test(request.object);
    const held = world.simulator.gate.hold({ number: 1, moment: 'after', matching });
    const asked = ask().catch((error: unknown) => error);
    await held;
    expect(await service.kill()).toEqual([]);
    expect(await asked).toBeInstanceOf(Error);
    world.simulator.gate.release(false);
    service = await world.startService(door.environment);
  }

  it('has deleted a restore point whose manifest was gone: it is listed no more, and the one before can be restored', async () => {
    const [older] = (await world.backUp(SHOP)) as [string];
    const [newest] = (await world.backUp(SHOP)) as [string];
    await killAfter('unlink', /manifests\//, () => world.api.delete(`/api/v1/restore-points/${newest}`));
    expect((await world.restorePoints()).map(({ id }) => id)).toEqual([older]);
    await world.expectCatalogFollows();
    // While the row is there, the restore point is being deleted.
    const hold = () => world.api.post(`/api/v1/restore-points/${newest}/legal-holds`, { reason: 'case 4711' });
    await vi.waitFor(() => expect(hold()).rejects.toThrow('answered 404'), { timeout: 60_000, interval: 200 });
    await world.expectRestores(older, 'shop-of-older');
  });

  it('shows the legal hold that it was placing, and lets it be released', async () => {
    const [id] = (await world.backUp(SHOP)) as [string];
    const holds = `/api/v1/restore-points/${id}/legal-holds`;
    await killAfter('link', /locks\/.*hold$/, () => world.api.post(holds, { reason: 'case 4711' }));
    const found = await vi.waitFor(
      async () => {
        const { items } = await world.api.get<{ items: LegalHoldView[] }>(holds);
        expect(items).toMatchObject([{ placedBy: 'the repository', releasedAt: null }]);
        return items[0] as LegalHoldView;
      },
      { timeout: 60_000, interval: 200 },
    );
    await world.api.post(`/api/v1/legal-holds/${found.id}/release`, { releaseReason: 'closed' });
    await world.api.delete(`/api/v1/restore-points/${id}`);
    await world.expectCatalogFollows();
  });
});
