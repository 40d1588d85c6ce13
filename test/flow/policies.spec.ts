import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { World } from './world.js';

interface Effective {
  schedule: { value: { rpoHours?: number }; from: { policyName: string; level: string; chosen: boolean } } | null;
  retention: { value: { keepLast: number }; from: { policyName: string } } | null;
  settings: Record<string, { value: unknown; from: { policyName: string } | null }>;
  choice: { value: string; accepted: boolean } | null;
  warnings: string[];
  lastRestorePointAt: string | null;
  nextRunAt: string | null;
  history: { state: string; runId: string; policyName: string }[];
}

describe('a policy', () => {
  let world: World;
  let cloudId: string;
  beforeAll(async () => {
    world = await World.start({ environment: { VAPP_VAULT_POLICIES_TICK_SECONDS: '1' } });
    cloudId = await world.register();
  });
  afterAll(() => world?.close());

  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${world.apiKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
  }
  const effective = async (name: string) => (await call<Effective>('GET', `/policies/effective?vapp=${await world.vappId(name)}`)).body;
  async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
    for (let looks = 0; looks < 600; looks += 1) {
      const found = await look();
      if (found !== undefined) return found;
      await sleep(50);
    }
    throw new Error('It did not come');
  }
  const schedule = { rpoHours: 24, spreadMinutes: 0 };

  it('backs up what it means, by itself and once', { timeout: 120_000 }, async () => {
    const made = await call<{ id: string; level: string }>('POST', '/policies', {
      name: 'House',
      scope: { cloudId, vappNames: ['intranet'] },
      schedule,
      settings: { quiesce: 'crash' },
      retention: { keepLast: 1 },
    });
    expect(made).toMatchObject({ status: 201, body: { level: 'vapp', enabled: true, offered: false } });
    const done = await until(async () => {
      const view = await effective('intranet');
      return view.history[0]?.state === 'done' ? view : undefined;
    });
    expect(done.history).toMatchObject([{ policyName: 'House', state: 'done' }]);
    expect(done.settings.quiesce).toMatchObject({ value: 'crash', from: { policyName: 'House' } });
    expect(done.lastRestorePointAt).not.toBeNull();
    expect(Date.parse(done.nextRunAt ?? '')).toBeGreaterThan(Date.now() + 10 * 3_600_000);
    const run = await world.api.get<RunView>(`/api/v1/runs/${done.history[0]?.runId}`);
    expect(run).toMatchObject({ kind: 'backup', subject: 'vApp "intranet"', error: null });
    const points = (await world.restorePoints()).filter(({ vappName }) => vappName === 'intranet');
    expect(points).toHaveLength(1);
  });

  it('removes what it no longer keeps', { timeout: 120_000 }, async () => {
    // The second restore point is made by hand; the policy keeps one.
    const second = await world.backUp('intranet');
    const { body } = await call<{ removedCount: number; objects: { restorePoints: { id: string; kept: boolean; reasons: string[] }[] }[] }>(
      'POST',
      `/policies/${await idOf('House')}/preview`,
      {},
    );
    expect(body.removedCount).toBe(1);
    const [first] = body.objects[0]?.restorePoints.filter(({ kept }) => !kept) ?? [];
    const held = await call<{ id: string }>('POST', `/restore-points/${first?.id}/legal-holds`, { reason: 'case 4711' });
    expect(held).toMatchObject({ status: 201, body: { reason: 'case 4711', placedBy: 'first key' } });
    expect(await call('DELETE', `/restore-points/${first?.id}`)).toMatchObject({
      status: 409,
      body: { code: 'RESTORE_POINT_HOLD_CONFLICT' },
    });
    const released = await call('POST', `/legal-holds/${held.body.id}/release`, { releaseReason: 'closed' });
    expect(released).toMatchObject({ status: 200, body: { releasedBy: 'first key', releaseReason: 'closed' } });
    expect((await call<{ items: unknown[] }>('GET', `/restore-points/${first?.id}/legal-holds`)).body.items).toHaveLength(1);
    expect(await call('DELETE', `/restore-points/${first?.id}`)).toMatchObject({ status: 204 });
    expect((await world.restorePoints()).filter(({ vappName }) => vappName === 'intranet').map(({ id }) => id)).toEqual([second.id]);
  });

  it('is chosen by its tenant with metadata in VCD', { timeout: 60_000 }, async () => {
    await call('POST', '/policies', { name: 'Gold', scope: { cloudId }, offered: true, settings: { parallelVms: 8 } });
    const vcd = await connectProvider(world.simulator);
    const { items } = await world.api.get<{ items: { name: string; href: string }[] }>('/api/v1/vapps?name=intranet');
    const choose = (value: string) =>
      vcd.writeMetadata(items[0]?.href ?? '', [
        { key: 'vapp-vault.policy', type: 'MetadataStringValue', value, domain: 'GENERAL', visibility: 'READWRITE' },
      ]);
    try {
      await choose('gold');
      expect(await effective('intranet')).toMatchObject({
        choice: { value: expect.stringMatching(/^gold$/i), accepted: true },
        schedule: { from: { policyName: 'House', chosen: false } },
        settings: { parallelVms: { value: 8, from: { policyName: 'Gold', chosen: true } } },
      });
      await choose('platinum');
      const view = await effective('intranet');
      expect(view).toMatchObject({ choice: { value: 'platinum', accepted: false }, settings: { parallelVms: { value: 2, from: null } } });
      expect(view.warnings).toEqual([expect.stringContaining('no policy of that name is offered')]);
    } finally {
      await choose('');
      await vcd.close();
    }
  });

  it('can be listed, changed, previewed before it is kept, and deleted', async () => {
    const text = { name: 'Silver', scope: { cloudId, organizations: ['acme'] }, retention: { monthly: 12, timeZone: 'Europe/Berlin' } };
    const { body: made } = await call<{ id: string }>('POST', '/policies', text);
    expect(await call('POST', '/policies', text)).toMatchObject({ status: 409, body: { code: 'POLICY_NAME_EXISTS' } });
    const changed = { ...text, legalHold: true, deletedObjects: { vapps: { keep: 'forever' } } };
    expect(await call('PUT', `/policies/${made.id}`, changed)).toMatchObject({
      status: 200,
      body: {
        level: 'organization',
        rules: { legalHold: true, deletedObjects: { vapps: { keep: 'forever' }, vms: { keep: 'retention' } } },
      },
    });
    const preview = await call<{ objectCount: number; objects: { nextRuns: unknown[] }[] }>('POST', '/policies/preview', {
      policy: { ...text, schedule: { cron: '0 2 * * *' } },
      replaces: made.id,
      count: 3,
    });
    expect(preview).toMatchObject({ status: 200, body: { removedCount: 0 } });
    expect(preview.body.objects[0]?.nextRuns).toHaveLength(3);
    const names = (await call<{ items: { name: string }[] }>('GET', `/policies?cloudId=${cloudId}`)).body.items.map(({ name }) => name);
    expect(names).toEqual(['Gold', 'House', 'Silver']);
    expect((await call<{ items: unknown[] }>('GET', '/policies/missed-rpo')).body.items).toEqual([]);
    expect(await call('DELETE', `/policies/${made.id}`)).toMatchObject({ status: 204 });
    expect(await call('GET', `/policies/${made.id}`)).toMatchObject({ status: 404, body: { code: 'POLICY_NOT_FOUND' } });
    expect(await call('GET', '/policies/effective?vapp=nobody')).toMatchObject({ status: 404, body: { code: 'POLICY_VAPP_NOT_FOUND' } });
  });

  it('protects from the moment it is there: from people, and what they back up themselves', { timeout: 120_000 }, async () => {
    const before = await world.backUp('sandbox', { quiesce: 'crash' });
    const text = { name: 'Court', scope: { cloudId, vappNames: ['sandbox'] }, legalHold: true, lockDays: 30 };
    const { status, body } = await call<{ id: string }>('POST', '/policies', text);
    expect(status).toBe(201);
    expect(await call('DELETE', `/restore-points/${before.id}`)).toMatchObject({
      status: 409,
      body: { code: 'RESTORE_POINT_HOLD_CONFLICT' },
    });
    const after = await world.backUp('sandbox', { quiesce: 'crash', lockDays: 7 });
    expect(Date.parse(after.lockedUntil ?? '') - Date.parse(after.createdAt)).toBe(30 * 24 * 3_600_000);
    expect(await call('DELETE', `/policies/${body.id}`)).toMatchObject({ status: 204 });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a cron expression that is none', { schedule: { cron: 'every night' } }, '#/schedule/cron'],
    ['a date, which comes once', { schedule: { cron: '2099-12-01T02:00:00' } }, '#/schedule/cron'],
    ['a cron expression with seconds', { schedule: { cron: '0 0 2 * * *' } }, '#/schedule/cron'],
    ['a time that never comes', { schedule: { cron: '0 2 30 2 *' } }, '#/schedule/cron'],
    ['a time zone there is not', { schedule: { cron: '0 2 * * *', timeZone: 'Europe/Atlantis' } }, '#/schedule/timeZone'],
    ['two ways to say when', { schedule: { cron: '0 2 * * *', rpoHours: 4 } }, '#/schedule'],
    ['no way to say when', { schedule: { timeZone: 'UTC' } }, '#/schedule'],
    ['a clock that shows 24:00', { schedule: { rpoHours: 4, runWindows: [{ from: '22:00', to: '24:00' }] } }, '#/schedule/runWindows/0/to'],
    ['windows that leave no time', { schedule: { rpoHours: 4, stopWindows: [{ from: '00:00', to: '00:00' }] } }, '#/schedule/stopWindows'],
    ['a retention that keeps nothing', { retention: { timeZone: 'UTC' } }, '#/retention'],
    ['a setting there is not', { settings: { quiescence: 'crash' } }, '#/settings'],
    ['days that are not said', { deletedObjects: { vapps: { keep: 'days' } } }, '#/deletedObjects/vapps/days'],
    ['a scope without a cloud', { scope: {} }, '#/scope/cloudId'],
  ])('is refused with %s', async (_what, over, pointer) => {
    const { status, body } = await call<{ errors: { pointer: string }[] }>('POST', '/policies', { name: 'x', scope: { cloudId }, ...over });
    expect(status).toBe(422);
    expect(body.errors.map((error) => error.pointer)).toContain(pointer);
  });

  async function idOf(name: string): Promise<string> {
    const { body } = await call<{ items: { id: string; name: string }[] }>('GET', '/policies');
    return body.items.find((policy) => policy.name === name)?.id ?? '';
  }
});
