import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { KIB } from '../common/index.js';
import { lockCloud } from './cloud-lock.js';
import type { Page } from './cursor.js';
import { FirstClassDiskEntity } from './first-class-disk.entity.js';
import { firstClassDiskUrn, providerOrganizationId } from './first-class-disk-id.js';
import { narrow, pageByName } from './inventory-filter.js';
import { NamedDiskEntity, VappEntity } from './inventory.entities.js';
import { RestorePointEntity } from './restore-point.entities.js';
import { saveSources, type SourceRecord } from './save-records.js';
import type {
  CatalogFirstClassDisk,
  FirstClassDiskListing,
  FirstClassDiskQuery,
  FirstClassDiskRecord,
  FirstClassDiskView,
  VappView,
} from './types.js';
import { upsertRows } from './upsert-rows.js';

interface RawDisk extends Omit<FirstClassDiskView, 'sizeBytes' | 'namedDiskId' | 'lastSeenAt' | 'lastRestorePointAt'> {
  storageKib: string;
  namedDiskId: string;
  lastSeenAt: Date;
  lastRestorePointAt: Date | null;
}

const ATTACHED = 'ATTACHED';

/** Whether it is a first class disk that a VM has: it is backed up with that VM, and not by itself. */
export function isAttachedDisk({ kind, status }: Pick<VappView, 'kind' | 'status'>): boolean {
  return kind === 'first-class-disk' && status === ATTACHED;
}

/** First class disks, as the last look at their vCenters saw them. */
@Injectable()
export class FirstClassDiskService {
  constructor(private readonly dataSource: DataSource) {}

  /** Takes over what one vCenter has. What it no longer shows is not there any more, except where it could not be looked. */
  async save(cloudId: string, { vcenterInstanceUuid, disks, unlistedDatastores }: FirstClassDiskListing): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, cloudId);
      await writeDisks(manager, cloudId, vcenterInstanceUuid, disks, now);
      await manager.query(
        `UPDATE vapps v SET present = false FROM first_class_disks d
          WHERE d.vapp_id = v.id AND v.cloud_id = $1 AND v.present AND d.vcenter_instance_uuid = $2 AND v.last_seen_at < $3
            AND NOT d.datastore_mo_ref = ANY($4)`,
        [cloudId, vcenterInstanceUuid, now, unlistedDatastores],
      );
    });
  }

  /** One disk that was made or found. @returns our id of it. */
  async saveOne(cloudId: string, vcenterInstanceUuid: string, disk: FirstClassDiskRecord): Promise<string> {
    return this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, cloudId);
      const ids = await writeDisks(manager, cloudId, vcenterInstanceUuid, [disk], now);
      return ids.get(firstClassDiskUrn(vcenterInstanceUuid, disk.diskId)) as string;
    });
  }

  /** Those that are there, of all vCenters of the cloud. */
  async count(cloudId: string): Promise<number> {
    return await this.dataSource.manager.countBy(VappEntity, { cloudId, kind: 'first-class-disk', present: true });
  }

  async find(vappId: string): Promise<CatalogFirstClassDisk | undefined> {
    const found = await this.dataSource.manager.findOneBy(FirstClassDiskEntity, { vappId });
    if (found === null) return undefined;
    const { vcenterInstanceUuid, diskId, datastoreMoRef, datastoreName, attachedTo } = found;
    return { vcenterInstanceUuid, diskId, datastoreMoRef, datastoreName, attachedTo };
  }

  /** By name, then id. @throws CatalogError CURSOR_INVALID. */
  async list(query: FirstClassDiskQuery): Promise<Page<FirstClassDiskView>> {
    const found = this.dataSource.manager
      .createQueryBuilder(VappEntity, 'v')
      .innerJoin(FirstClassDiskEntity, 'd', 'd.vapp_id = v.id')
      .select(['v.id AS id', 'v.name AS name', 'v.present AS present', 'd.path AS path', 'd.provisioning AS provisioning'])
      .addSelect(['v.cloud_id AS "cloudId"', 'v.organization_id AS "organizationId"', 'v.storage_kib AS "storageKib"'])
      .addSelect(['d.vcenter_instance_uuid AS "vcenterInstanceUuid"', 'd.disk_id AS "diskId"', 'd.datastore_mo_ref AS "datastoreMoRef"'])
      .addSelect(['d.datastore_name AS "datastoreName"', 'd.change_tracking AS "changeTracking"', 'd.named_disk_id AS "namedDiskId"'])
      .addSelect(['d.attached_to AS "attachedTo"', 'v.last_seen_at AS "lastSeenAt"'])
      .addSelect(
        (sub) => sub.select('max(p.created_at)').from(RestorePointEntity, 'p').where('p.vapp_id = v.id AND p.deleting_at IS NULL'),
        'lastRestorePointAt',
      );
    narrow(found, 'v', query);
    const { vcenterInstanceUuid, datastore, attached } = query;
    if (vcenterInstanceUuid !== undefined) found.andWhere('d.vcenter_instance_uuid = :vcenterInstanceUuid', { vcenterInstanceUuid });
    if (datastore !== undefined) found.andWhere('(d.datastore_name = :datastore OR d.datastore_mo_ref = :datastore)', { datastore });
    if (attached !== undefined) found.andWhere(`(d.attached_to = '[]'::jsonb) = :detached`, { detached: !attached });
    return pageByName(found, 'v', query, show);
  }
}

