import { SchedulerRegistry } from '@nestjs/schedule';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { InventoryAlerts } from '../../src/clouds/inventory-alerts.js';
import { InventoryRefresh } from '../../src/clouds/inventory-refresh.js';
import type { CloudService } from '../../src/clouds/cloud.service.js';
import { silentLogger } from '../../src/common/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

let database: TestDatabase;
let sources: DataSource[];
let asked: string[];
let fails: string[];

beforeAll(async () => {
  database = await startTestDatabase();
  sources = [await database.connect([]), await database.connect([])];
});
afterAll(() => database?.stop());
beforeEach(async () => {
  asked = [];
  fails = [];
  await sources[0]?.query('DELETE FROM clouds');
});

const cloud = (id: string, refreshedMinutesAgo: number) =>
  sources[0]?.query(
    `INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords, warnings, created_at, refreshed_at)
     VALUES ($1, $1, '{}', '[]', '', '[]', now() - interval '1 year', now() - $2 * interval '1 minute')`,
    [id, refreshedMinutesAgo],
  );
const workers = (refreshMinutes = 15) => {
  const refresh = async (id: string) => {
    asked.push(id);
    if (fails.includes(id)) throw new Error('the password is wrong');
    await sources[0]?.query('UPDATE clouds SET refreshed_at = now() WHERE id = $1', [id]);
  };
  const config = { inventory: { refreshMinutes }, role: 'worker' as const };
  const clouds = { refresh } as unknown as CloudService;
  return sources.map((source) => new InventoryRefresh(source, clouds, new SchedulerRegistry(), config, silentLogger));
};
const look = (all: InventoryRefresh[]) => Promise.all(all.map((worker) => worker.look()));

it('refreshes what is old, each by one worker', async () => {
  await cloud('old', 16);
  await cloud('older', 60);
  await cloud('fresh', 14);
  const both = workers();
  await look(both);
  expect(asked.toSorted()).toEqual(['old', 'older']);
  await look(both);
  expect(asked).toHaveLength(2);
});

it('does not try again at once what failed: the login might be locked', async () => {
  await cloud('broken', 60);
  fails = ['broken'];
  const both = workers();
  await look(both);
  await look(both);
  expect(asked).toEqual(['broken']);
  await sources[0]?.query(`UPDATE clouds SET refresh_tried_at = now() - interval '16 minutes'`);
  await look(both);
  expect(asked).toEqual(['broken', 'broken']);
});

it('does not wait for a time that was written while the clock was a day ahead', async () => {
  await cloud('ahead', -24 * 60);
  await cloud('failed', 60);
  await sources[0]?.query(`UPDATE clouds SET refresh_tried_at = now() + interval '1 day' WHERE id = 'failed'`);
  const both = workers();
  await look(both);
  await look(both);
  expect(asked.toSorted()).toEqual(['ahead', 'failed']);
});

it('does not ask again what another process has just begun to ask, by a clock a little ahead', async () => {
  await cloud('old', 60);
  await sources[0]?.query(`UPDATE clouds SET refresh_tried_at = now() + interval '2 seconds'`);
  await look(workers());
  expect(asked).toEqual([]);
});

it('raises an alert where it fails for hours, until it works again', async () => {
  const alerts = (refreshMinutes = 15) => new InventoryAlerts(sources[0] as DataSource, { inventory: { refreshMinutes } }).firing();
  const error = (id: string, text: string | null) => sources[0]?.query('UPDATE clouds SET refresh_error = $2 WHERE id = $1', [id, text]);
  await cloud('upgraded', 100);
  await error('upgraded', 'VCD answered 503');
  await cloud('off', 50_000);
  await cloud('broken', 110);
  await error('broken', 'VCD refused the login');
  await cloud('forgotten', 1_500);
  await error('forgotten', 'VCD refused the login');
  await sources[0]?.query(`INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords, warnings, created_at, refresh_error)
    VALUES ('never', 'Never', '{}', '[]', '', '[]', '2026-11-01T02:03:04Z', 'a record is not VCD’s')`);
  expect(await alerts()).toMatchObject([
    {
      key: 'broken',
      severity: 'warning',
      organizationId: '',
      message: expect.stringMatching(/refreshed since .*: VCD refused the login$/),
    },
    { key: 'forgotten', severity: 'critical', subject: 'cloud "forgotten"' },
    {
      key: 'never',
      severity: 'critical',
      message: expect.stringContaining('registered at 2026-11-01T02:03:04.000Z'),
      details: { refreshedAt: null },
    },
  ]);
  expect((await alerts(60)).map(({ key }) => key)).toEqual(['forgotten', 'never']);
  // Taken when somebody asks for it, and who asks sees the error.
  expect(await alerts(0)).toEqual([]);
  await error('forgotten', null);
  await error('never', null);
  expect((await alerts()).map(({ key }) => key)).toEqual(['broken']);
});

it('raises an alert where tries die with their process, and leave no error', async () => {
  const alerts = () => new InventoryAlerts(sources[0] as DataSource, { inventory: { refreshMinutes: 15 } }).firing();
  const [worker] = workers();
  const tries = async (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      await worker?.look();
      await sources[0]?.query(`UPDATE clouds SET refresh_tried_at = refresh_tried_at - interval '16 minutes'`);
    }
  };
  await cloud('kills', 300);
  fails = ['kills'];
  // As after an outage in which one try was lost: the next may well end.
  await tries(2);
  expect(await alerts()).toEqual([]);
  await tries(1);
  expect(await alerts()).toMatchObject([
    {
      key: 'kills',
      severity: 'warning',
      message: expect.stringMatching(/; 3 tries were begun, and none has ended: look whether workers die/),
    },
  ]);
});

it('raises an alert where the first class disks of a vCenter cannot be listed for hours', async () => {
  await cloud('here', 1);
  const since = (minutes: number) =>
    sources[0]?.query(
      `UPDATE clouds SET unlisted_vcenters = jsonb_build_object('vc-1',
         jsonb_build_object('url', 'https://vc/sdk', 'sinceAt', now() - $1 * interval '1 minute', 'error', 'the login was refused'))`,
      [minutes],
    );
  const alerts = () => new InventoryAlerts(sources[0] as DataSource, { inventory: { refreshMinutes: 15 } }).firing();
  await since(100);
  expect(await alerts()).toEqual([]);
  await since(110);
  expect(await alerts()).toMatchObject([
    {
      key: 'here:vc-1',
      severity: 'warning',
      message: expect.stringMatching(/^The first class disks of vCenter .*: the login was refused$/),
    },
  ]);
  await since(1_500);
  expect(await alerts()).toMatchObject([{ severity: 'critical', subject: 'vCenter https://vc/sdk of cloud "here"' }]);
});

it('stops when the service does', async () => {
  await cloud('old', 60);
  const [worker] = workers();
  await worker?.onModuleDestroy();
  await worker?.look();
  expect(asked).toEqual([]);
});
