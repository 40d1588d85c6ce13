import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { DiskPointRow } from '../../src/catalog/index.js';
import { catalog, cloudId, diskRow, module, point, useCatalog } from './catalog-fixture.js';

useCatalog();

describe('restore points', () => {
  async function shop(): Promise<{ vappId: string; vmId: string; diskId: string }> {
    const vappId = await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:1', 'shop');
    const vmId = await catalog.identifyVm({ cloudId, vcloudId: 'v', instanceUuid: 'i', vcenterInstanceUuid: cloudId, moRef: 'm' }, 'web-1');
    const diskId = await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: '6000C29a', label: 'Hard disk 1' });
    return { vappId, vmId, diskId };
  }

  it('come back as they were recorded, 64-bit figures included', async () => {
    const { vappId, vmId, diskId } = await shop();
    const second = await catalog.identifyDisk(vmId, { deviceKey: 2001, uuid: undefined, label: 'Hard disk 2' });
    const row = point(`${cloudId}-1`, vappId, '2026-02-03T04:05:06.789Z', [
      {
        vmId,
        name: 'web-1',
        disks: [diskRow(diskId), diskRow(second, { deviceKey: 2001, uuid: null, changeId: null, storedBytes: Number.MAX_SAFE_INTEGER })],
      },
    ]);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    expect(await catalog.vappDetail(vappId)).toMatchObject({ lastRestorePointAt: row.createdAt });
    expect(await catalog.restorePoint('none')).toBeUndefined();
  });

  it('keep what was learned of them when they are written again', async () => {
    const { vappId, vmId, diskId } = await shop();
    const sql = <T>(text: string, values: unknown[]) => module.get(DataSource).query<T[]>(text, values);
    const row = { ...point(`${cloudId}-1`, vappId, '2026-02-03T04:05:06.789Z', []), lockedUntil: '2026-03-01T00:00:00.000Z' };
    await catalog.recordRestorePoint(row);
    const learned = `'2026-02-04T00:00:00Z'::timestamptz`;
    await sql(
      `UPDATE restore_points SET locked_until = '2027-01-01T00:00:00Z', held_until = '2027-01-01T00:00:00Z', copied_at = ${learned},
         copy_requested_at = ${learned}, adopted_at = ${learned}, deleting_at = ${learned} WHERE id = $1`,
      [row.id],
    );
    const columns = `locked_until, held_until, copied_at, copy_requested_at, adopted_at, deleting_at`;
    const read = () => sql<Record<string, Date>>(`SELECT ${columns} FROM restore_points WHERE id = $1`, [row.id]);
    const before = await read();
    for (const lockedUntil of [row.lockedUntil, null]) {
      await catalog.recordRestorePoint({ ...row, lockedUntil, vms: [{ vmId, name: 'web-1', disks: [diskRow(diskId)] }] });
      expect(await read()).toEqual(before);
    }
    await catalog.recordRestorePoint({ ...row, lockedUntil: '2028-01-01T00:00:00.000Z', vappName: 'store', warnings: [] });
    expect(await read()).toEqual([{ ...before[0], locked_until: new Date('2028-01-01T00:00:00Z') }]);
    await sql('UPDATE restore_points SET deleting_at = NULL WHERE id = $1', [row.id]);
    expect(await catalog.restorePoint(row.id)).toMatchObject({ vappName: 'store', warnings: [], vms: [] });
  });

  it('offer the newest copy with a change id as the base of the next', async () => {
    const { vappId, vmId, diskId } = await shop();
    expect(await catalog.diskBase(diskId)).toBeUndefined();
    const days: [string, Partial<DiskPointRow>][] = [
      ['2026-03-01', { changeId: 'c/1', indexId: 'i1' }],
      ['2026-03-03', { changeId: null, indexId: 'i3' }],
      ['2026-03-02', { changeId: 'c/2', indexId: 'i2' }],
    ];
    for (const [day, over] of days) {
      const disks = [diskRow(diskId, over)];
      await catalog.recordRestorePoint(point(`${cloudId}-${day}`, vappId, `${day}T00:00:00.000Z`, [{ vmId, name: 'web-1', disks }]));
    }
    expect(await catalog.diskBase(diskId)).toEqual({
      restorePointId: `${cloudId}-2026-03-02`,
      indexId: 'i2',
      chunkBytes: 1_048_576,
      capacityBytes: 68_182_605_824_000,
      changeId: 'c/2',
      diskUuid: '6000C29a',
    });
    expect(await catalog.deleteRestorePointRow(`${cloudId}-2026-03-02`)).toBe(true);
    expect(await catalog.deleteRestorePointRow(`${cloudId}-2026-03-02`)).toBe(false);
    expect(await catalog.diskBase(diskId)).toMatchObject({ indexId: 'i1' });
  });

  it('know which disks a VM had, each once, with and without change ids', async () => {
    const { vappId, vmId, diskId } = await shop();
    expect(await catalog.formerDisks(vmId)).toEqual([]);
    const second = await catalog.identifyDisk(vmId, { deviceKey: 2001, uuid: undefined, label: 'Hard disk 2' });
    const disks = [diskRow(diskId), diskRow(second, { deviceKey: 2001, uuid: null, changeId: null })];
    for (const n of [1, 2]) {
      await catalog.recordRestorePoint(point(`${cloudId}-${n}`, vappId, `2026-03-0${n}T00:00:00.000Z`, [{ vmId, name: 'web-1', disks }]));
    }
    const found = (await catalog.formerDisks(vmId)).sort((a, b) => a.deviceKey - b.deviceKey);
    expect(found).toEqual([
      { diskId, deviceKey: 2000, uuid: '6000C29a' },
      { diskId: second, deviceKey: 2001, uuid: '' },
    ]);
  });

  it('are listed newest first in pages, also those of one moment', async () => {
    const { vappId } = await shop();
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await catalog.recordRestorePoint(point(`${cloudId}-${id}`, vappId, `2026-04-0${id < 'c' ? 1 : 2}T00:00:00.001Z`, []));
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < 3; page += 1) {
      const next = await catalog.listRestorePoints({ vappId, limit: 2, ...(cursor === null ? {} : { cursor }) });
      seen.push(...next.items.map(({ id }) => id.slice(-1)));
      cursor = next.nextCursor;
    }
    expect(seen).toEqual(['e', 'd', 'c', 'b', 'a']);
    expect(cursor).toBeNull();
    await expect(catalog.listRestorePoints({ limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
    const wrongKind = Buffer.from('["not a time","x"]').toString('base64url');
    await expect(catalog.listRestorePoints({ limit: 2, cursor: wrongKind })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
  });

  it('can be deleted by more people at once than there are database connections', async () => {
    const { vappId } = await shop();
    const ids = Array.from({ length: 12 }, (_, n) => `${cloudId}-${n}`);
    for (const id of ids) await catalog.recordRestorePoint(point(id, vappId, '2026-05-01T00:00:00.000Z', []));
    catalog.registerRestorePointUse(async () => void (await module.get(DataSource).query('SELECT 1')));
    const application = module.createNestApplication({ logger: false });
    await application.listen(0, '127.0.0.1');
    const route = `${await application.getUrl()}/api/v1/restore-points`;
    const answers = await Promise.all(ids.map((id) => fetch(`${route}/${id}`, { method: 'DELETE' })));
    expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 204));
    expect((await catalog.listRestorePoints({ vappId, limit: 100 })).items).toEqual([]);
  });

  it('can be written into a catalog that knows nothing of their objects', async () => {
    const disks = [diskRow(`${cloudId}-disk`)];
    const row = point(`${cloudId}-rebuilt`, `${cloudId}-vapp`, '2026-05-01T00:00:00.000Z', [
      { vmId: `${cloudId}-vm`, name: 'web-1', disks },
    ]);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    expect(await catalog.vapp(`${cloudId}-vapp`)).toMatchObject({ name: 'shop', present: false });
    expect(await catalog.diskBase(`${cloudId}-disk`)).toMatchObject({ restorePointId: row.id });
  });
});