/** @returns our id of each, by its URN. */
async function writeDisks(
  manager: EntityManager,
  cloudId: string,
  vcenterInstanceUuid: string,
  disks: readonly FirstClassDiskRecord[],
  now: Date,
): Promise<Map<string, string>> {
  const namedDisks = await manager.findBy(NamedDiskEntity, { cloudId, present: true });
  const known = disks.map((disk) => ({
    disk,
    urn: firstClassDiskUrn(vcenterInstanceUuid, disk.diskId),
    namedDisk: namedDiskOf(disk, namedDisks),
  }));
  const records = known.map(({ disk, urn, namedDisk }) => sourceOf(disk, urn, namedDisk, cloudId));
  await saveSources(manager, cloudId, records, now);
  const rows = await manager.query<{ urn: string; id: string }[]>(
    'SELECT vcloud_id AS urn, vapp_id AS id FROM vapp_aliases WHERE cloud_id = $1 AND vcloud_id = ANY($2)',
    [cloudId, known.map(({ urn }) => urn)],
  );
  const ids = new Map(rows.map(({ urn, id }) => [urn, id]));
  await upsertRows(
    manager,
    FirstClassDiskEntity,
    ['vappId'],
    known.map(({ disk, urn, namedDisk }) => {
      const { diskId, datastoreMoRef, datastoreName, path, provisioning, changeTracking, attachedTo } = disk;
      const place = { diskId, datastoreMoRef, datastoreName, path, provisioning, changeTracking, attachedTo };
      return { ...place, vappId: ids.get(urn) as string, vcenterInstanceUuid, namedDiskId: namedDisk?.id ?? '' };
    }),
  );
  return ids;
}

/**
 * VCD names what it makes in vSphere after its own ids: the disk is a named disk where its id, name or path carries the named
 * disk's UUID. Otherwise nobody but the provider has a claim to it.
 */
function namedDiskOf({ diskId, name, path }: FirstClassDiskRecord, namedDisks: readonly NamedDiskEntity[]): NamedDiskEntity | undefined {
  const text = `${diskId}\n${name}\n${path}`.toLowerCase();
  return namedDisks.find(({ id }) => text.includes(id.slice(id.lastIndexOf(':') + 1).toLowerCase()));
}

function sourceOf(
  { name, sizeBytes, attachedTo }: FirstClassDiskRecord,
  urn: string,
  namedDisk: NamedDiskEntity | undefined,
  cloudId: string,
): SourceRecord {
  return {
    id: urn,
    kind: 'first-class-disk',
    name,
    href: '',
    organizationId: namedDisk?.organizationId ?? providerOrganizationId(cloudId),
    vdcId: namedDisk?.vdcId ?? '',
    ownerName: namedDisk?.ownerName ?? '',
    status: attachedTo.length > 0 ? ATTACHED : 'DETACHED',
    vmCount: 0,
    storageKib: Math.ceil(sizeBytes / KIB),
    inMaintenanceMode: false,
    vcdCatalogId: '',
    vcdCatalogName: '',
  };
}

function show({ storageKib, namedDiskId, lastSeenAt, lastRestorePointAt, ...row }: RawDisk): FirstClassDiskView {
  return {
    ...row,
    sizeBytes: Number(storageKib) * KIB,
    namedDiskId: namedDiskId === '' ? null : namedDiskId,
    lastSeenAt: lastSeenAt.toISOString(),
    lastRestorePointAt: lastRestorePointAt?.toISOString() ?? null,
  };
}
