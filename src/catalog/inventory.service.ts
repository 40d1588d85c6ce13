import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, In } from 'typeorm';
import { newId, throwIfAborted } from '../common/index.js';
import type { VappRecord, VcdClientApi, VmRecord } from '../vcd/index.js';
import { databaseTime, lockCloud } from './cloud-lock.js';
import { OrganizationEntity, VappAliasEntity, VappEntity, VdcEntity, VmAliasEntity, VmEntity } from './inventory.entities.js';

/** Where an inventory comes from: a VCD client, or anything that lists like one. */
export type InventorySource = Pick<VcdClientApi, 'organizations' | 'vdcs' | 'vapps' | 'vms'>;

export interface InventoryCounts {
  organizations: number;
  vdcs: number;
  vapps: number;
  vms: number;
  /** Seen by the inventory before, and not by this one. */
  vanishedVapps: number;
}

/** One page of VCD's query service, and one transaction. */
const BATCH = 128;

/** What is already known under a name of VCD's. */
interface Known {
  id: string;
  /** The name VCD has for it today, as far as we know. */
  vcloudId: string;
}

/** Writes down what a cloud has, a page at a time: memory does not grow with the cloud. */
@Injectable()
export class InventoryService {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Takes over a cloud's inventory. What it no longer shows is marked not present, and only after
   * the whole of it was read: a listing that breaks half-way makes nothing vanish.
   */
  async save(cloudId: string, source: InventorySource, signal?: AbortSignal): Promise<InventoryCounts> {
    const startedAt = await databaseTime(this.dataSource.manager);
    const counts = { organizations: 0, vdcs: 0, vapps: 0, vms: 0 };
    const each = async <T>(
      kind: keyof typeof counts,
      records: AsyncIterable<T>,
      write: (manager: EntityManager, batch: T[], now: Date) => Promise<void>,
    ) => {
      for await (const batch of batches(records, BATCH)) {
        throwIfAborted(signal);
        await this.dataSource.transaction(async (manager) => write(manager, batch, await lockCloud(manager, cloudId)));
        counts[kind] += batch.length;
      }
    };
    await each('organizations', source.organizations(signal), async (manager, batch, now) => {
      await manager.upsert(
        OrganizationEntity,
        unique(batch).map((record) => ({ ...record, cloudId, present: true, lastSeenAt: now })),
        ['cloudId', 'id'],
      );
    });
    await each('vdcs', source.vdcs(signal), async (manager, batch, now) => {
      const rows = unique(batch).map(({ organizationName: _name, ...record }) => ({ ...record, cloudId, present: true, lastSeenAt: now }));
      await manager.upsert(VdcEntity, rows, ['cloudId', 'id']);
    });

    const formerVapps: VappRecord[] = [];
    await each('vapps', source.vapps(undefined, signal), (manager, batch, now) =>
      this.saveVapps(manager, cloudId, batch, now, formerVapps),
    );
    await this.saveUnseen(cloudId, formerVapps, startedAt, (manager, records, now) => this.saveVapps(manager, cloudId, records, now));

    const formerVms: VmRecord[] = [];
    await each('vms', source.vms(undefined, signal), (manager, batch, now) => this.saveVms(manager, cloudId, batch, now, formerVms));
    await this.saveUnseen(cloudId, formerVms, startedAt, (manager, records, now) => this.saveVms(manager, cloudId, records, now));

    return { ...counts, vanishedVapps: await this.markVanished(cloudId, startedAt) };
  }

