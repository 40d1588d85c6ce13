import type { DataSource, EntityManager } from 'typeorm';
import { throwIfAborted } from '../common/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import { databaseTime, lockCloud } from './cloud-lock.js';
import { CloudResourceEntity, NamedDiskEntity, OrganizationEntity, VdcEntity } from './inventory.entities.js';
import { ofMedium, ofTemplate, ofVapp, saveSources, saveVms, wasSeen } from './save-records.js';
import { RESOURCE_KINDS } from './types.js';
import { upsertRows } from './upsert-rows.js';

/** Where an inventory comes from: a VCD client, or anything that lists like one. */
export type InventorySource = Pick<
  VcdClientApi,
  | 'organizations'
  | 'vdcs'
  | 'vapps'
  | 'vms'
  | 'vappTemplates'
  | 'templateVms'
  | 'media'
  | 'namedDisks'
  | 'resources'
  | 'count'
  | 'changedSince'
  | 'serverTime'
  | 'idFilter'
  | 'requestCount'
>;

/** Owners first: a VM's row names the row of its vApp or template. */
export const LISTINGS = [
  'organizations',
  'vdcs',
  'vapps',
  'vappTemplates',
  'media',
  'vms',
  'templateVms',
  'namedDisks',
  'resources',
] as const;
export type Listing = (typeof LISTINGS)[number];

/** Four pages of VCD's query service, and one transaction. */
const BATCH = 512;

type Write<T> = (manager: EntityManager, batch: T[], now: Date, former?: T[]) => Promise<void>;

/** Writes what one cloud lists, a batch at a time: memory does not grow with the cloud. */
export class ListingWriter {
  constructor(
    private readonly dataSource: DataSource,
    private readonly cloudId: string,
    private readonly source: InventorySource,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Writes one listing, all of it or what the filter (vApps, templates, media and VMs) lets through. @returns VCD's ids. */
  async write(listing: Listing, filter?: string): Promise<Set<string>> {
    const { source, signal, cloudId } = this;
    switch (listing) {
      case 'organizations':
        return this.each(source.organizations(signal), async (manager, batch, now) => {
          const rows = batch.map((record) => ({ ...record, cloudId, present: true, lastSeenAt: now }));
          await upsertRows(manager, OrganizationEntity, ['cloudId', 'id'], rows);
        });
      case 'vdcs':
        return this.each(source.vdcs(signal), async (manager, batch, now) => {
          const rows = batch.map(({ organizationName: _name, ...record }) => ({ ...record, cloudId, present: true, lastSeenAt: now }));
          await upsertRows(manager, VdcEntity, ['cloudId', 'id'], rows);
        });
      case 'vapps':
        return this.each(mapped(source.vapps(filter, signal), ofVapp), (manager, ...rest) => saveSources(manager, cloudId, ...rest));
      case 'vappTemplates':
        return this.each(mapped(source.vappTemplates(filter, signal), ofTemplate), (manager, ...rest) =>
          saveSources(manager, cloudId, ...rest),
        );
      case 'media':
        return this.each(mapped(source.media(filter, signal), ofMedium), (manager, ...rest) => saveSources(manager, cloudId, ...rest));
      case 'vms':
        return this.each(source.vms(filter, signal), (manager, ...rest) => saveVms(manager, cloudId, ...rest));
      case 'templateVms':
        return this.templateVms(filter);
      case 'namedDisks':
        return this.each(source.namedDisks(filter, signal), async (manager, batch, now) => {
          const rows = batch.map((record) => ({ ...record, cloudId, present: true, lastSeenAt: now }));
          await upsertRows(manager, NamedDiskEntity, ['cloudId', 'id'], rows);
        });
      case 'resources':
        return this.resources();
    }
  }

  private async templateVms(filter: string | undefined): Promise<Set<string>> {
    const { source, signal, cloudId } = this;
    const ids = await this.each(source.templateVms(filter, signal), (manager, ...rest) => saveVms(manager, cloudId, ...rest));
    // VCD's record of a template does not say how many VMs it has.
    await this.dataSource.query(
      `UPDATE vapps v SET vm_count = n.vms
         FROM (SELECT t.id, count(m.id) FILTER (WHERE m.present) AS vms FROM vapps t LEFT JOIN vms m ON m.vapp_id = t.id
                WHERE t.cloud_id = $1 AND t.kind = 'vapp-template' GROUP BY t.id) n
        WHERE v.id = n.id AND v.vm_count <> n.vms`,
      [cloudId],
    );
    return ids;
  }

  private async resources(): Promise<Set<string>> {
    const { source, signal, cloudId } = this;
    const ids = new Set<string>();
    for (const kind of RESOURCE_KINDS) {
      const found = await this.each(source.resources(kind, signal), async (manager, batch, now) => {
        const rows = batch.map((record) => ({ ...record, cloudId, present: true, lastSeenAt: now }));
        await upsertRows(manager, CloudResourceEntity, ['cloudId', 'kind', 'id'], rows);
      });
      for (const id of found) ids.add(id);
    }
    return ids;
  }

  private async each<T extends { id: string }>(records: AsyncIterable<T>, write: Write<T>): Promise<Set<string>> {
    const startedAt = await databaseTime(this.dataSource.manager);
    const ids = new Set<string>();
    const former: T[] = [];
    for await (const batch of batches(records, BATCH)) {
      throwIfAborted(this.signal);
      await this.transaction((manager, now) => write(manager, unique(batch), now, former));
      for (const { id } of batch) ids.add(id);
    }
    // Records under a name an object had before it was restored count only where today's name
    // did not show up as well: one row is one living object.
    for (const record of former) {
      await this.transaction(async (manager, now) => {
        if (!(await wasSeen(manager, this.cloudId, record.id, startedAt))) await write(manager, [record], now);
      });
    }
    return ids;
  }

  private transaction(work: (manager: EntityManager, now: Date) => Promise<void>): Promise<void> {
    return this.dataSource.transaction(async (manager) => work(manager, await lockCloud(manager, this.cloudId)));
  }
}

async function* mapped<T, R>(records: AsyncIterable<T>, change: (record: T) => R): AsyncGenerator<R> {
  for await (const record of records) yield change(record);
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
