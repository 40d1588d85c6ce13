import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { KIB } from '../common/index.js';
import { SOURCE_KINDS, type SourceKind } from './manifest-content.js';
import { isProviderOrganization, PROVIDER_NAME } from './first-class-disk-id.js';
import type { Page } from './cursor.js';
import { type InventoryFilter, narrow, pageByName } from './inventory-filter.js';
import { OrganizationEntity, VappEntity, VdcEntity, VmEntity } from './inventory.entities.js';
import { RestorePointEntity } from './restore-point.entities.js';
import type { CatalogVapp, OrganizationView, VappDetail, VappView, VdcView } from './types.js';

export interface VappQuery extends InventoryFilter {
  /** vApps and standalone VMs where nothing is said. */
  kinds?: readonly SourceKind[];
  limit: number;
  cursor?: string;
}

export interface SourcesQuery {
  /** Whether the last inventory saw them; both where nothing is said. */
  present?: boolean;
  signal?: AbortSignal | undefined;
}

const SOURCES_PAGE = 500;

export interface VmName {
  id: string;
  vcloudId: string;
  name: string;
  href: string;
}

interface RawVapp {
  id: string;
  cloudId: string;
  vcloudId: string;
  kind: SourceKind;
  vcdCatalogId: string;
  vcdCatalogName: string;
  name: string;
  href: string;
  organizationId: string;
  organizationName: string | null;
  vdcId: string;
  vdcName: string | null;
  ownerName: string;
  status: string;
  vmCount: number;
  storageKib: string;
  inMaintenanceMode: boolean;
  present: boolean;
  lastSeenAt: Date;
  lastRestorePointAt: Date | null;
}

/** What a cloud had at its last inventory, for people and for those who act on one vApp. */
@Injectable()
export class VappQueryService {
  constructor(private readonly dataSource: DataSource) {}

  async find(vappId: string): Promise<CatalogVapp | undefined> {
    const [row] = await this.select().where('v.id = :vappId', { vappId }).getRawMany<RawVapp>();
    if (row === undefined) return undefined;
    const { id, cloudId, name, organizationId, organizationName, vdcId, vdcName, vcloudId, href, present } = show(row);
    const { kind, vcdCatalogId, vcdCatalogName } = row;
    return {
      id,
      cloudId,
      name,
      organizationId,
      organizationName,
      vdcId,
      vdcName,
      vcloudId,
      href,
      present,
      kind,
      vcdCatalogId,
      vcdCatalogName,
    };
  }

  async detail(vappId: string): Promise<VappDetail | undefined> {
    const [row] = await this.select().where('v.id = :vappId', { vappId }).getRawMany<RawVapp>();
    if (row === undefined) return undefined;
    const vms = await this.dataSource.manager.find(VmEntity, {
      where: { vappId, present: row.present },
      order: { name: 'ASC', id: 'ASC' },
    });
    return {
      ...show(row),
      vms: vms.map(({ id, name, vcloudId, status, moRef, hostName, datastoreName, present }) => ({
        id,
        name,
        vcloudId,
        status,
        moRef,
        hostName,
        datastoreName,
        present,
      })),
    };
  }

  /** VMs of many at once, by name; of one that is gone, those it ever had. What has none is not in the answer. */
  async vmsOf(vappIds: readonly string[]): Promise<Map<string, VmName[]>> {
    const found = new Map<string, VmName[]>();
    if (vappIds.length === 0) return found;
    const rows = await this.dataSource.manager.query<(VmName & { vappId: string })[]>(
      // A VM that was moved into another vApp before its own was gone is known by restore points alone.
      `SELECT m.id, v.id AS "vappId", m.vcloud_id AS "vcloudId", m.name, m.href FROM vapps v JOIN vms m ON m.vapp_id = v.id
       WHERE v.id = ANY($1) AND (m.present OR NOT v.present)
       UNION
       SELECT m.id, v.id, m.vcloud_id, m.name, m.href FROM vapps v JOIN restore_points p ON p.vapp_id = v.id
         JOIN restore_point_vms r ON r.restore_point_id = p.id JOIN vms m ON m.id = r.vm_id
       WHERE v.id = ANY($1) AND NOT v.present
       ORDER BY name, id`,
      [vappIds],
    );
    for (const { vappId, ...vm } of rows) {
      const own = found.get(vappId);
      if (own === undefined) found.set(vappId, [vm]);
      else own.push(vm);
    }
    return found;
  }

