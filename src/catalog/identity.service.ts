import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { newId } from '../common/index.js';
import { lockCloud } from './cloud-lock.js';
import { DiskEntity, VappAliasEntity, VappEntity, VmAliasEntity, type VmAliasKind, VmEntity } from './inventory.entities.js';
import { hrefFor } from './vcloud-id.js';

export interface VmAliases {
  cloudId: string;
  vcloudId?: string;
  instanceUuid?: string;
  vcenterInstanceUuid?: string;
  moRef?: string;
}

export interface Alias {
  kind: VmAliasKind;
  scope: string;
  value: string;
}

/**
 * Who is who. A vApp, VM or disk keeps its id here whatever VCD and vSphere call it after a
 * restore (plan, promise 5): their names for it are aliases.
 */
@Injectable()
export class IdentityService {
  constructor(private readonly dataSource: DataSource) {}

  async identifyVapp(cloudId: string, vcloudId: string, name: string): Promise<string> {
    return this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, cloudId);
      const known = await manager.findOneBy(VappAliasEntity, { cloudId, vcloudId });
      if (known !== null) return known.vappId;
      const id = newId();
      await manager.insert(VappEntity, { ...blankVapp(id, cloudId, vcloudId, now), name });
      await manager.insert(VappAliasEntity, { cloudId, vcloudId, vappId: id });
      return id;
    });
  }

  /** From now on VCD's `vcloudId` is this vApp; a row an inventory made for it meanwhile is merged. */
  async addVappAlias(vappId: string, cloudId: string, vcloudId: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, cloudId);
      const other = await manager.findOneBy(VappAliasEntity, { cloudId, vcloudId });
      const vapp = await manager.findOneByOrFail(VappEntity, { id: vappId });
      if (other !== null && other.vappId !== vappId) {
        await this.absorbVapp(manager, other.vappId, vappId);
      } else if (vapp.vcloudId !== vcloudId) {
        await manager.update(
          VappEntity,
          { id: vappId },
          { cloudId, vcloudId, href: hrefFor(vcloudId, vapp), present: true, lastSeenAt: now },
        );
      }
      await manager.upsert(VappAliasEntity, { cloudId, vcloudId, vappId }, ['cloudId', 'vcloudId']);
    });
  }

  /** Under every name it has had, but for the one it has now. */
  async formerVappHrefs(vappId: string): Promise<string[]> {
    const vapp = await this.dataSource.manager.findOneBy(VappEntity, { id: vappId });
    if (vapp === null) return [];
    const aliases = await this.dataSource.manager.findBy(VappAliasEntity, { cloudId: vapp.cloudId, vappId });
    return aliases.filter(({ vcloudId }) => vcloudId !== vapp.vcloudId).map(({ vcloudId }) => hrefFor(vcloudId, vapp));
  }

  /**
   * The VM behind these names, made on first sight. The instance UUID says most (vSphere's own
   * identity), then VCD's id; a MoRef says least, since a vCenter's MoRefs begin anew when its
   * database does.
   */
  async identifyVm(aliases: Required<VmAliases>, name: string): Promise<string> {
    return this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, aliases.cloudId);
      const all = aliasesOf(aliases);
      const owners = await this.ownersOf(manager, all);
      const [byInstance, byVcloud, byMoRef] = (['instance-uuid', 'vcloud', 'mo-ref'] as const).map((kind) => owners.get(kind));
      let id: string | undefined;
      if (byInstance !== undefined && byVcloud !== undefined && byInstance !== byVcloud) {
        id = (await this.hasHistory(manager, byVcloud)) ? byVcloud : byInstance;
        if (id === byInstance) await this.absorbVm(manager, byVcloud, byInstance);
      } else {
        id = byInstance ?? byVcloud;
        if (id === undefined && byMoRef !== undefined && !(await this.hasInstanceUuid(manager, byMoRef))) id = byMoRef;
      }
      if (id === undefined) {
        id = newId();
        await manager.insert(VmEntity, { ...blankVm(id, aliases.cloudId, now), name, vcloudId: aliases.vcloudId, moRef: aliases.moRef });
      }
      await this.claim(manager, id, all);
      return id;
    });
  }

  async addVmAliases(vmId: string, aliases: VmAliases): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const now = await lockCloud(manager, aliases.cloudId);
      const all = aliasesOf(aliases);
      const former = await manager.findOneByOrFail(VmEntity, { id: vmId });
      const { vcloudId, moRef } = aliases;
      await manager.update(
        VmEntity,
        { id: vmId },
        {
          cloudId: aliases.cloudId,
          present: true,
          lastSeenAt: now,
          ...(vcloudId === undefined || vcloudId === former.vcloudId ? {} : { vcloudId, href: hrefFor(vcloudId, former) }),
          ...(moRef === undefined ? {} : { moRef }),
        },
      );
      await this.absorbNewcomers(manager, vmId, all);
      await this.claim(manager, vmId, all);
    });
  }

  /** Read only: a VM that nobody has seen yet has none. */
  async knownInstanceUuids(cloudId: string, vcloudId: string): Promise<string[]> {
    const rows: { value: string }[] = await this.dataSource.query(
      `SELECT uuid.value FROM vm_aliases vcloud JOIN vm_aliases uuid ON uuid.vm_id = vcloud.vm_id AND uuid.kind = 'instance-uuid' AND uuid.scope = $1
       WHERE vcloud.kind = 'vcloud' AND vcloud.scope = $1 AND vcloud.value = $2`,
      [cloudId, vcloudId],
    );
    return rows.map(({ value }) => value);
  }

  async identifyDisk(vmId: string, disk: { deviceKey: number; uuid: string | undefined; label: string }): Promise<string> {
    const identity = { vmId, deviceKey: disk.deviceKey, uuid: disk.uuid ?? '' };
    await this.dataSource.manager
      .createQueryBuilder()
      .insert()
      .into(DiskEntity)
      .values({ id: newId(), ...identity, label: disk.label })
      .orUpdate(['label'], ['vm_id', 'device_key', 'uuid'])
      .execute();
    const row = await this.dataSource.manager.findOneByOrFail(DiskEntity, identity);
    return row.id;
  }

  /** Who has these names and no restore point is this VM, seen before it was known again. */
  async absorbNewcomers(manager: EntityManager, vmId: string, aliases: readonly Alias[]): Promise<void> {
    for (const other of new Set((await this.ownersOf(manager, aliases)).values())) {
      if (other !== vmId && !(await this.hasHistory(manager, other))) await this.absorbVm(manager, other, vmId);
    }
  }

  async vappHasHistory(manager: EntityManager, vappId: string): Promise<boolean> {
    const [row] = await manager.query<{ found: boolean }[]>('SELECT EXISTS (SELECT FROM restore_points WHERE vapp_id = $1) AS found', [
      vappId,
    ]);
    return row?.found === true;
  }

  /** `from` turned out to be `into`. */
  async absorbVapp(manager: EntityManager, from: string, into: string): Promise<void> {
    const { id: _id, ...today } = await manager.findOneByOrFail(VappEntity, { id: from });
    await manager.update(VappEntity, { id: into }, today);
    await manager.update(VmEntity, { vappId: from }, { vappId: into });
    if (await this.vappHasHistory(manager, from)) {
      // It has restore points of its own: it stays for them, and is no vApp of today any more.
      await manager.update(VappEntity, { id: from }, { present: false });
      return;
    }
    await manager.update(VappAliasEntity, { vappId: from }, { vappId: into });
    await manager.delete(VappEntity, { id: from });
  }

  private async ownersOf(manager: EntityManager, aliases: readonly Alias[]): Promise<Map<VmAliasKind, string>> {
    if (aliases.length === 0) return new Map();
    const rows = await manager.find(VmAliasEntity, { where: aliases.map(({ kind, scope, value }) => ({ kind, scope, value })) });
    return new Map(rows.map((row) => [row.kind, row.vmId]));
  }

  private async claim(manager: EntityManager, vmId: string, aliases: readonly Alias[]): Promise<void> {
    if (aliases.length === 0) return;
    await manager.upsert(
      VmAliasEntity,
      aliases.map((alias) => ({ ...alias, vmId })),
      ['kind', 'scope', 'value'],
    );
  }

  private async hasHistory(manager: EntityManager, vmId: string): Promise<boolean> {
    const [row] = await manager.query<{ found: boolean }[]>('SELECT EXISTS (SELECT FROM restore_point_vms WHERE vm_id = $1) AS found', [
      vmId,
    ]);
    return row?.found === true;
  }

  private hasInstanceUuid(manager: EntityManager, vmId: string): Promise<boolean> {
    return manager.existsBy(VmAliasEntity, { vmId, kind: 'instance-uuid' });
  }

  /** `from` turned out to be `into`: its names and its place in today's cloud are the survivor's. */
  private async absorbVm(manager: EntityManager, from: string, into: string): Promise<void> {
    const { id: _id, ...today } = await manager.findOneByOrFail(VmEntity, { id: from });
    await manager.update(VmAliasEntity, { vmId: from }, { vmId: into });
    await manager.update(VmEntity, { id: into }, today);
    await manager.delete(VmEntity, { id: from });
  }
}

