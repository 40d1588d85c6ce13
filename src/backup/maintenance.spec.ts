import { describe, expect, it } from 'vitest';
import type { CatalogVapp } from '../catalog/index.js';
import { VcdError, type VcdClientApi } from '../vcd/index.js';
import { enterMaintenance } from './maintenance.js';

const refusal = new VcdError('Maintenance mode is not for this vApp.', { code: 'BAD_REQUEST', httpStatus: 400 });
const lost = new VcdError('VCD is overloaded.', { code: 'OVERLOADED', httpStatus: 503, retryable: true });

async function enter(kind: CatalogVapp['kind'], options: { alreadyOn?: boolean; failure?: VcdError } = {}) {
  const events: string[] = [];
  const vcd = {
    inMaintenanceMode: async () => options.alreadyOn ?? false,
    enterMaintenanceMode: async () => {
      events.push('enter');
      if (options.failure) throw options.failure;
    },
  } as unknown as VcdClientApi;
  const debt = { id: 'o', pay: async () => void events.push('pay') };
  const owe = async () => {
    events.push('owe');
    return debt as never;
  };
  const run = { obligations: { owe }, signal: new AbortController().signal };
  const warnings: string[] = [];
  const maintenance = await enterMaintenance({ kind, name: 'web', href: 'h' } as CatalogVapp, { cloudId: 'c' } as never, vcd, run, {
    window: 'until-snapshots',
    warn: (message) => warnings.push(message),
  });
  return { maintenance, events, warnings };
}

describe('enterMaintenance', () => {
  it('owes before it enters, and tells when it left', async () => {
    const { maintenance, events } = await enter('vapp');
    expect(maintenance.describe()).not.toHaveProperty('leftAt');
    await maintenance.leave();
    await maintenance.leave();
    expect(events).toEqual(['owe', 'enter', 'pay']);
    expect(maintenance.describe()).toMatchObject({ alreadyOn: false, window: 'until-snapshots', leftAt: expect.any(String) });
  });

  it('leaves alone what somebody else began', async () => {
    const { maintenance, events } = await enter('vapp', { alreadyOn: true });
    await maintenance.leave();
    expect(events).toEqual([]);
    expect(maintenance.describe()).toMatchObject({ alreadyOn: true });
    expect(maintenance.describe()).not.toHaveProperty('leftAt');
  });

  it('goes on without it for a standalone VM that VCD refuses, with a warning and no debt', async () => {
    const { maintenance, events, warnings } = await enter('standalone-vm', { failure: refusal });
    expect(events).toEqual(['owe', 'enter', 'pay']);
    expect(warnings).toEqual([expect.stringContaining('Maintenance mode is not for this vApp.')]);
    expect(maintenance.describe()).toBeUndefined();
  });

  it.each([
    ['a vApp that is refused', 'vapp', refusal],
    ['a standalone VM, when VCD only could not answer', 'standalone-vm', lost],
  ] as const)('fails for %s', async (_what, kind, failure) => {
    await expect(enter(kind, { failure })).rejects.toBe(failure);
  });
});
