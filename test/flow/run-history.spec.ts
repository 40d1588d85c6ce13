import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { World } from './world.js';

let database: TestDatabase;
let world: World;
beforeAll(async () => {
  database = await startTestDatabase();
  world = await World.start({ environment: { VAPP_VAULT_DATABASE_URL: database.url } });
});
afterAll(async () => {
  await world?.close();
  await database?.stop();
});

async function query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

it('a run is forgotten when it is old, and not before its restore point, nor while a policy or a half written disk names it', {
  timeout: 120_000,
}, async () => {
  const cloudId = await world.register();
  const kept = await world.backUp('sandbox', { quiesce: 'crash' });
  const gone = await world.backUp('intranet', { quiesce: 'crash' });
  const named = await world.backUp('intranet', { quiesce: 'crash' });
  const written = await world.backUp('intranet', { quiesce: 'crash' });
  for (const { id } of [gone, named, written]) await world.api.delete(`/api/v1/restore-points/${id}`);
  await query(
    `INSERT INTO policy_occurrences (vapp_id, due_at, policy_id, policy_name, state, run_id)
     VALUES ('${named.vappId}', now() - interval '1 day', '${cloudId}', 'House', 'done', '${named.runId}')`,
  );
  await query(`INSERT INTO half_written_disks SELECT id, '${written.runId}', 'half written' FROM disks LIMIT 1`);
  await world.restart(async () => {
    await query(`UPDATE runs SET created_at = created_at - interval '401 days', ended_at = ended_at - interval '401 days'`);
  });
  const ids = async () => (await world.api.get<{ items: RunView[] }>('/api/v1/runs')).items.map(({ id }) => id);
  for (let looks = 0; looks < 600 && (await ids()).includes(gone.runId); looks += 1) await sleep(50);
  expect((await ids()).toSorted()).toEqual([kept.runId, named.runId, written.runId].toSorted());
  expect(await query('SELECT DISTINCT run_id FROM obligations')).toEqual(expect.not.arrayContaining([{ run_id: gone.runId }]));
});
