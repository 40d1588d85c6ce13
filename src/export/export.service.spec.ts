import { describe, expect, it, vi } from 'vitest';
import type { Principal } from '../access/index.js';
import type { CatalogService, RestorePointHolds, RestorePointRow } from '../catalog/index.js';
import { silentLogger } from '../common/index.js';
import type { VaultConfig } from '../config/index.js';
import type { RepositoryApi } from '../repository/index.js';
import { ExportService } from './export.service.js';

const point = { id: 'point-1', organizationId: 'urn:acme', vappName: 'disk' } as RestorePointRow;
const disk = { diskId: 'd', indexId: 'i', capacityBytes: 512, chunkBytes: 4096 };
const content = {
  ...{ contentVersion: 1, runId: 'r', kind: 'full', cloud: { id: 'c', name: 'c' }, organization: { id: 'urn:acme', name: 'acme' } },
  ...{ vdc: { id: 'v', name: 'v' }, vapp: { id: 'x', vcloudId: 'x', name: 'cd' }, vappCaptureDocument: 'doc', vms: [], warnings: [] },
  sourceKind: 'media',
  medium: { ...disk, sizeBytes: 500 },
};

function makeService(concurrentExports: number) {
  const released: string[] = [];
  const hold = { point, lost: new AbortController().signal, release: async () => void (await Promise.resolve(released.push('one'))) };
  const repository = {
    readManifest: vi.fn(async () => await Promise.resolve({ content, createdAt: '2026-11-21T19:00:00Z' })),
    readDocument: async () => await Promise.resolve(Buffer.from('{"imageType":"iso"}')),
    openDisk: async () => await Promise.resolve({ ...disk, read: () => Promise.resolve() }),
  };
  const service = new ExportService(
    { restorePoint: async (id: string) => await Promise.resolve(id === point.id ? point : undefined) } as unknown as CatalogService,
    { hold: async () => await Promise.resolve(hold) } as unknown as RestorePointHolds,
    repository as unknown as RepositoryApi,
    { limits: { concurrentExports } } as VaultConfig,
    silentLogger,
  );
  return { service, released, repository };
}

const principal = (organizationId: string | null): Principal => ({ apiKeyId: 'k', name: 'key', role: 'provider-admin', organizationId });
const request = (organizationId: string | null, restorePointId = point.id) => ({
  restorePointId,
  format: undefined,
  principal: principal(organizationId),
  range: undefined,
  gone: new AbortController().signal,
});
const nothing = { status: 200, bytes: 0 };

describe('exports', () => {
  it('of another organization are of nothing that is there', async () => {
    const { service, repository } = makeService(1);
    const theirs = service.run(request('urn:globex'), () => Promise.resolve(nothing));
    await expect(theirs).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND', message: 'There is no restore point point-1.' });
    const unknown = service.run(request('urn:acme', 'point-2'), () => Promise.resolve(nothing));
    await expect(unknown).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND', message: 'There is no restore point point-2.' });
    expect(repository.readManifest).not.toHaveBeenCalled();
    for (const own of ['urn:acme', null]) {
      const names: string[] = [];
      await service.run(request(own), (file) => {
        names.push(file.fileName);
        return Promise.resolve(nothing);
      });
      expect(names).toEqual(['cd.iso']);
    }
  });

  it('are no more at once than is set, and each gives its place back', async () => {
    const { service, released } = makeService(1);
    let finish = (): void => undefined;
    let began = (): void => undefined;
    const beginning = new Promise<void>((resolve) => {
      began = resolve;
    });
    const first = service.run(request(null), async () => {
      began();
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return nothing;
    });
    await beginning;
    const second = service.run(request(null), () => Promise.resolve(nothing));
    await expect(second).rejects.toMatchObject({ code: 'EXPORT_LIMIT_REACHED', retryable: true });
    finish();
    await first;
    await service.run(request(null), () => Promise.resolve(nothing));
    const failing = service.run(request(null), () => Promise.reject(new Error('cut')));
    await expect(failing).rejects.toThrow('cut');
    await service.run(request(null), () => Promise.resolve(nothing));
    expect(released).toHaveLength(4);
  });

  it('end when the service does, and let go of what they hold before it is gone', async () => {
    const { service, released } = makeService(1);
    let began = (): void => undefined;
    const beginning = new Promise<void>((resolve) => {
      began = resolve;
    });
    const running = service.run(request(null), (_file, signal) => {
      began();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    });
    const outcome = running.then(
      () => undefined,
      (error: unknown) => error,
    );
    await beginning;
    await service.beforeApplicationShutdown();
    expect(released).toHaveLength(1);
    expect(await outcome).toMatchObject({ code: 'CANCELLED' });
  });
});
