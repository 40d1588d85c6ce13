import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, In } from 'typeorm';
import { lockCloud } from './cloud-lock.js';
import { isProviderOrganization } from './first-class-disk-id.js';
import { aliasesOf, blankVapp, blankVm, IdentityService } from './identity.service.js';
import { OrganizationEntity, VappAliasEntity, VappEntity, VdcEntity, VmAliasEntity, VmEntity } from './inventory.entities.js';
import type { ManifestContent, ManifestVm } from './manifest-content.js';
import { RestorePointEntity } from './restore-point.entities.js';
import { RestorePointService } from './restore-point.service.js';
import { restorePointRow } from './restore-point-row.js';
import { upsertRows } from './upsert-rows.js';

/**
 * How the catalog comes back: from manifests, which say who is who, and from a cloud that is registered anew, which is known
 * again by its organizations. Nothing here deletes a restore point, or changes what is known of one.
 */
@Injectable()
export class AdoptionService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly identity: IdentityService,
    private readonly restorePoints: RestorePointService,
  ) {}

  /** Which of these restore points the catalog has. */
  async known(restorePointIds: readonly string[]): Promise<Set<string>> {
    const rows = await this.dataSource.manager.find(RestorePointEntity, { where: { id: In([...restorePointIds]) }, select: { id: true } });
    return new Set(rows.map(({ id }) => id));
  }

  /**
   * Writes the rows of a restore point from its manifest, with everything it names that the catalog does not have: its
   * organization, VDC, vApp, VMs, their names and disks. What is known already stays: hand over the newest restore point first, and
   * each name belongs to whoever had it last. Whole or not at all.
   * @returns false when the catalog has it already.
   */
  async adoptRestorePoint(restorePointId: string, createdAt: string, content: ManifestContent, lockedUntil?: Date): Promise<boolean> {
    const made = restorePointRow(restorePointId, createdAt, content);
    const isExtended = lockedUntil !== undefined && !(made.lockedUntil && Date.parse(made.lockedUntil) >= lockedUntil.getTime());
    const row = isExtended ? { ...made, lockedUntil: lockedUntil.toISOString() } : made;
    return this.dataSource.transaction(async (manager) => {
      await lockCloud(manager, row.cloudId);
      if (await manager.existsBy(RestorePointEntity, { id: restorePointId })) return false;
      await this.adoptPlace(manager, content, new Date(createdAt));
      await this.adoptVapp(manager, content, new Date(createdAt));
      await upsertRows(
        manager,
        VmEntity,
        ['id'],
        content.vms.map((vm) => lostVm(content, vm, new Date(createdAt))),
        'keep',
      );
      // Before names are given out: whoever has a restore point keeps his.
      await this.restorePoints.recordWithin(manager, row);
      await manager.query('UPDATE restore_points SET adopted_at = now() WHERE id = $1', [restorePointId]);
      for (const vm of content.vms) await this.adoptVmNames(manager, content.cloud.id, vm);
      return true;
    });
  }

  /**
   * Clouds that restore points come from and nobody has registered, by the organizations they had.
   * @param registered ids of the clouds that are registered
   */
  async formerClouds(registered: readonly string[]): Promise<Map<string, Set<string>>> {
    const rows = await this.dataSource.query<{ cloudId: string; organizationId: string }[]>(
      'SELECT DISTINCT cloud_id AS "cloudId", organization_id AS "organizationId" FROM restore_points WHERE NOT cloud_id = ANY($1)',
      [registered],
    );
    const clouds = new Map<string, Set<string>>();
    for (const { cloudId, organizationId } of rows) clouds.set(cloudId, (clouds.get(cloudId) ?? new Set()).add(organizationId));
    return clouds;
  }

  /** The former cloud was this one: its vApps, VMs and restore points are this one's from now on. At one stroke. */
  async adoptCloud(formerId: string, cloudId: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      for (const id of [formerId, cloudId].sort()) await lockCloud(manager, id);
      await this.joinVapps(manager, formerId, cloudId);
      await this.joinVms(manager, formerId, cloudId);
      for (const table of ['organizations', 'vdcs']) {
        await manager.query(
          `DELETE FROM ${table} f WHERE cloud_id = $1 AND EXISTS (SELECT FROM ${table} n WHERE n.cloud_id = $2 AND n.id = f.id)`,
          [formerId, cloudId],
        );
      }
      for (const table of ['organizations', 'vdcs', 'vapps', 'vapp_aliases', 'vms', 'restore_points'])
        await manager.query(`UPDATE ${table} SET cloud_id = $2 WHERE cloud_id = $1`, [formerId, cloudId]);
      await manager.query(`UPDATE vm_aliases SET scope = $2 WHERE scope = $1 AND kind IN ('vcloud', 'instance-uuid')`, [formerId, cloudId]);
    });
  }

  private async adoptPlace(manager: EntityManager, { cloud, organization, vdc }: ManifestContent, lastSeenAt: Date): Promise<void> {
    const lost = { cloudId: cloud.id, href: '', enabled: true, present: false, lastSeenAt };
    const displayName = organization.name;
    if (!isProviderOrganization(organization.id))
      await upsertRows(manager, OrganizationEntity, ['cloudId', 'id'], [{ ...lost, ...pick(organization), displayName }], 'keep');
    // A first class disk is in none.
    if (vdc.id === '') return;
    await upsertRows(manager, VdcEntity, ['cloudId', 'id'], [{ ...lost, ...pick(vdc), organizationId: organization.id }], 'keep');
  }

  private async adoptVapp(manager: EntityManager, content: ManifestContent, at: Date): Promise<void> {
    const { cloud, vapp, organization, vdc, sourceKind = 'vapp' } = content;
    const place = { organizationId: organization.id, vdcId: vdc.id, vmCount: content.vms.length, present: false };
    const row = { ...blankVapp(vapp.id, cloud.id, vapp.vcloudId, at), ...place, name: vapp.name, kind: sourceKind };
    await upsertRows(manager, VappEntity, ['id'], [row], 'keep');
    const alias = { cloudId: cloud.id, vcloudId: vapp.vcloudId };
    const owner = await manager.findOneBy(VappAliasEntity, alias);
    // Seen by an inventory before the restore points were: the older id is the one with the history.
    if (owner !== null && owner.vappId !== vapp.id && !(await this.identity.vappHasHistory(manager, owner.vappId)))
      await this.identity.absorbVapp(manager, owner.vappId, vapp.id);
    await upsertRows(manager, VappAliasEntity, ['cloudId', 'vcloudId'], [{ ...alias, vappId: vapp.id }], 'keep');
  }

  private async adoptVmNames(manager: EntityManager, cloudId: string, vm: ManifestVm): Promise<void> {
    const { vmId, vcloudId, moRef, instanceUuid, vcenterInstanceUuid } = vm;
    const aliases = aliasesOf({ cloudId, vcloudId, instanceUuid, vcenterInstanceUuid, moRef });
    await this.identity.absorbNewcomers(manager, vmId, aliases);
    const rows = aliases.map((alias) => ({ ...alias, vmId }));
    await upsertRows(manager, VmAliasEntity, ['kind', 'scope', 'value'], rows, 'keep');
  }

  /** A vApp both clouds know under one name of VCD's: the one with the history takes the other in; where both have one, today's keeps the name. */
  private async joinVapps(manager: EntityManager, formerId: string, cloudId: string): Promise<void> {
    const twice = await manager.query<{ vcloudId: string; former: string; today: string }[]>(
      `SELECT f.vcloud_id AS "vcloudId", f.vapp_id AS former, n.vapp_id AS today FROM vapp_aliases f
         JOIN vapp_aliases n ON n.cloud_id = $2 AND n.vcloud_id = f.vcloud_id WHERE f.cloud_id = $1`,
      [formerId, cloudId],
    );
    for (const { vcloudId, former, today } of twice) {
      if (former !== today && !(await this.identity.vappHasHistory(manager, today))) await this.identity.absorbVapp(manager, today, former);
      await manager.delete(VappAliasEntity, { cloudId: formerId, vcloudId });
    }
  }

  private async joinVms(manager: EntityManager, formerId: string, cloudId: string): Promise<void> {
    const twice = await manager.query<{ kind: VmAliasEntity['kind']; value: string; former: string; today: string }[]>(
      `SELECT f.kind, f.value, f.vm_id AS former, n.vm_id AS today FROM vm_aliases f
         JOIN vm_aliases n ON n.kind = f.kind AND n.scope = $2 AND n.value = f.value
        WHERE f.scope = $1 AND f.kind IN ('vcloud', 'instance-uuid')`,
      [formerId, cloudId],
    );
    for (const { kind, value, former } of twice) {
      await this.identity.absorbNewcomers(manager, former, [{ kind, scope: cloudId, value }]);
      await manager.delete(VmAliasEntity, { kind, scope: formerId, value });
    }
  }
}

function lostVm({ cloud, vapp }: ManifestContent, { vmId, name, vcloudId, moRef }: ManifestVm, at: Date): VmEntity {
  return { ...blankVm(vmId, cloud.id, at), name, vcloudId, moRef, vappId: vapp.id, present: false };
}

function pick({ id, name }: { id: string; name: string }): { id: string; name: string } {
  return { id, name };
}
