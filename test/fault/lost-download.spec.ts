/** A worker that dies while it downloads a medium leaves VCD keeping a file for nobody, until whoever finds the run ends that. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import { KillableWorld } from './killable-world.js';

const RECOVERY_TIMEOUT_MS = 30_000;

describe('a worker killed in the middle of a download', { timeout: 180_000 }, () => {
  let world: KillableWorld;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { seed: everythingSeed() });
  });
  afterAll(() => world?.close());

  const downloads = async () => {
    const { media } = await world.control.state<{ media: { name: string; downloadEnabled: boolean }[] }>();
    return media.filter(({ downloadEnabled }) => downloadEnabled).map(({ name }) => name);
  };

  it('leaves none enabled, and the next backup is whole', { timeout: 90_000 }, async () => {
    const service = await world.startService();
    await world.register();
    const { items } = await world.api.get<{ items: { id: string }[] }>('/api/v1/vapps?kind=media&name=installer');
    const start = () => world.api.post<RunView>('/api/v1/backups', { vappId: items[0]?.id, settings: {} });

    const inTheMiddle = await world.hold({ door: 'vcd', method: 'GET', path: '^/transfer/', delayMs: 20_000 });
    const run = await start();
    await inTheMiddle();
    expect(await downloads()).toEqual(['installer']);
    expect((await world.run(run.id)).openObligations).toMatchObject([{ kind: 'vcd.download' }]);
    expect(await service.kill()).toEqual([]);
    await world.control.clearFaults();
    await world.startService();

    // Another worker has taken it up.
    const lost = await world.ended(run);
    expect(lost).toMatchObject({ state: 'warning', attempt: 2, error: null, result: { sizeBytes: 3 * 2 ** 20 + 2048 } });
    for (const deadline = performance.now() + RECOVERY_TIMEOUT_MS; (await world.run(run.id)).openObligations.length > 0; await sleep(50)) {
      expect(performance.now()).toBeLessThan(deadline);
    }
    expect(await downloads()).toEqual([]);
    expect(await world.restorePoints()).toHaveLength(1);

    const again = await world.ended(await start());
    expect(again).toMatchObject({ error: null, result: { sizeBytes: 3 * 2 ** 20 + 2048 } });
    expect(await downloads()).toEqual([]);
  });
});
