/**
 * What a service writes with each version of the schema, as SQL: figures past 2^32 and 2 TiB, what may be null null and not null,
 * every kind. A migration that adds a table or a column gets an entry here, or migrations.spec.ts fails.
 */
const TIME = `'2026-03-29T00:59:59.123456Z'`;
const LATER = `'2026-10-25T01:00:00.654321Z'`;
const CAPACITY_BYTES = 68_169_720_922_112;

/** Of the key `vv_` and 43 times the letter k. */
export const API_KEY = `vv_${'k'.repeat(43)}`;

export const ROWS: Readonly<Record<string, string>> = {
  '0001-clouds': `
    INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords, warnings, created_at, refreshed_at, refresh_error) VALUES
      ('cloud-1', 'prod', '{"url": "https://vcd.invalid", "organization": "System", "userName": "vault", "trust": {}}',
       '[{"instanceUuid": "vc-1", "url": "https://vc.invalid", "userName": "vault", "trust": {}}]', '\\x01aa55', '["one"]', ${TIME}, ${LATER}, NULL),
      ('cloud-2', 'spare „2“', '{"url": "https://spare.invalid", "organization": "System", "userName": "vault", "trust": {}}', '[]', '\\x01', '[]', ${TIME}, NULL, 'away');`,

  '0002-catalog': `
    INSERT INTO organizations VALUES ('cloud-1', 'org-1', 'acme', 'Acme Ltd', 'https://vcd.invalid/org/1', true, true, ${TIME});
    INSERT INTO vdcs VALUES ('cloud-1', 'vdc-1', 'gold', 'https://vcd.invalid/vdc/1', 'org-1', true, false, ${TIME});
    INSERT INTO vapps (id, cloud_id, vcloud_id, name, href, organization_id, vdc_id, owner_name, status, vm_count, storage_kib, in_maintenance_mode, present, last_seen_at)
      VALUES ('vapp-1', 'cloud-1', 'urn:vcloud:vapp:1', 'shop', 'https://vcd.invalid/vApp/1', 'org-1', 'vdc-1', 'ann', 'POWERED_ON', 2, 66571993088, true, true, ${TIME}),
             ('vapp-2', 'cloud-9', 'urn:vcloud:vapp:2', 'gone', '', 'org-1', 'vdc-1', '', 'POWERED_OFF', 0, 0, false, false, ${TIME});
    INSERT INTO vapp_aliases VALUES ('cloud-1', 'urn:vcloud:vapp:1', 'vapp-1'), ('cloud-1', 'urn:vcloud:vapp:old', 'vapp-1');
    INSERT INTO vms VALUES
      ('vm-1', 'cloud-1', 'urn:vcloud:vm:1', 'vapp-1', 'db', 'https://vcd.invalid/vApp/vm-1', 'POWERED_ON', 'vm-42', 'vc-1', 'esx1', 'ds1', true, ${TIME}),
      ('vm-2', 'cloud-1', 'urn:vcloud:vm:2', NULL, 'lost', '', 'UNKNOWN', '', '', '', '', false, ${TIME});
    INSERT INTO vm_aliases VALUES ('vcloud', 'cloud-1', 'urn:vcloud:vm:1', 'vm-1'), ('instance-uuid', 'cloud-1', '50-1', 'vm-1'), ('mo-ref', 'vc-1', 'vm-42', 'vm-1');
    INSERT INTO disks VALUES ('disk-1', 'vm-1', 2000, '6000C29-1', 'Hard disk 1');
    INSERT INTO restore_points (id, organization_id, cloud_id, vapp_id, vapp_name, created_at, kind, run_id, vm_count, capacity_bytes, read_bytes, new_bytes, stored_bytes, warnings)
      VALUES ('point-1', 'org-1', 'cloud-1', 'vapp-1', 'shop', ${TIME}, 'full', 'run-1', 1, ${CAPACITY_BYTES}, 8589934593, 4294967297, 2199023255553, '["no quiescing"]'),
             ('point-2', 'org-1', 'cloud-1', 'vapp-1', 'shop', ${LATER}, 'incremental', 'run-2', 1, ${CAPACITY_BYTES}, 1, 1, 1, '[]');
    INSERT INTO restore_point_vms VALUES ('point-1', 'vm-1', 0, 'db'), ('point-2', 'vm-1', 0, 'db');
    INSERT INTO restore_point_disks VALUES
      ('point-1', 'vm-1', 'disk-1', 0, 'Hard disk 1', 2000, '6000C29-1', ${CAPACITY_BYTES}, 2199023255553, 7, 6, 5, 4, 3600001, 'full', 'first', 'nbdssl', '52 de/1', 'index-1', 262144),
      ('point-2', 'vm-1', 'disk-1', 0, 'Hard disk 1', 2000, NULL, ${CAPACITY_BYTES}, 3, 7, 6, 5, 4, 1, 'incremental', NULL, 'hotadd', NULL, 'index-2', 262144);`,

  '0003-jobs': `
    INSERT INTO runs (id, kind, state, subject, organization_id, exclusive_key, payload, steps, progress, warnings, error, result, attempt, revision, created_at, started_at, ended_at, cancel_requested_at, lease_owner, lease_expires_at)
      VALUES
      ('run-1', 'backup', 'succeeded', 'vApp "shop"', 'org-1', 'vapp:vapp-1', '{"vappId": "vapp-1"}', '[{"name": "snapshot", "state": "succeeded", "startedAt": "2026-03-29T00:59:59Z", "endedAt": null, "error": null, "attempt": 1}]', '{"db": {"doneBytes": 8589934593, "totalBytes": 8589934593}}', '["w"]', NULL, '{"restorePointId": "point-1"}', 1, 9, ${TIME}, ${TIME}, ${LATER}, NULL, NULL, NULL),
      ('run-2', 'backup', 'failed', 'vApp "shop"', 'org-1', 'vapp:vapp-1', '{}', '[]', '{}', '[]', '{"code": "VCD_UNREACHABLE", "message": "away"}', NULL, 2, 4, ${TIME}, ${TIME}, ${LATER}, ${TIME}, NULL, NULL),
      ('run-3', 'restore', 'running', 'vApp "shop"', 'org-1', 'vapp:vapp-9', '{}', '[]', '{}', '[]', NULL, NULL, 1, 2, ${TIME}, ${TIME}, NULL, NULL, 'worker-1', ${LATER}),
      ('run-4', 'backup', 'queued', 'vApp "shop"', 'org-1', NULL, '{}', '[]', '{}', '[]', NULL, NULL, 0, 0, ${TIME}, NULL, NULL, NULL, NULL, NULL),
      ('run-5', 'gc', 'cancelled', 'the repository', '', NULL, '{}', '[]', '{}', '[]', NULL, NULL, 0, 0, ${TIME}, NULL, ${LATER}, ${LATER}, NULL, NULL),
      ('run-6', 'verify', 'warning', 'the repository', '', NULL, '{}', '[]', '{}', '["damage"]', NULL, '{}', 1, 1, ${TIME}, ${TIME}, ${LATER}, NULL, NULL, NULL);
    INSERT INTO obligations (id, run_id, kind, terms, created_at, settled_at, attempts, last_error, next_try_at, claimed_by, claimed_until) VALUES
      ('debt-1', 'run-3', 'maintenance-mode', '{"vapp": "1"}', ${TIME}, NULL, 3, 'away', ${LATER}, 'worker-1', ${LATER}),
      ('debt-2', 'run-2', 'snapshot', '{"moRef": "snapshot-7"}', ${TIME}, ${LATER}, 1, NULL, NULL, NULL, NULL);`,

  '0004-access': `
    INSERT INTO api_keys (id, name, prefix, digest, role, organization_id, created_at, last_used_at, revoked_at) VALUES
      ('key-1', 'first', 'vv_kkkk', sha256('${API_KEY}'::bytea), 'provider-admin', NULL, ${TIME}, ${LATER}, NULL),
      ('key-2', 'acme', 'vv_abcd', '\\x02', 'provider-viewer', 'org-1', ${TIME}, NULL, ${LATER});`,

  '0005-inventory': `
    INSERT INTO vapps (id, cloud_id, vcloud_id, name, href, organization_id, vdc_id, owner_name, status, vm_count, storage_kib, in_maintenance_mode, last_seen_at, kind, vcd_catalog_id, vcd_catalog_name)
      SELECT 'vapp-' || kind, 'cloud-1', 'urn:' || kind, kind, '', 'org-1', 'vdc-1', '', 'RESOLVED', 1, 1, false, ${TIME}, kind, 'catalog-1', 'golden'
      FROM unnest(ARRAY['standalone-vm', 'vapp-template', 'media']) AS kind;
    INSERT INTO restore_points (id, organization_id, cloud_id, vapp_id, vapp_name, created_at, kind, run_id, vm_count, capacity_bytes, read_bytes, new_bytes, stored_bytes, warnings, source_kind)
      SELECT 'point-' || kind, 'org-1', 'cloud-1', 'vapp-' || kind, kind, ${TIME}, 'full', 'run-1', 1, 1, 1, 1, 1, '[]', kind
      FROM unnest(ARRAY['standalone-vm', 'vapp-template', 'media']) AS kind;
    INSERT INTO named_disks VALUES ('cloud-1', 'nd-1', 'shared', 'https://vcd.invalid/disk/1', 'org-1', 'vdc-1', 'ann', 'RESOLVED', 4294967297, 'gold', '6', 'lsilogic', 2, true, ${TIME});
    INSERT INTO cloud_resources VALUES ('cloud-1', 'network', 'net-1', 'dmz', '', 'org-1', 'vdc-1', '{"fence": "bridged"}', true, ${TIME});
    INSERT INTO inventory_states VALUES ('cloud-1', ${TIME}, ${LATER});`,

  '0006-cloud-accounts': `
    UPDATE clouds SET revision = 7, vim_server_ids = '["urn:vcloud:vimserver:1"]' WHERE id = 'cloud-2';
    INSERT INTO service_account_tokens VALUES ('account-1', '\\x01ff', ${TIME}, ${LATER});`,

  '0007-second-look': `
    UPDATE obligations SET look_again_at = ${LATER} WHERE id = 'debt-2';`,

  '0008-second-site-and-schedules': `
    UPDATE restore_points SET copied_at = ${LATER}, copy_requested_at = ${TIME}, held_until = '2033-01-01Z' WHERE id = 'point-1';
    INSERT INTO maintenance_schedule VALUES ('verify', ${TIME}, 'run-6');
    INSERT INTO maintenance_state VALUES ('verify:first', '{"after": "pack-7"}', ${TIME});`,

  '0009-policies': `
    UPDATE runs SET cancel_reason = 'the window ended' WHERE id = 'run-5';
    UPDATE clouds SET refresh_tried_at = ${LATER} WHERE id = 'cloud-1';
    UPDATE restore_points SET complete = false, locked_until = '2033-01-01Z' WHERE id = 'point-2';
    INSERT INTO legal_holds VALUES ('hold-1', 'point-1', 'case 7', ${TIME}, 'first', NULL, NULL, NULL), ('hold-2', 'point-2', 'case 8', ${TIME}, 'first', ${LATER}, 'first', 'closed');
    INSERT INTO policies VALUES ('policy-1', 'Nightly', '{"level": "provider"}', true, true, '{"retention": {"keepLast": 3, "timeZone": "Europe/Berlin"}}', 2, ${TIME}, ${LATER});
    INSERT INTO policy_objects VALUES ('vapp-1', 'cloud-1', 'Nightly', '{policy-1}', 'cron', 'policy-1', ${TIME}, 'point-1', ${LATER});
    INSERT INTO policy_occurrences SELECT 'vapp-1', ${TIME}::timestamptz + n * interval '1 day', 'policy-1', 'Nightly', state, 'run-' || n, 1, NULL, NULL, 3600001
      FROM unnest(ARRAY['made', 'waiting', 'done', 'failed', 'cancelled', 'superseded']) WITH ORDINALITY AS of (state, n);
    INSERT INTO policy_clock VALUES (true, ${TIME}, ${TIME}, 86400000, NULL, ${LATER});
    INSERT INTO vanished_objects VALUES ('vapp-2', 'vapp-2', 'vapp', 'gone', ${TIME});`,

  '0010-run-queue-and-alerts': `
    UPDATE runs SET priority = 9, losses = 2, retry_of = 'run-2' WHERE id = 'run-4';
    INSERT INTO run_turns VALUES ('org-1', ${TIME}, true);
    INSERT INTO run_totals VALUES ('backup', 'succeeded', 5000000000, 1.5, '{1,2,3}');
    INSERT INTO service_totals VALUES ('bytes_read', 9007199254740991);
    INSERT INTO workers VALUES ('worker-1', ${TIME}, ${LATER});
    INSERT INTO permits (id, worker_id, keys, amounts, lacking, asked_at, granted_at) VALUES
      ('permit-1', 'worker-1', '{vc-1,esx1}', '{1,4294967297}', '{}', ${TIME}, ${LATER}), ('permit-2', 'worker-1', '{vc-1}', '{1}', '{vc-1}', ${TIME}, NULL);
    INSERT INTO alerts VALUES ('alert-1', 'backup:vapp-1', 'run-failed', 'warning', 'org-1', 'vApp "shop"', 'It failed.', '{"runId": "run-2"}', ${TIME}, ${LATER}, NULL);
    INSERT INTO alert_messages VALUES ('message-1', 'alert-1', 'resolved', 'webhook', '{}', ${LATER}, 2, ${LATER}, 'away', NULL, NULL),
      ('message-2', 'alert-1', 'firing', 'webhook', '{}', ${TIME}, 2, ${LATER}, 'away', NULL, NULL);`,

  '0011-first-class-disks': `
    INSERT INTO vapps (id, cloud_id, vcloud_id, name, href, organization_id, vdc_id, owner_name, status, vm_count, storage_kib, in_maintenance_mode, last_seen_at, kind)
      VALUES ('fcd-1', 'cloud-1', 'fcd:vc-1:disk', 'pvc-1', '', '', '', '', 'RESOLVED', 0, 1, false, ${TIME}, 'first-class-disk');
    INSERT INTO restore_points (id, organization_id, cloud_id, vapp_id, vapp_name, created_at, kind, run_id, vm_count, capacity_bytes, read_bytes, new_bytes, stored_bytes, warnings, source_kind)
      VALUES ('point-fcd', '', 'cloud-1', 'fcd-1', 'pvc-1', ${TIME}, 'full', 'run-1', 0, 1, 1, 1, 1, '[]', 'first-class-disk');
    INSERT INTO first_class_disks VALUES ('fcd-1', 'vc-1', 'fcd-id', 'datastore-1', 'ds1', '[ds1] fcd/a.vmdk', 'thin', true, 'nd-1', '["vm-1"]');`,

  '0012-catalog-rebuild': '',

  '0013-restore-point-holds': `
    INSERT INTO runs (id, kind, state, subject, organization_id, exclusive_key, payload, ended_at)
      VALUES ('run-7', 'hold', 'cancelled', 'its retention', 'org-1', 'repository:hold:point-2', '{}', ${LATER});
    UPDATE restore_points SET locked_until = '2033-01-01Z', held_until = '2033-01-01Z' WHERE id = 'point-2';
    INSERT INTO restore_point_holds VALUES ('00000000-0000-4000-8000-000000000001', 'point-1', 'export-1', ${LATER});`,

  '0014-organization-keys': `
    INSERT INTO api_keys (id, name, prefix, digest, role, organization_id) VALUES
      ('key-3', 'acme', 'vv_efgh', '\\x03', 'organization-admin', 'org-1');`,

  '0015-waits-and-adoptions': '',

  '0016-database-identity': `
    INSERT INTO database_identity VALUES (true, '7301234567890123456-16384');`,

  '0017-attempts-and-silences': '',

  '0018-alert-message-order': `
    INSERT INTO alert_messages (id, alert_id, event, channel, body) VALUES ('message-0', 'alert-1', 'firing', 'email', '{}');`,

  '0019-alert-looks': `
    UPDATE alert_looks SET kept = 9007199254740993;`,

  '0020-deletions-and-holds': `
    UPDATE restore_points SET deleting_at = ${TIME} WHERE id = 'point-2';`,

  '0021-half-written-disks': `
    INSERT INTO half_written_disks VALUES ('disk-1', 'run-1', 'VM "db" is half written over and must not be started; restore it again.');`,

  '0022-forgotten-runs': `
    INSERT INTO runs (id, kind, state, subject, organization_id, payload, created_at, ended_at)
      VALUES ('run-years-ago', 'backup', 'succeeded', 'vApp "shop"', 'org-1', '{}', '2019-03-31T01:00:00Z', '2019-03-31T02:00:00Z');
    INSERT INTO obligations (id, run_id, kind, terms, created_at, settled_at)
      VALUES ('debt-years-ago', 'run-years-ago', 'snapshot', '{}', '2019-03-31T01:00:00Z', '2019-03-31T02:00:00Z');`,

  '0023-refused-choices': `
    UPDATE policy_objects SET choice_refused_at = ${LATER} WHERE vapp_id = 'vapp-1';`,

  '0024-lost-schedules': `
    INSERT INTO policy_objects (vapp_id, cloud_id, schedule_lost_at, lost_policy) VALUES ('vapp-2', 'cloud-1', ${LATER}, 'Nightly');`,

  '0025-looks-that-fail': `
    INSERT INTO metadata_reads VALUES ('cloud-1', ${TIME}, ${LATER}, 0, NULL), ('cloud-2', ${TIME}, NULL, 4, 'away');
    UPDATE policy_clock SET done_at = ${TIME}, failure = 'The policies of cloud "cloud-1" could not be looked at: away';
    UPDATE clouds SET refresh_unended = 3, unlisted_vcenters = '{"vc-1": {"url": "https://vc.invalid", "sinceAt": "2026-03-29T00:59:59.123Z", "error": "away"}}'
      WHERE id = 'cloud-2';`,
};

