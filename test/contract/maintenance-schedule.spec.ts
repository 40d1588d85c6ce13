import { SchedulerRegistry } from '@nestjs/schedule';
import type { DataSource, EntityManager } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { lastDue, MaintenanceSchedule } from '../../src/maintenance/maintenance-schedule.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

let database: TestDatabase;
let sources: DataSource[];
beforeAll(async () => {
  database = await startTestDatabase();
  sources = await Promise.all([1, 2, 3].map(() => database.connect([])));
}, 60_000);
afterAll(() => database?.stop());
beforeEach(async () => {
  await sources[0]?.query('DELETE FROM maintenance_schedule');
  await sources[0]?.query('DELETE FROM maintenance_state');
});

/** Runs are rows of `maintenance_state` here, made in the transaction the schedule gives. */
let busy = false;
/** What else the schedule looked after, in order. */
const finished: string[] = [];
async function make(name: string, manager: EntityManager): Promise<string | undefined> {
  if (busy) return undefined;
  const id = `${name} ${Math.random()}`;
  await manager.query(`INSERT INTO maintenance_state (name, value) VALUES ($1, '{}')`, [id]);
  return id;
}

function instance(source: DataSource, environment: Record<string, string> = {}): MaintenanceSchedule {
  const maintenance = {
    collectWithin: (manager: EntityManager, { site }: { site: string }) => make(`gc ${site}`, manager),
    verifyWithin: (manager: EntityManager, { site }: { site: string }) => make(`verify ${site}`, manager),
  };
  const secondSite = { catchUpWithin: (manager: EntityManager) => make('copy', manager), requestNew: async () => undefined };
  const config = loadConfig(environment, '/srv');
  const removal = { finishBegun: async () => void finished.push('deletions') };
  const catalog = { adoptLegalHolds: async () => finished.push('holds') };
  const parts = [
    new SchedulerRegistry(),
    { ring: () => undefined },
    { requestHolds: async () => undefined },
    secondSite,
    removal,
    catalog,
    maintenance,
  ];
  return new MaintenanceSchedule(source, ...(parts as [never, never, never, never, never, never, never]), config, silentLogger);
}

async function made(): Promise<string[]> {
  const rows: { name: string }[] = await (sources[0] as DataSource).query('SELECT name FROM maintenance_state ORDER BY name');
  return rows.map(({ name }) => name.replace(/ 0\.\d+.*$/, ''));
}

const makeDue = () => sources[0]?.query(`UPDATE maintenance_schedule SET scheduled_at = scheduled_at - interval '3 days'`);

describe('scheduled maintenance', () => {
  it('makes exactly one run of each that is due, however many instances look at the same moment', async () => {
    const instances = sources.map((source) => instance(source));
    const tickAll = () => Promise.all(instances.map((each) => each.tick()));
    await tickAll();
    expect(await made()).toEqual([]);
    await makeDue();
    await tickAll();
    await tickAll();
    expect(await made()).toEqual(['gc first', 'verify first']);
  });

  it('makes up for a missed time once, and follows a run that is under way', async () => {
    const [source] = sources as [DataSource];
    const schedule = instance(source, { VAPP_VAULT_SECOND_SITE_KIND: 'folder', VAPP_VAULT_SECOND_SITE_PATH: '/elsewhere' });
    await schedule.tick();
    await makeDue();
    busy = true;
    await schedule.tick();
    expect(await made()).toEqual([]);
    busy = false;
    await schedule.tick();
    expect(await made()).toEqual(['copy', 'gc first', 'gc second', 'verify first', 'verify second']);
    await schedule.tick();
    expect(await made()).toHaveLength(5);
  });

  it('does not wait for a time that was written while the clock was a year ahead', async () => {
    const [source] = sources as [DataSource];
    const schedule = instance(source);
    await schedule.tick();
    await source.query(`UPDATE maintenance_schedule SET scheduled_at = scheduled_at + interval '1 year'`);
    await schedule.tick();
    expect(await made()).toEqual(['gc first', 'verify first']);
    await schedule.tick();
    expect(await made()).toHaveLength(2);
  });

  it('leaves alone what lies a little ahead: another process, which looked a moment later, has just made it', async () => {
    const [source] = sources as [DataSource];
    const schedule = instance(source);
    await schedule.tick();
    await source.query(`UPDATE maintenance_schedule SET scheduled_at = now() + interval '2 seconds'`);
    await schedule.tick();
    expect(await made()).toEqual([]);
  });

  it('does nothing of what is off', async () => {
    const [source] = sources as [DataSource];
    const schedule = instance(source, { VAPP_VAULT_GC_SCHEDULE: 'off', VAPP_VAULT_VERIFY_SCHEDULE: 'off' });
    await schedule.tick();
    await makeDue();
    await schedule.tick();
    expect(await made()).toEqual([]);
  });

  it('looks after deletions that ended in the middle each time, after legal holds at the start and then rarely', async () => {
    const [source] = sources as [DataSource];
    finished.length = 0;
    const schedule = instance(source);
    await schedule.tick();
    await schedule.tick();
    expect(finished).toEqual(['deletions', 'holds', 'deletions']);
  });

  it('knows the last time an expression was true, in UTC', () => {
    const at = (text: string) => new Date(text);
    expect(lastDue('30 3 * * *', at('2026-11-21T03:29:59.999Z'))).toEqual(at('2026-11-20T03:30:00Z'));
    expect(lastDue('30 3 * * *', at('2026-11-21T03:30:00.000Z'))).toEqual(at('2026-11-21T03:30:00Z'));
    expect(lastDue('0 0 1 * *', at('2026-11-21T03:30:00Z'))).toEqual(at('2026-11-01T00:00:00Z'));
  });
});
