/** That the service looks for everything it promises to tell of: what each source sees has specs of its own. */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AlertView } from '../../src/alerts/types.js';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir, startTestDatabase, type TestDatabase } from '../harness/database.js';

/** Depend on the machine's disks. */
const OF_THE_MACHINE = ['repository-nearly-full', 'second-site-nearly-full'];
const documented = [
  ...readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8').matchAll(
    /^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (?:warning|critical)/gm,
  ),
].flatMap(([, kinds]) => [...(kinds as string).matchAll(/[a-z-]+/g)].map(([kind]) => kind));

let dataDir: string;
let database: TestDatabase;
let service: RunningService | undefined;
beforeAll(async () => {
  dataDir = await makeDataDir();
  database = await startTestDatabase();
});
afterAll(async () => {
  await service?.close();
  await database?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const WRONG = `
  INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords, warnings, created_at, refresh_error)
    VALUES ('c', 'prod', '{}', '[]', '', '[]', now() - interval '3 hours', 'VCD refused the login');
  INSERT INTO vapps (id, cloud_id, vcloud_id, name, href, organization_id, vdc_id, owner_name, status, vm_count, storage_kib, in_maintenance_mode, last_seen_at)
    VALUES ('v', 'c', 'urn:v', 'shop', '', 'org-1', 'vdc-1', '', 'POWERED_ON', 1, 1, false, now());
  INSERT INTO vapps SELECT (jsonb_populate_record(v, jsonb_build_object('id', gone, 'vcloud_id', gone, 'present', false))).*
    FROM vapps v, unnest('{g1,g2,g3,g4,g5}'::text[]) gone;
  INSERT INTO vanished_objects SELECT gone, gone, 'vapp', 'shop', now() - interval '6 days' FROM unnest('{g1,g2,g3,g4,g5}'::text[]) gone;
  INSERT INTO policies VALUES ('p', 'Monthly', '{"cloudId": "gone"}', true, false, '{}', 1, now(), now());
  INSERT INTO policies VALUES ('m', 'By tier', '{"cloudId": "c", "metadata": []}', true, false, '{}', 1, now(), now());
  INSERT INTO metadata_reads VALUES ('c', now() - interval '3 hours', NULL, 3, 'VCD refused the login');
  INSERT INTO policy_clock (only_row, ticked_at, looked_at, resumed_at, paused_ms)
    VALUES (true, now() - interval '3 hours', now() - interval '3 hours', now() - interval '3 hours', 0);
  INSERT INTO policy_objects (vapp_id, cloud_id, schedule_key, schedule_policy, since_at, rpo_missed_since)
    VALUES ('v', 'c', 'cron', 'Monthly', now(), now() - interval '1 hour');
  INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, ended_at, error) VALUES
    ('backup', 'backup', 'failed', 'vApp "shop"', 'org-1', '{}', 'vapp:v', now() - interval '20 days', '{"code": "X", "message": "No."}'),
    ('gc', 'gc', 'failed', 'collection', '', '{}', 'repository:gc', now() - interval '20 days', '{"code": "X", "message": "No."}');
  INSERT INTO runs (id, kind, state, subject, organization_id, payload, exclusive_key, ended_at, result)
    VALUES ('degraded', 'backup', 'warning', 'vApp "wiki"', 'org-1', '{}', 'vapp:w', now() - interval '1 hour', '{"halfWritten": ["Hard disk 1 of VM \\"db\\""]}');
  INSERT INTO obligations (id, run_id, kind, terms, created_at, attempts) VALUES ('o', 'backup', 'vcd.maintenance', '{}', now() - interval '3 hours', 4);
  INSERT INTO runs (id, kind, state, subject, organization_id, payload, queued_at)
    VALUES ('waits', 'backup', 'queued', 'vApp "shop"', 'org-1', '{}', now() - interval '3 hours');
  INSERT INTO maintenance_state (name, value) VALUES ('damage:first',
    '{"org-1": {"findings": 1, "restorePoints": 1, "worst": "512 bytes are lost", "foundAt": "2026-11-23T04:00:00.000Z", "runId": "verify"}}');`;

it('looks for every kind of alert that docs/operations.md names', async () => {
  let key = '';
  const config = loadConfig({
    ...{ VAPP_VAULT_DATA_DIR: dataDir, VAPP_VAULT_DATABASE_URL: database.url, VAPP_VAULT_ROLE: 'api' },
    ...{ VAPP_VAULT_PORT: '0', VAPP_VAULT_ALERTS_LOOK_SECONDS: '5' },
  });
  await (await database.connect([])).query(WRONG);
  service = await startService(config, {
    log: silentLogger,
    alerts: { settleMs: 0 },
    showFirstKey: (made) => {
      key = made;
    },
  });
  const firing = async () => {
    const answer = await fetch(`${service?.url}/api/v1/alerts?limit=200`, { headers: { authorization: `Bearer ${key}` } });
    return ((await answer.json()) as { items: AlertView[] }).items.filter(({ kind }) => !OF_THE_MACHINE.includes(kind));
  };
  const kinds = async () => [...new Set((await firing()).map(({ kind }) => kind))].toSorted();
  expect(documented).toEqual(expect.arrayContaining(OF_THE_MACHINE));
  await expect.poll(kinds, { timeout: 20_000 }).toEqual(documented.filter((kind) => !OF_THE_MACHINE.includes(kind)).toSorted());
  const failed = (await firing()).filter(({ kind }) => kind === 'run-failed').map(({ details }) => details.runId);
  // Of schedules that are rarer than weekly: a policy's, and maintenance.
  expect(failed.toSorted()).toEqual(['backup', 'gc']);
});