/** What a service reads of rows that an older one wrote: by migration, a question and its one answer. */
export const CONVERTED: Readonly<Record<string, readonly (readonly [question: string, answer: unknown])[]>> = {
  '0005-inventory': [
    [`SELECT count(*)::int FROM vapps WHERE id IN ('vapp-1', 'vapp-2') AND kind <> 'vapp'`, 0],
    [`SELECT count(*)::int FROM restore_points WHERE id IN ('point-1', 'point-2') AND source_kind <> 'vapp'`, 0],
  ],
  '0006-cloud-accounts': [[`SELECT revision || vim_server_ids::text FROM clouds WHERE id = 'cloud-1'`, '1[]']],
  '0007-second-look': [[`SELECT count(*)::int FROM obligations WHERE look_again_at IS NOT NULL`, 0]],
  '0008-second-site-and-schedules': [[`SELECT count(*)::int FROM restore_points WHERE copied_at IS NOT NULL OR held_until IS NOT NULL`, 0]],
  '0009-policies': [[`SELECT count(*)::int FROM restore_points WHERE NOT complete OR locked_until IS NOT NULL`, 0]],
  '0010-run-queue-and-alerts': [
    [`SELECT count(*)::int FROM runs WHERE priority <> 5 OR losses <> 0 OR retry_of IS NOT NULL OR changed_xid IS NULL`, 0],
  ],
  '0014-organization-keys': [[`SELECT count(*)::int FROM api_keys WHERE id = 'key-2' AND role <> 'organization-viewer'`, 0]],
  '0015-waits-and-adoptions': [
    [`SELECT count(*)::int FROM runs WHERE queued_at <> created_at`, 0],
    [`SELECT count(*)::int FROM restore_points WHERE adopted_at IS NOT NULL`, 0],
    [`SELECT count(*)::int FROM policies WHERE read_revision <> revision`, 0],
  ],
  '0017-attempts-and-silences': [
    [`SELECT count(*)::int FROM policy_occurrences WHERE (made_at, begun_at) IS DISTINCT FROM (due_at, due_at)`, 0],
    [`SELECT count(*)::int FROM policy_clock WHERE looked_at <> ticked_at`, 0],
  ],
  '0018-alert-message-order': [
    [`SELECT count(*)::int FROM alert_messages a JOIN alert_messages b ON a.created_at < b.created_at WHERE a.sequence > b.sequence`, 0],
  ],
  '0019-alert-looks': [[`SELECT count(*)::int FROM alert_looks WHERE kept = 0`, 1]],
  '0020-deletions-and-holds': [
    [`SELECT count(*)::int FROM restore_points WHERE deleting_at IS NOT NULL`, 0],
    [`SELECT count(*)::int FROM restore_points WHERE id = 'point-2' AND held_until IS NOT NULL`, 0],
  ],
  '0023-refused-choices': [[`SELECT count(*)::int FROM policy_objects WHERE choice_refused_at IS NOT NULL`, 0]],
  '0024-lost-schedules': [[`SELECT count(*)::int FROM policy_objects WHERE schedule_lost_at IS NOT NULL OR lost_policy IS NOT NULL`, 0]],
  '0025-looks-that-fail': [
    [`SELECT count(*)::int FROM clouds WHERE refresh_unended <> 0 OR unlisted_vcenters <> '{}'`, 0],
    [`SELECT count(*)::int FROM policy_clock WHERE done_at <> looked_at OR failure IS NOT NULL`, 0],
  ],
};

/** Columns (`table.column`) that a migration gives other values where they were: `CONVERTED` asks for these. */
export const REWRITTEN: Readonly<Record<string, readonly string[]>> = {
  '0014-organization-keys': ['api_keys.role'],
  '0020-deletions-and-holds': ['restore_points.held_until'],
};
