import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CatalogService } from '../catalog/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import { type CloudAccess, ScopeService } from './scope.service.js';

const vapp = {
  id: 'v-1',
  name: 'shop',
  kind: 'vapp',
  vcloudId: 'urn:vcloud:vapp:1',
  href: 'https://vcd/api/vApp/vapp-1',
  ownerName: 'ann',
};
const catalog = {
  async *sourcesOf() {
    yield [vapp];
  },
  vmsOfVapps: async () => new Map(),
} as unknown as CatalogService;

describe('ScopeService', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('does not wait for ever for a VCD that is asked for metadata', async () => {
    let given: AbortSignal | undefined;
    const vcd = {
      metadataFilter: () => 'metadata:tier==STRING:gold',
      async *vapps(_filter: string, signal: AbortSignal) {
        given = signal;
        await new Promise(() => undefined);
      },
    } as unknown as VcdClientApi;
    const clouds: CloudAccess = { sessions: async () => ({ cloudName: 'production', vcd: async () => vcd }) };
    const metadata = [{ key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'GENERAL' } as const];
    const asked = new ScopeService(catalog, clouds).resolve({ cloudId: 'c', metadata });
    const refused = expect(asked).rejects.toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('cloud "production"') });
    await vi.advanceTimersByTimeAsync(3_600_000);
    await refused;
    expect(given?.aborted).toBe(true);
  });
});
