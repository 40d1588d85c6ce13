import { throwIfAborted } from '../common/index.js';
import type { ManifestDisk, ManifestVm } from '../catalog/index.js';
import { type DiskBacking, VsphereError } from '../vsphere/index.js';
import type { CopyVmOptions } from './copy-vm.js';
import type { SnapshottedVm } from './snapshot-vms.js';

type Policy = NonNullable<ManifestVm['storagePolicy']>;

export interface CapturedPolicies {
  home: Policy | undefined;
  disks: ReadonlyMap<ManifestDisk['deviceKey'], Policy>;
}

const NONE: CapturedPolicies = { home: undefined, disks: new Map() };

/**
 * The storage policies of a VM and its disks, which an encrypted VM needs to be encrypted again (guide, "Encrypted Virtual
 * Disks"). They are kept by a service of their own: that it cannot be asked costs no backup.
 */
export async function storagePoliciesOf(
  { vcenter, configuration, captured }: Pick<SnapshottedVm, 'vcenter' | 'configuration' | 'captured'>,
  disks: readonly Pick<DiskBacking, 'deviceKey'>[],
  isEncrypted: boolean,
  { warn, log, signal }: Pick<CopyVmOptions, 'warn' | 'log' | 'signal'>,
): Promise<CapturedPolicies> {
  const { storagePolicies } = vcenter;
  try {
    const deviceKeys = disks.map(({ deviceKey }) => deviceKey);
    const associated = await storagePolicies.ofVm(configuration.moRef, deviceKeys, signal);
    if (associated.home === undefined && associated.disks.size === 0) return NONE;
    const names = new Map((await storagePolicies.list(signal)).map(({ id, name }) => [id, name]));
    const policy = (id: string): Policy => ({ id, name: names.get(id) ?? id });
    return {
      home: associated.home === undefined ? undefined : policy(associated.home),
      disks: new Map([...associated.disks].map(([deviceKey, id]) => [deviceKey, policy(id)])),
    };
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof VsphereError)) throw error;
    if (isEncrypted) {
      warn(
        `The storage policies of VM "${captured.name}", which is encrypted, are not in this restore point, so its keys alone encrypt it again: ${error.message}`,
      );
    } else log.debug({ vm: captured.name, code: error.code }, 'storage policies are not known');
    return NONE;
  }
}
