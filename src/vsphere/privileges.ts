/** What a privilege is used for. */
export type PrivilegePurpose = 'backup' | 'restore' | 'hotadd' | 'encryption' | 'first-class-disks' | 'storage-policies';

export interface Privilege {
  /** As the API names it: VirtualMachine.State.CreateSnapshot. */
  id: string;
  /** As the vSphere Client shows it: category > name. */
  label: string;
  purposes: readonly PrivilegePurpose[];
  /** Which call of ours needs it. */
  use: string;
}

const privilege = (id: string, label: string, purposes: readonly PrivilegePurpose[], use: string): Privilege => ({
  id,
  label,
  purposes,
  use,
});
const VM = 'Virtual machine';

/**
 * Every privilege this service needs of its vCenter account: those of VMware's guide ("Credentials and Privileges for
 * VMDK Access", Tables 7-1 and 7-2, "Backup and Restore of Encrypted VMs"), and those the API reference asks for the
 * methods of vim25-vadp.wsdl. docs/operations.md shows the same table.
 */
export const PRIVILEGES: readonly Privilege[] = [
  privilege(
    'Global.DisableMethods',
    'Global > Disable methods',
    ['backup', 'restore'],
    'keeping vMotion away while disks are open (PrepareForAccess)',
  ),
  privilege('Global.EnableMethods', 'Global > Enable methods', ['backup', 'restore'], 'allowing vMotion again (EndAccess)'),
  privilege(
    'VirtualMachine.Config.ChangeTracking',
    `${VM} > Toggle disk change tracking`,
    ['backup', 'restore'],
    'turning change tracking on, and off while a disk is restored in full',
  ),
  privilege('VirtualMachine.Config.DiskLease', `${VM} > Acquire disk lease`, ['backup'], 'opening the disks of a VM (Table 7-1)'),
  privilege(
    'VirtualMachine.Provisioning.DiskRandomRead',
    `${VM} > Allow read-only disk access`,
    ['backup'],
    'reading disks and asking which areas changed',
  ),
  privilege('VirtualMachine.Provisioning.GetVmFiles', `${VM} > Allow virtual machine download`, ['backup'], 'reading disks (Table 7-1)'),
  privilege(
    'VirtualMachine.State.CreateSnapshot',
    `${VM} > Create snapshot`,
    ['backup', 'restore'],
    'the snapshot a backup reads from, and the one of a restore over SAN',
  ),
  privilege(
    'VirtualMachine.State.RemoveSnapshot',
    `${VM} > Remove snapshot`,
    ['backup', 'restore'],
    'removing snapshots and consolidating disks',
  ),
  privilege('Datastore.Browse', 'Datastore > Browse datastore', ['backup', 'restore'], 'finding small files: NVRAM, the VSS manifest'),
  privilege(
    'Datastore.FileManagement',
    'Datastore > Low level file operations',
    ['backup', 'restore', 'first-class-disks'],
    'small files over HTTP; every call on first class disks',
  ),
  privilege('VirtualMachine.Inventory.Create', `${VM} > Create new`, ['restore'], 'creating the VM'),
  privilege('VirtualMachine.Inventory.Delete', `${VM} > Remove`, ['restore'], 'deleting a VM that was only half made'),
  privilege('VirtualMachine.Inventory.Unregister', `${VM} > Unregister`, ['restore'], 'giving up a VM without deleting its files'),
  privilege('VirtualMachine.Config.AddNewDisk', `${VM} > Add new disk`, ['restore', 'hotadd'], 'disks of the restored VM'),
  privilege(
    'VirtualMachine.Config.AddExistingDisk',
    `${VM} > Add existing disk`,
    ['restore', 'hotadd', 'first-class-disks'],
    'attaching disks that exist, also to the backup appliance',
  ),
  privilege(
    'VirtualMachine.Config.RemoveDisk',
    `${VM} > Remove disk`,
    ['restore', 'hotadd', 'first-class-disks'],
    'detaching disks, also from the backup appliance',
  ),
  privilege('VirtualMachine.Config.RawDevice', `${VM} > Configure Raw device`, ['restore'], 'VMs with a raw device mapping'),
  privilege('VirtualMachine.Config.AddRemoveDevice', `${VM} > Add or remove device`, ['restore'], 'controllers, NICs and other devices'),
  privilege('VirtualMachine.Config.EditDevice', `${VM} > Modify device settings`, ['restore'], 'settings of devices'),
  privilege('VirtualMachine.Config.CPUCount', `${VM} > Change CPU count`, ['restore'], 'putting an existing VM back'),
  privilege('VirtualMachine.Config.Memory', `${VM} > Change Memory`, ['restore'], 'putting an existing VM back'),
  privilege('VirtualMachine.Config.Resource', `${VM} > Change resource`, ['restore', 'hotadd'], 'reservations, limits and shares; HotAdd'),
  privilege('VirtualMachine.Config.Settings', `${VM} > Change Settings`, ['restore', 'hotadd'], 'settings of the VM; HotAdd'),
  privilege('VirtualMachine.Config.AdvancedConfig', `${VM} > Advanced configuration`, ['restore'], 'extraConfig'),
  privilege('VirtualMachine.Config.SwapPlacement', `${VM} > Change Swapfile placement`, ['restore'], 'where the VM keeps its swap file'),
  privilege('VirtualMachine.Config.Annotation', `${VM} > Set annotation`, ['restore'], 'the VM’s notes'),
  privilege('VirtualMachine.Config.Rename', `${VM} > Rename`, ['restore'], 'the VM’s name'),
  privilege('VirtualMachine.Interact.PowerOff', `${VM} > Power off`, ['restore'], 'writing into an existing VM, which must be off'),
  privilege('VirtualMachine.State.RevertToSnapshot', `${VM} > Revert to snapshot`, ['restore'], 'the snapshot of a restore over SAN'),
  privilege('VirtualMachine.Provisioning.DiskRandomAccess', `${VM} > Allow disk access`, ['restore'], 'writing disks'),
  privilege('VirtualMachine.Provisioning.PutVmFiles', `${VM} > Allow virtual machine files upload`, ['restore'], 'writing disks'),
  privilege('Datastore.AllocateSpace', 'Datastore > Allocate space', ['restore', 'hotadd'], 'new disks; redo logs of HotAdd'),
  privilege('Network.Assign', 'Network > Assign network', ['restore'], 'NICs'),
  privilege('Resource.AssignVMToPool', 'Resource > Assign virtual machine to resource pool', ['restore'], 'creating the VM'),
  privilege(
    'Cryptographer.Access',
    'Cryptographic operations > Direct Access',
    ['encryption'],
    'disks of encrypted VMs over NBDSSL and HotAdd',
  ),
  privilege(
    'Cryptographer.AddDisk',
    'Cryptographic operations > Add disk',
    ['encryption'],
    'disks of encrypted VMs over HotAdd; new encrypted disks',
  ),
  privilege('Cryptographer.EncryptNew', 'Cryptographic operations > Encrypt new', ['encryption'], 'creating an encrypted VM'),
  privilege('Cryptographer.RegisterVM', 'Cryptographic operations > Register VM', ['encryption'], 'an encrypted VM with its own keys'),
  privilege(
    'Cryptographer.ManageKeys',
    'Cryptographic operations > Manage keys',
    ['encryption'],
    'asking whether the key of a captured VM is there',
  ),
  privilege(
    'StorageProfile.View',
    'VM storage policies > View VM storage policies',
    ['storage-policies'],
    'policies of VMs and disks, as they were and as they shall be',
  ),
];
