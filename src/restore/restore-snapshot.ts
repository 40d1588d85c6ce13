import { newId } from '../common/index.js';
import { owe } from '../clouds/index.js';
import { type DiskPlace, restoreSnapshotRule, type Transport, transportRules, VddkError } from '../vddk/index.js';
import type { VmConfiguration } from '../vsphere/index.js';
import type { WriteAccessOptions } from './write-access.js';

/** A snapshot of a VM that is off, without memory, is a matter of moments. */
const SNAPSHOT_TIMEOUT_MS = 10 * 60_000;

export interface WritingTransports {
  modes: readonly Transport[];
  /** SAN may carry the disks, and writes base disks below a snapshot alone. */
  belowSnapshot: boolean;
}

export interface WritingPlace extends DiskPlace {
  /** It has a parent, as the disk of a linked clone has. */
  isChild?: boolean;
}

/**
 * One rule for all disks of a VM, because its snapshot is of all of them: SAN is used where each disk may be written by
 * it and it is preferred to the network; else not at all, and nothing needs a snapshot.
 * @throws VddkError TRANSPORT_REFUSED where SAN is the only one allowed and cannot be used.
 */
export function writingTransports(wanted: readonly Transport[], places: readonly WritingPlace[], vmName: string): WritingTransports {
  const others = wanted.filter((mode) => mode !== 'san');
  const network = wanted.findIndex((mode) => mode === 'nbdssl' || mode === 'nbd');
  const preferred = wanted.includes('san') && (network < 0 || wanted.indexOf('san') < network);
  const refused = places.flatMap((place) => [
    ...transportRules(['san'], place).flatMap(({ refused: reason }) => reason ?? []),
    // "SAN transport does not support writing to redo logs (child disks including linked clones and snapshots)" (guide).
    ...(place.isChild === true ? ['SAN transport writes base disks alone, and a disk of a linked clone has a parent'] : []),
  ]);
  if (preferred && places.length > 0 && refused.length === 0) {
    return {
      modes: wanted,
      belowSnapshot: places.some(({ datastoreType }) => restoreSnapshotRule('san', datastoreType).snapshot === 'required'),
    };
  }
  if (others.length > 0) return { modes: others, belowSnapshot: false };
  const reason = refused[0] ?? 'it has no disk';
  throw new VddkError(
    `The disks of VM "${vmName}" cannot be written: SAN alone is allowed, and ${reason}. Allow nbdssl as well (vddk.transportModes).`,
    {
      code: 'TRANSPORT_REFUSED',
      subject: `VM "${vmName}"`,
    },
  );
}

type SnapshotOptions = Pick<WriteAccessOptions, 'cloud' | 'vcenter' | 'obligations' | 'signal'>;

/** The snapshot of a restore: reverted to, then removed, whatever becomes of `work`, or the VM could not be powered on. */
export function withRestoreSnapshot<T>(
  vm: VmConfiguration,
  options: SnapshotOptions,
  work: (snapshotMoRef: string) => Promise<T>,
): Promise<T> {
  const description = 'Made by vApp Vault to write the disks below it over SAN; removed when the restore ends.';
  return withSnapshot(vm, { description, revert: true }, options, work);
}

/** A snapshot of a VM that is off, and owed from before it is made. */
export async function withSnapshot<T>(
  vm: VmConfiguration,
  { description, revert }: { description: string; revert: boolean },
  { cloud, vcenter, obligations, signal }: SnapshotOptions,
  work: (snapshotMoRef: string) => Promise<T>,
): Promise<T> {
  const snapshotName = `vApp Vault restore ${newId()}`;
  const debt = await owe(obligations, 'vsphere.snapshot', {
    cloudId: cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: vm.moRef,
    vmInstanceUuid: vm.instanceUuid,
    vmName: vm.name,
    snapshotName,
    ...(revert && { revert }),
  });
  const made = { name: snapshotName, description, quiesce: false, timeoutMs: SNAPSHOT_TIMEOUT_MS };
  try {
    const { moRef } = await vcenter.createSnapshot(vm.moRef, made, signal);
    return await work(moRef);
  } finally {
    await debt.pay();
  }
}