export function aliasesOf(given: VmAliases): Alias[] {
  const aliases: Alias[] = [];
  if (given.vcloudId) aliases.push({ kind: 'vcloud', scope: given.cloudId, value: given.vcloudId });
  if (given.instanceUuid) aliases.push({ kind: 'instance-uuid', scope: given.cloudId, value: given.instanceUuid });
  if (given.moRef && given.vcenterInstanceUuid) aliases.push({ kind: 'mo-ref', scope: given.vcenterInstanceUuid, value: given.moRef });
  return aliases;
}

/** A vApp of which only the names are known; the next inventory fills in the rest. */
export function blankVapp(id: string, cloudId: string, vcloudId: string, lastSeenAt: Date): Omit<VappEntity, 'name'> {
  const empty = { href: '', organizationId: '', vdcId: '', ownerName: '', status: '' };
  const inNoCatalog = { kind: 'vapp', vcdCatalogId: '', vcdCatalogName: '' } as const;
  return {
    id,
    cloudId,
    vcloudId,
    ...empty,
    ...inNoCatalog,
    vmCount: 0,
    storageKib: 0,
    inMaintenanceMode: false,
    present: true,
    lastSeenAt,
  };
}

export function blankVm(id: string, cloudId: string, lastSeenAt: Date): Omit<VmEntity, 'name'> {
  const empty = { vcloudId: '', href: '', status: '', moRef: '', vimServerId: '', hostName: '', datastoreName: '' };
  return { id, cloudId, vappId: null, ...empty, present: true, lastSeenAt };
}
