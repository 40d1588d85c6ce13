import { describe, expect, it } from 'vitest';
import type { CatalogService, CatalogVapp } from '../catalog/index.js';
import { BackupService } from './backup.service.js';
import { backupSettingsSchema } from './backup-settings.js';

const settings = backupSettingsSchema.parse({});

function serviceWith(vapp: Partial<CatalogVapp> | undefined, lockDays = 0) {
  const created: unknown[][] = [];
  const runs = { create: async (...asked: unknown[]) => void created.push(asked) };
  const catalog = { vapp: async () => vapp } as unknown as CatalogService;
  const protection = { lockDays: async () => lockDays };
  const none = {} as never;
  const service = new BackupService(runs as never, catalog, none, none, none, none, none, protection as never);
  return { service, created };
}

describe('a backup that is asked for', () => {
  it.each([
    ['of nothing known', undefined, 'VAPP_NOT_FOUND'],
    ['of what is gone', { name: 'shop', present: false, kind: 'vapp' }, 'VAPP_GONE'],
  ] as const)('%s is refused before there is a run', async (_what, vapp, code) => {
    const { service, created } = serviceWith(vapp);
    await expect(service.request('id', settings)).rejects.toMatchObject({ code, retryable: false });
    expect(created).toEqual([]);
  });

  it.each([
    ['vapp', 'vApp "shop"'],
    ['standalone-vm', 'VM "shop"'],
    ['vapp-template', 'vApp template "shop"'],
    ['media', 'medium "shop"'],
  ] as const)('of a %s freezes its settings into the run', async (kind, subject) => {
    const { service, created } = serviceWith({ id: 'v', name: 'shop', organizationId: 'o', present: true, kind });
    await service.request('v', settings);
    expect(created).toEqual([
      ['backup', subject, expect.objectContaining({ vappId: 'v', settings }), { organizationId: 'o', exclusiveKey: 'vapp:v' }],
    ]);
  });

  it.each([
    ['as long as policies say', 0, 30, 30],
    ['at least', 7, 30, 30],
    ['or longer, where it asks for that', 90, 30, 90],
  ])('is locked %s', async (_what, asked, byPolicy, expected) => {
    const { service, created } = serviceWith({ id: 'v', name: 'shop', organizationId: 'o', present: true, kind: 'vapp' }, byPolicy);
    await service.request('v', { ...settings, lockDays: asked });
    expect(created[0]?.[2]).toMatchObject({ settings: { ...settings, lockDays: expected } });
  });
});
