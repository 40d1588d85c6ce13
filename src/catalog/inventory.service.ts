import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { readChanges } from './changed-records.js';
import { databaseTime, lockCloud } from './cloud-lock.js';
import { InventoryStateEntity } from './inventory.entities.js';
import { type InventorySource, LISTINGS, type Listing, ListingWriter } from './listing-writer.js';
import { countPresent, markUnseen } from './vanished.js';

export interface InventoryOptions {
  /** Read everything again, whatever is known. */
  full?: boolean;
  /** Read everything again when the last whole inventory is older; a week where nothing is said. */
  maxAgeMs?: number;
}

export interface InventoryCounts {
  /** What the cloud has, as the catalog knows it now. */
  organizations: number;
  vdcs: number;
  vapps: number;
  vms: number;
  vappTemplates: number;
  media: number;
  namedDisks: number;
  resources: number;
  /** vApps, standalone VMs, templates and media seen before, and not there any more. */
  vanishedVapps: number;
  /** Whether everything was read, or what has changed since the last time. */
  mode: 'full' | 'changes';
  /** Why everything was read; null otherwise. */
  fullReason: 'first' | 'requested' | 'age' | 'no-events' | null;
  /** Listings read from end to end: for `changes` those whose count had drifted, or that have no events of their own. */
  listingsRead: string[];
  /** Records read. */
  recordsRead: number;
  requests: number;
}

/** What VCD counts by one request, as its listings do. */
const COUNTED = ['organizations', 'vdcs', 'vapps', 'vms', 'vappTemplates', 'media', 'namedDisks'] as const;
/** Changed so seldom, and on so few pages, that any event about one of them reads them all. */
const AROUND = ['organizations', 'vdcs', 'namedDisks', 'resources'] as const;

const DEFAULT_MAX_AGE_MS = 7 * 24 * 3_600_000;

/** One taking of an inventory. */
interface Taking {
  cloudId: string;
  source: InventorySource;
  writer: ListingWriter;
  listingsRead: Listing[];
  recordsRead: number;
  vanishedVapps: number;
}

/** Writes down what a cloud has: all of it the first time, afterwards what VCD says has changed. */
@Injectable()
export class InventoryService {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Takes over a cloud's inventory. What a listing no longer shows is marked not present, and only
   * after the whole of it was read: a listing that breaks half-way makes nothing vanish.
   */
  async save(cloudId: string, source: InventorySource, options: InventoryOptions = {}, signal?: AbortSignal): Promise<InventoryCounts> {
    const requestsBefore = source.requestCount;
    const writer = new ListingWriter(this.dataSource, cloudId, source, signal);
    const taking: Taking = { cloudId, source, writer, listingsRead: [], recordsRead: 0, vanishedVapps: 0 };
    const state = await this.dataSource.manager.findOneBy(InventoryStateEntity, { cloudId });
    const startedAt = await databaseTime(this.dataSource.manager);
    // Before anything is read: what changes from here on is for the next time.
    const vcdTime = await source.serverTime(signal);
    let fullReason = whyFull(state, startedAt, options);
    if (fullReason === null && !(await this.saveChanges(taking, state as InventoryStateEntity, signal))) fullReason = 'no-events';
    if (fullReason !== null) for (const listing of LISTINGS) await this.saveListing(taking, listing, signal);
    else await this.correctDrift(taking, signal);
    if (vcdTime !== undefined) {
      const fullAt = fullReason === null && state !== null ? state.fullAt : startedAt;
      await this.dataSource.manager.upsert(InventoryStateEntity, { cloudId, fullAt, vcdTime }, ['cloudId']);
    }
    const { listingsRead, recordsRead, vanishedVapps } = taking;
    return {
      ...(await this.counts(cloudId)),
      vanishedVapps,
      mode: fullReason === null ? 'changes' : 'full',
      fullReason,
      listingsRead,
      recordsRead,
      requests: source.requestCount - requestsBefore,
    };
  }

