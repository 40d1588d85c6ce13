import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { FAULT_SEED, SHOP } from './fault-seed.js';
import { KillableWorld } from './killable-world.js';

describe('a rebuild of the catalog whose worker is killed', () => {
  let database: TestDatabase;
  let world: KillableWorld;
  beforeAll(async () => {
    database = await startTestDatabase();
    world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url }, { taskDelayMs: 10, seed: FAULT_SEED });
  });
  afterAll(async () => {
    await world?.close();
    await database?.stop();
  });

  it('is begun again, because it only adds', { timeout: 180_000 }, async () => {
    const service = await world.startService();
    await world.register();
    const [restorePointId] = await world.backUp(SHOP);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    let run: RunView;
    try {
      await client.query('DELETE FROM restore_points WHERE id = $1', [restorePointId]);
      // Whoever asks what the catalog knows waits until this is given back.
      await client.query('BEGIN; LOCK TABLE restore_points');
      run = await world.api.post<RunView>('/api/v1/repository/rebuild-catalog', {});
      await begun(run, client);
      await service.kill();
    } finally {
      await client.end();
    }
    await world.startService();
    expect(await world.ended(run)).toMatchObject({ state: 'warning', attempt: 2, error: null, result: { restorePoints: 1, adopted: 1 } });
    await world.expectCatalogFollows();
  });
});

/** It cannot end before the lock is given back. */
async function begun({ id }: RunView, client: pg.Client): Promise<void> {
  const state = async () => (await client.query<{ state: string }>('SELECT state FROM runs WHERE id = $1', [id])).rows[0]?.state;
  for (let looks = 0; (await state()) !== 'running'; looks += 1) {
    if (looks > 600) throw new Error('The rebuild was never begun');
    await sleep(50);
  }
}