  /** The cloud is not registered any more: what has restore points stays for them, the rest goes. */
  async forget(cloudId: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await lockCloud(manager, cloudId);
      for (const statement of [
        'DELETE FROM vms WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM restore_point_vms p WHERE p.vm_id = vms.id)',
        'DELETE FROM vapps WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM restore_points p WHERE p.vapp_id = vapps.id)',
        'DELETE FROM vdcs d WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM vapps v WHERE v.cloud_id = $1 AND v.vdc_id = d.id)',
        'DELETE FROM organizations o WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM vapps v WHERE v.cloud_id = $1 AND v.organization_id = o.id)',
        ...['organizations', 'vdcs', 'vapps', 'vms'].map((table) => `UPDATE ${table} SET present = false WHERE cloud_id = $1`),
      ]) {
        await manager.query(statement, [cloudId]);
      }
    });
  }

  private async saveVapps(
    manager: EntityManager,
    cloudId: string,
    batch: readonly VappRecord[],
    now: Date,
    former?: VappRecord[],
  ): Promise<void> {
    const records = unique(batch);
    const aliases = await manager.findBy(VappAliasEntity, { cloudId, vcloudId: In(records.map((record) => record.id)) });
    const vapps = new Map(
      (await manager.findBy(VappEntity, { id: In(aliases.map((alias) => alias.vappId)) })).map((vapp) => [vapp.id, vapp]),
    );
    const known = new Map<string, Known>(aliases.map((alias) => [alias.vcloudId, vapps.get(alias.vappId) as VappEntity]));
    const placed = place(records, known, former);
    await manager.upsert(
      VappEntity,
      placed.map(({ id, record: { id: vcloudId, busy: _busy, ...record } }) => ({
        ...record,
        id,
        cloudId,
        vcloudId,
        present: true,
        lastSeenAt: now,
      })),
      ['id'],
    );
    await insertAliases(
      manager,
      VappAliasEntity,
      placed.filter(({ record }) => !known.has(record.id)).map(({ id, record }) => ({ cloudId, vcloudId: record.id, vappId: id })),
    );
  }

  private async saveVms(
    manager: EntityManager,
    cloudId: string,
    batch: readonly VmRecord[],
    now: Date,
    former?: VmRecord[],
  ): Promise<void> {
    const records = unique(batch);
    const aliases = await manager.findBy(VmAliasEntity, { kind: 'vcloud', scope: cloudId, value: In(records.map((record) => record.id)) });
    const vms = new Map((await manager.findBy(VmEntity, { id: In(aliases.map((alias) => alias.vmId)) })).map((vm) => [vm.id, vm]));
    const known = new Map<string, Known>(aliases.map((alias) => [alias.value, vms.get(alias.vmId) as VmEntity]));
    const placed = place(records, known, former);
    const vapps = await manager.findBy(VappAliasEntity, { cloudId, vcloudId: In([...new Set(placed.map(({ record }) => record.vappId))]) });
    const vappIds = new Map(vapps.map((alias) => [alias.vcloudId, alias.vappId]));
    await manager.upsert(
      VmEntity,
      placed.map(({ id, record }) => {
        const { name, href, status, moRef, vimServerId, hostName, datastoreName } = record;
        const vappId = vappIds.get(record.vappId) ?? null;
        const today = { name, href, status, moRef, vimServerId, hostName, datastoreName };
        return { ...today, id, cloudId, vcloudId: record.id, vappId, present: true, lastSeenAt: now };
      }),
      ['id'],
    );
    await insertAliases(
      manager,
      VmAliasEntity,
      placed
        .filter(({ record }) => !known.has(record.id))
        .map(({ id, record }) => ({ kind: 'vcloud' as const, scope: cloudId, value: record.id, vmId: id })),
    );
  }

  /**
   * Records under a name an object had before it was restored. They count only where today's name
   * did not show up as well: one row is one living object.
   */
  private async saveUnseen<T extends { id: string }>(
    cloudId: string,
    records: readonly T[],
    startedAt: Date,
    write: (manager: EntityManager, records: T[], now: Date) => Promise<void>,
  ): Promise<void> {
    for (const record of records) {
      await this.dataSource.transaction(async (manager) => {
        const now = await lockCloud(manager, cloudId);
        const [row] = await manager.query<{ seen: boolean }[]>(
          `SELECT EXISTS (
             SELECT FROM vapp_aliases a JOIN vapps v ON v.id = a.vapp_id
              WHERE a.cloud_id = $1 AND a.vcloud_id = $2 AND v.last_seen_at >= $3
             UNION ALL
             SELECT FROM vm_aliases a JOIN vms v ON v.id = a.vm_id
              WHERE a.kind = 'vcloud' AND a.scope = $1 AND a.value = $2 AND v.last_seen_at >= $3) AS seen`,
          [cloudId, record.id, startedAt],
        );
        if (row?.seen === false) await write(manager, [record], now);
      });
    }
  }

  private async markVanished(cloudId: string, startedAt: Date): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      await lockCloud(manager, cloudId);
      let vanishedVapps = 0;
      for (const entity of [OrganizationEntity, VdcEntity, VappEntity, VmEntity]) {
        const result = await manager
          .createQueryBuilder()
          .update(entity)
          .set({ present: false })
          // last_seen_at, not a mark of this inventory: what another one saw meanwhile is there.
          .where('cloud_id = :cloudId AND present AND last_seen_at < :startedAt', { cloudId, startedAt })
          .execute();
        if (entity === VappEntity) vanishedVapps = result.affected ?? 0;
      }
      return vanishedVapps;
    });
  }
}

/** Gives every record its own id, new ones a new one; records under a former name are put aside when asked. */
function place<T extends { id: string }>(
  records: readonly T[],
  known: ReadonlyMap<string, Known>,
  former?: T[],
): { id: string; record: T }[] {
  const placed = new Map<string, { id: string; record: T }>();
  for (const record of records) {
    const found = known.get(record.id);
    if (found !== undefined && found.vcloudId !== record.id && former !== undefined) former.push(record);
    else {
      const id = found?.id ?? newId();
      placed.set(id, { id, record });
    }
  }
  return [...placed.values()];
}

async function insertAliases<T extends object>(manager: EntityManager, entity: new () => T, rows: object[]): Promise<void> {
  if (rows.length > 0) await manager.createQueryBuilder().insert().into(entity).values(rows).orIgnore().execute();
}

/** A page that shifted while VCD was read may show an object twice; PostgreSQL takes one row once per statement. */
function unique<T extends { id: string }>(records: readonly T[]): T[] {
  return [...new Map(records.map((record) => [record.id, record])).values()];
}

async function* batches<T>(records: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const record of records) {
    batch.push(record);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