  /** The cloud is not registered any more: what has restore points stays for them, the rest goes. */
  async forget(cloudId: string, within: EntityManager = this.dataSource.manager): Promise<void> {
    await within.transaction(async (manager) => {
      await lockCloud(manager, cloudId);
      for (const statement of [
        'DELETE FROM vms WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM restore_point_vms p WHERE p.vm_id = vms.id)',
        'DELETE FROM vapps WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM restore_points p WHERE p.vapp_id = vapps.id)',
        'DELETE FROM vdcs d WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM vapps v WHERE v.cloud_id = $1 AND v.vdc_id = d.id)',
        'DELETE FROM organizations o WHERE cloud_id = $1 AND NOT EXISTS (SELECT FROM vapps v WHERE v.cloud_id = $1 AND v.organization_id = o.id)',
        ...['named_disks', 'cloud_resources', 'inventory_states'].map((table) => `DELETE FROM ${table} WHERE cloud_id = $1`),
        ...['organizations', 'vdcs', 'vapps', 'vms'].map((table) => `UPDATE ${table} SET present = false WHERE cloud_id = $1`),
      ]) {
        await manager.query(statement, [cloudId]);
      }
    });
  }

  /** @returns false when VCD cannot tell what has changed since the last time. */
  private async saveChanges(taking: Taking, state: InventoryStateEntity, signal?: AbortSignal): Promise<boolean> {
    const changes = await taking.source.changedSince(state.vcdTime, signal);
    if (changes === undefined) return false;
    const { recordsRead, vanishedVapps } = await readChanges(this.dataSource, taking.cloudId, taking.source, taking.writer, changes);
    taking.recordsRead += recordsRead;
    taking.vanishedVapps += vanishedVapps;
    if (changes.other) for (const listing of AROUND) await this.saveListing(taking, listing, signal);
    return true;
  }

  /** Events may be lost; how many there are never is. */
  private async correctDrift(taking: Taking, signal?: AbortSignal): Promise<void> {
    for (const listing of COUNTED) {
      if (taking.listingsRead.includes(listing)) continue;
      const there = await taking.source.count(listing, signal);
      if (there === (await countPresent(this.dataSource.manager, taking.cloudId, listing))) continue;
      await this.saveListing(taking, listing, signal);
      if (listing === 'vappTemplates') await this.saveListing(taking, 'templateVms', signal);
    }
  }

  /**
   * One listing from end to end. Pages shift while objects come and go, and one may slip through:
   * when fewer were listed than VCD counts, the listing is read once more, and if that does not
   * help, nothing of it counts as vanished this time.
   */
  private async saveListing(taking: Taking, listing: Listing, signal?: AbortSignal): Promise<void> {
    const { cloudId, source, writer } = taking;
    const counted = COUNTED.find((candidate) => candidate === listing);
    const startedAt = await databaseTime(this.dataSource.manager);
    let complete = false;
    for (let tries = 0; tries < 2 && !complete; tries += 1) {
      const listed = await writer.write(listing);
      taking.recordsRead += listed.size;
      complete = counted === undefined || listed.size >= (await source.count(counted, signal));
    }
    taking.listingsRead.push(listing);
    if (!complete) return;
    const vanished = await this.locked(cloudId, (manager) => markUnseen(manager, cloudId, listing, startedAt));
    if (listing === 'vapps' || listing === 'vappTemplates' || listing === 'media') taking.vanishedVapps += vanished;
  }

  private async counts(cloudId: string): Promise<Pick<InventoryCounts, (typeof COUNTED)[number] | 'resources'>> {
    const [organizations, vdcs, vapps, vms, vappTemplates, media, namedDisks, resources] = (await Promise.all(
      [...COUNTED, 'resources' as const].map((listing) => countPresent(this.dataSource.manager, cloudId, listing)),
    )) as [number, number, number, number, number, number, number, number];
    return { organizations, vdcs, vapps, vms, vappTemplates, media, namedDisks, resources };
  }

  private locked<T>(cloudId: string, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(async (manager) => {
      await lockCloud(manager, cloudId);
      return work(manager);
    });
  }
}

function whyFull(state: InventoryStateEntity | null, now: Date, options: InventoryOptions): InventoryCounts['fullReason'] {
  if (options.full === true) return 'requested';
  if (state === null) return 'first';
  return now.getTime() - state.fullAt.getTime() > (options.maxAgeMs ?? DEFAULT_MAX_AGE_MS) ? 'age' : null;
}
