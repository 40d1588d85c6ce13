import type { EntityManager } from 'typeorm';
import { newId } from '../common/index.js';
import type { MediaRecord, VappRecord, VappTemplateRecord, VmRecord } from '../vcd/index.js';
import { VappAliasEntity, VappEntity, VmAliasEntity, VmEntity } from './inventory.entities.js';
import { upsertRows } from './upsert-rows.js';

/** What a restore point can be made of, as a listing shows it; `id` is VCD's. */
export type SourceRecord = Pick<
  VappEntity,
  | 'id'
  | 'kind'
  | 'name'
  | 'href'
  | 'organizationId'
  | 'vdcId'
  | 'ownerName'
  | 'status'
  | 'vmCount'
  | 'storageKib'
  | 'inMaintenanceMode'
  | 'vcdCatalogId'
  | 'vcdCatalogName'
>;

export function ofVapp(record: VappRecord): SourceRecord {
  const { busy: _busy, standalone, ...vapp } = record;
  return { ...vapp, kind: standalone ? 'standalone-vm' : 'vapp', vcdCatalogId: '', vcdCatalogName: '' };
}

/** Its VMs are listed apart; they are counted when those are written. */
export function ofTemplate(record: VappTemplateRecord): SourceRecord {
  const { id, name, href, organizationId, vdcId, ownerName, status, storageKib, catalogId, catalogName } = record;
  const vcdCatalog = { vcdCatalogId: catalogId, vcdCatalogName: catalogName };
  const shown = { id, name, href, organizationId, vdcId, ownerName, status, storageKib };
  return { ...shown, ...vcdCatalog, kind: 'vapp-template', vmCount: 0, inMaintenanceMode: false };
}

export function ofMedium(record: MediaRecord): SourceRecord {
  const { id, name, href, organizationId, vdcId, ownerName, status, sizeBytes, catalogId, catalogName } = record;
  const vcdCatalog = { vcdCatalogId: catalogId, vcdCatalogName: catalogName };
  const shown = { id, name, href, organizationId, vdcId, ownerName, status, storageKib: Math.ceil(sizeBytes / 1024) };
  return { ...shown, ...vcdCatalog, kind: 'media', vmCount: 0, inMaintenanceMode: false };
}

/** What is already known under a name of VCD's. */
interface Known {
  id: string;
  /** The name VCD has for it today, as far as we know. */
  vcloudId: string;
}

interface KnownRow extends Known {
  alias: string;
}

/** @param former takes the records that came under a name an object had before it was restored; without it they are written like others. */
export async function saveSources(
  manager: EntityManager,
  cloudId: string,
  records: readonly SourceRecord[],
  now: Date,
  former?: SourceRecord[],
): Promise<void> {
  if (records.length === 0) return;
  const known = await knownSources(manager, cloudId, idsOf(records));
  const placed = place(records, known, former);
  await upsertRows(
    manager,
    VappEntity,
    ['id'],
    placed.map(({ id, record: { id: vcloudId, ...record } }) => ({ ...record, id, cloudId, vcloudId, present: true, lastSeenAt: now })),
  );
  const aliases = placed
    .filter(({ record }) => !known.has(record.id))
    .map(({ id, record }) => ({ cloudId, vcloudId: record.id, vappId: id }));
  await upsertRows(manager, VappAliasEntity, ['cloudId', 'vcloudId'], aliases, 'keep');
}

/** @param former as for saveSources. */
export async function saveVms(
  manager: EntityManager,
  cloudId: string,
  records: readonly VmRecord[],
  now: Date,
  former?: VmRecord[],
): Promise<void> {
  if (records.length === 0) return;
  const known = await knownVms(manager, cloudId, idsOf(records));
  const placed = place(records, known, former);
  const owners = await knownSources(manager, cloudId, [...new Set(placed.map(({ record }) => record.vappId))]);
  const rows = placed.map(({ id, record }) => {
    const { name, href, status, moRef, vimServerId, hostName, datastoreName } = record;
    const vappId = owners.get(record.vappId)?.id ?? null;
    const today = { name, href, status, moRef, vimServerId, hostName, datastoreName };
    return { ...today, id, cloudId, vcloudId: record.id, vappId, present: true, lastSeenAt: now };
  });
  await upsertRows(manager, VmEntity, ['id'], rows);
  const aliases = placed
    .filter(({ record }) => !known.has(record.id))
    .map(({ id, record }) => ({ kind: 'vcloud' as const, scope: cloudId, value: record.id, vmId: id }));
  await upsertRows(manager, VmAliasEntity, ['kind', 'scope', 'value'], aliases, 'keep');
}

/** The vApps, templates and media behind these names of VCD's. */
async function knownSources(manager: EntityManager, cloudId: string, vcloudIds: readonly string[]): Promise<Map<string, Known>> {
  return byAlias(
    await manager.query<KnownRow[]>(
      `SELECT a.vcloud_id AS alias, v.id, v.vcloud_id AS "vcloudId" FROM vapp_aliases a JOIN vapps v ON v.id = a.vapp_id
        WHERE a.cloud_id = $1 AND a.vcloud_id = ANY($2)`,
      [cloudId, vcloudIds],
    ),
  );
}

async function knownVms(manager: EntityManager, cloudId: string, vcloudIds: readonly string[]): Promise<Map<string, Known>> {
  return byAlias(
    await manager.query<KnownRow[]>(
      `SELECT a.value AS alias, v.id, v.vcloud_id AS "vcloudId" FROM vm_aliases a JOIN vms v ON v.id = a.vm_id
        WHERE a.kind = 'vcloud' AND a.scope = $1 AND a.value = ANY($2)`,
      [cloudId, vcloudIds],
    ),
  );
}

function byAlias(rows: readonly KnownRow[]): Map<string, Known> {
  return new Map(rows.map(({ alias, ...known }) => [alias, known]));
}

function idsOf(records: readonly { id: string }[]): string[] {
  return records.map(({ id }) => id);
}

/** True when the object behind this name of VCD's was written since then, under this name or another. */
export async function wasSeen(manager: EntityManager, cloudId: string, vcloudId: string, since: Date): Promise<boolean> {
  const [row] = await manager.query<{ seen: boolean }[]>(
    `SELECT EXISTS (
       SELECT FROM vapp_aliases a JOIN vapps v ON v.id = a.vapp_id
        WHERE a.cloud_id = $1 AND a.vcloud_id = $2 AND v.last_seen_at >= $3
       UNION ALL
       SELECT FROM vm_aliases a JOIN vms v ON v.id = a.vm_id
        WHERE a.kind = 'vcloud' AND a.scope = $1 AND a.value = $2 AND v.last_seen_at >= $3) AS seen`,
    [cloudId, vcloudId, since],
  );
  return row?.seen === true;
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