  /** By name, then id. @throws CatalogError CURSOR_INVALID. */
  async list(query: VappQuery): Promise<Page<VappView>> {
    const found = narrow(this.select(), 'v', query);
    found.andWhere('v.kind IN (:...kinds)', { kinds: query.kinds ?? ['vapp', 'standalone-vm'] });
    return pageByName(found, 'v', query, show);
  }

  /** All that restore points of a cloud can be made of, by name; a page at a time, because there may be ten thousands. */
  async *sourcesOf(cloudId: string, { present, signal }: SourcesQuery): AsyncGenerator<VappView[]> {
    const query = { cloudId, kinds: SOURCE_KINDS, limit: SOURCES_PAGE, ...(present === undefined ? {} : { present }) };
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await this.list({ ...query, ...(cursor === undefined ? {} : { cursor }) });
      yield page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  async organizations(cloudId?: string): Promise<OrganizationView[]> {
    const rows = await this.dataSource.manager.find(OrganizationEntity, {
      ...(cloudId === undefined ? {} : { where: { cloudId } }),
      order: { name: 'ASC', id: 'ASC' },
    });
    return rows.map(({ id, cloudId: cloud, name, displayName, enabled, present }) => ({
      id,
      cloudId: cloud,
      name,
      displayName,
      enabled,
      present,
    }));
  }

  async vdcs(cloudId?: string): Promise<VdcView[]> {
    const found = this.dataSource.manager
      .createQueryBuilder(VdcEntity, 'd')
      .leftJoin(OrganizationEntity, 'o', 'o.cloud_id = d.cloud_id AND o.id = d.organization_id')
      .select(['d.id AS id', 'd.name AS name', 'd.enabled AS enabled', 'd.present AS present'])
      .addSelect(['d.cloud_id AS "cloudId"', 'd.organization_id AS "organizationId"', `coalesce(o.name, '') AS "organizationName"`])
      .orderBy('d.name')
      .addOrderBy('d.id');
    if (cloudId !== undefined) found.where('d.cloud_id = :cloudId', { cloudId });
    return found.getRawMany<VdcView>();
  }

  private select() {
    return this.dataSource.manager
      .createQueryBuilder(VappEntity, 'v')
      .leftJoin(OrganizationEntity, 'o', 'o.cloud_id = v.cloud_id AND o.id = v.organization_id')
      .leftJoin(VdcEntity, 'd', 'd.cloud_id = v.cloud_id AND d.id = v.vdc_id')
      .select(['v.id AS id', 'v.name AS name', 'v.href AS href', 'v.status AS status', 'v.present AS present', 'v.kind AS kind'])
      .addSelect(['v.vcd_catalog_id AS "vcdCatalogId"', 'v.vcd_catalog_name AS "vcdCatalogName"'])
      .addSelect(['v.cloud_id AS "cloudId"', 'v.vcloud_id AS "vcloudId"', 'v.organization_id AS "organizationId"', 'v.vdc_id AS "vdcId"'])
      .addSelect(['o.name AS "organizationName"', 'd.name AS "vdcName"', 'v.owner_name AS "ownerName"', 'v.vm_count AS "vmCount"'])
      .addSelect(['v.storage_kib AS "storageKib"', 'v.in_maintenance_mode AS "inMaintenanceMode"', 'v.last_seen_at AS "lastSeenAt"'])
      .addSelect(
        (sub) => sub.select('max(p.created_at)').from(RestorePointEntity, 'p').where('p.vapp_id = v.id AND p.deleting_at IS NULL'),
        'lastRestorePointAt',
      );
  }
}

function show({ storageKib, ...row }: RawVapp): VappView {
  return {
    ...row,
    organizationName: row.organizationName ?? (isProviderOrganization(row.organizationId) ? PROVIDER_NAME : ''),
    vdcName: row.vdcName ?? '',
    storageBytes: Number(storageKib) * KIB,
    lastSeenAt: row.lastSeenAt.toISOString(),
    lastRestorePointAt: row.lastRestorePointAt?.toISOString() ?? null,
  };
}
