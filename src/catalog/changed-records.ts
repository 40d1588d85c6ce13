import { type DataSource, In } from 'typeorm';
import type { VcdClientApi } from '../vcd/index.js';
import { databaseTime, lockCloud } from './cloud-lock.js';
import { VappEntity, VmEntity } from './inventory.entities.js';
import type { InventorySource, Listing, ListingWriter } from './listing-writer.js';
import { markGone, markVmsGone } from './vanished.js';

type Changes = NonNullable<Awaited<ReturnType<VcdClientApi['changedSince']>>>;

/** They become part of an address, which servers limit to some 8 KiB. */
const IDS_PER_REQUEST = 32;

/**
 * Reads again what VCD's events name: some dozens per request. A vApp's state is its VMs' and the
 * reverse (powering a vApp on is an event of the vApp alone), so both are read when one has changed.
 */
export async function readChanges(
  dataSource: DataSource,
  cloudId: string,
  source: InventorySource,
  writer: ListingWriter,
  changes: Changes,
): Promise<{ recordsRead: number; vanishedVapps: number }> {
  const startedAt = await databaseTime(dataSource.manager);
  let recordsRead = 0;
  const read = async (listing: Listing, ids: readonly string[], filter: (some: readonly string[]) => string) => {
    const found = new Set<string>();
    for (let at = 0; at < ids.length; at += IDS_PER_REQUEST) {
      for (const id of await writer.write(listing, filter(ids.slice(at, at + IDS_PER_REQUEST)))) found.add(id);
    }
    recordsRead += found.size;
    return found;
  };
  const byId = (ids: readonly string[]) => source.idFilter(ids);
  const byContainer = (hrefs: readonly string[]) => hrefs.map((href) => `container==${href}`).join(',');

  // VMs come first, because only their records tell which vApp a new one is in; vApps are read after
  // them, so the VM's row is written once more with its vApp known.
  const ofVapps = await read('vms', changes.vmIds, byId);
  await read(
    'templateVms',
    changes.vmIds.filter((id) => !ofVapps.has(id)),
    byId,
  );
  const vappIds = [...new Set([...changes.vappIds, ...(await ownersOf(dataSource, cloudId, source, changes.vmIds))])];
  await read('vapps', vappIds, byId);
  await read('vappTemplates', changes.templateIds, byId);
  await read('media', changes.mediaIds, byId);
  const sources = [...vappIds, ...changes.templateIds, ...changes.mediaIds];
  const owners = await dataSource.manager.find(VappEntity, { where: { cloudId, vcloudId: In(sources), present: true } });
  const seen = owners.filter((owner) => owner.lastSeenAt >= startedAt && owner.href !== '');
  const hrefs = (templates: boolean) =>
    seen.filter(({ kind }) => kind !== 'media' && (kind === 'vapp-template') === templates).map(({ href }) => href);
  await read('vms', hrefs(false), byContainer);
  await read('templateVms', hrefs(true), byContainer);

  const vanishedVapps = await dataSource.transaction(async (manager) => {
    await lockCloud(manager, cloudId);
    const gone = await markGone(manager, cloudId, sources, startedAt);
    await markVmsGone(manager, cloudId, { vmIds: changes.vmIds, ownerIds: sources }, startedAt);
    return gone;
  });
  return { recordsRead, vanishedVapps };
}

/** VCD's ids of the vApps these VMs are in: as VCD says now, and as the catalog knew for those that are gone. */
async function ownersOf(dataSource: DataSource, cloudId: string, source: InventorySource, vmIds: readonly string[]): Promise<string[]> {
  const owners = new Set<string>();
  const known = new Set<string>();
  for (let at = 0; at < vmIds.length; at += IDS_PER_REQUEST) {
    const some = vmIds.slice(at, at + IDS_PER_REQUEST);
    const rows = await dataSource.manager
      .createQueryBuilder(VmEntity, 'm')
      .innerJoin(VappEntity, 'v', 'v.id = m.vapp_id')
      .select(['m.vcloud_id AS "vmId"', 'v.vcloud_id AS "vappId"', 'v.kind AS kind'])
      .where('m.cloud_id = :cloudId AND m.vcloud_id IN (:...some)', { cloudId, some })
      .getRawMany<{ vmId: string; vappId: string; kind: string }>();
    for (const { vmId, vappId, kind } of rows) {
      known.add(vmId);
      if (kind !== 'vapp-template') owners.add(vappId);
    }
    const unknown = some.filter((id) => !known.has(id));
    if (unknown.length === 0) continue;
    for await (const { vappId } of source.vms(source.idFilter(unknown))) owners.add(vappId);
  }
  return [...owners];
}
