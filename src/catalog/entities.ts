import { FirstClassDiskEntity } from './first-class-disk.entity.js';
import {
  CloudResourceEntity,
  DiskEntity,
  InventoryStateEntity,
  NamedDiskEntity,
  OrganizationEntity,
  VappAliasEntity,
  VappEntity,
  VdcEntity,
  VmAliasEntity,
  VmEntity,
} from './inventory.entities.js';
import { RestorePointDiskEntity, RestorePointEntity, LegalHoldEntity, RestorePointVmEntity } from './restore-point.entities.js';

/** Every table of this room. */
export const catalogEntities = [
  OrganizationEntity,
  VdcEntity,
  VappEntity,
  VappAliasEntity,
  VmEntity,
  VmAliasEntity,
  DiskEntity,
  NamedDiskEntity,
  FirstClassDiskEntity,
  CloudResourceEntity,
  InventoryStateEntity,
  RestorePointEntity,
  RestorePointVmEntity,
  RestorePointDiskEntity,
  LegalHoldEntity,
];
