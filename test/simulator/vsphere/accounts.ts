import { createHash, timingSafeEqual } from 'node:crypto';
import type { MoRef, VimObject } from '../model/vim.js';
import { moRef, vim } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';

/** Somebody who may log in. Without `privileges` and `without` the role is Administrator's. */
export interface VcenterAccount {
  userName: string;
  password: string;
  /** Exactly these (System.* comes with every role). */
  privileges?: readonly string[];
  /** All but these. */
  without?: readonly string[];
  /** False: the permission is given at the root folder and not handed down. */
  propagate?: boolean;
}

const SYSTEM = ['System.Anonymous', 'System.Read', 'System.View'] as const;

/** What this vCenter can grant: those of vSphere 8.0 that backup, restore and what they touch ask for. */
export const PRIVILEGE_IDS: readonly string[] = [
  ...SYSTEM,
  ...ids('Authorization', 'ModifyPermissions ModifyRoles'),
  ...ids(
    'Cryptographer',
    'Access AddDisk Clone Decrypt Encrypt EncryptNew ManageEncryptionPolicy ManageKeyServers ManageKeys Recrypt RegisterHost RegisterVM',
  ),
  ...ids(
    'Datastore',
    'AllocateSpace Browse Config Delete DeleteFile FileManagement Move Rename UpdateVirtualMachineFiles UpdateVirtualMachineMetadata',
  ),
  ...ids('Folder', 'Create Delete Move Rename'),
  ...ids('Global', 'CancelTask DisableMethods EnableMethods Licenses LogEvent ManageCustomFields SetCustomField'),
  ...ids('Host.Config', 'Maintenance'),
  ...ids('Network', 'Assign Config Delete Move'),
  ...ids('Resource', 'AssignVAppToPool AssignVMToPool ColdMigrate CreatePool DeletePool EditPool HotMigrate'),
  ...ids('Sessions', 'TerminateSession ValidateSession'),
  ...ids('StorageProfile', 'Update View'),
  ...ids(
    'VirtualMachine.Config',
    'AddExistingDisk AddNewDisk AddRemoveDevice AdvancedConfig Annotation CPUCount ChangeTracking DiskExtend DiskLease EditDevice HostUSBDevice ManagedBy Memory RawDevice RemoveDisk Rename Resource Settings SwapPlacement UpgradeVirtualHardware',
  ),
  ...ids('VirtualMachine.Interact', 'ConsoleInteract DeviceConnection PowerOff PowerOn Reset SetCDMedia SetFloppyMedia Suspend'),
  ...ids('VirtualMachine.Inventory', 'Create CreateFromExisting Delete Move Register Unregister'),
  ...ids('VirtualMachine.Provisioning', 'Clone DiskRandomAccess DiskRandomRead FileRandomAccess GetVmFiles MarkAsTemplate PutVmFiles'),
  ...ids('VirtualMachine.State', 'CreateSnapshot RemoveSnapshot RenameSnapshot RevertToSnapshot'),
];

function ids(group: string, names: string): string[] {
  return names.split(' ').map((name) => `${group}.${name}`);
}

interface Known {
  account: VcenterAccount;
  roleId: number;
  privileges: ReadonlySet<string>;
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Who may log in, in which role: what stands behind AuthorizationManager. Each account has a permission at the root folder. */
export class VcenterAccounts {
  private readonly known: readonly Known[];

  constructor(
    accounts: readonly VcenterAccount[],
    private readonly rootFolderMoRef: string,
  ) {
    const all = PRIVILEGE_IDS;
    this.known = accounts.map((account, index) => {
      const granted = account.privileges ?? all.filter((id) => account.without?.includes(id) !== true);
      const isAdministrator = account.privileges === undefined && account.without === undefined;
      return { account, roleId: isAdministrator ? -1 : 1000 + index, privileges: new Set([...SYSTEM, ...granted]) };
    });
  }

  checkPassword(userName: string, password: string): boolean {
    const known = this.find(userName);
    // Compared in any case: how long it takes tells nobody which names exist.
    const right = timingSafeEqual(digest(password), digest(known?.account.password ?? ''));
    return known !== undefined && right;
  }

  /** Privileges an account has on an object. @throws SimFault UserNotFound. */
  on(userName: string, object: MoRef): ReadonlySet<string> {
    const known = this.find(userName);
    if (known === undefined) throw new SimFault('UserNotFound', `There is no user ${userName}.`, { principal: userName, unresolved: true });
    return known.account.propagate === false && object.value !== this.rootFolderMoRef ? new Set() : known.privileges;
  }

  /** ManagedEntity.effectiveRole. */
  effectiveRole(userName: string, object: MoRef): number[] {
    const known = this.find(userName);
    return known === undefined || this.on(userName, object).size === 0 ? [] : [known.roleId];
  }

  /** @throws SimFault NoPermission, which names the object and the privileges, as vCenter does. */
  require(userName: string, object: MoRef, privileges: readonly string[]): void {
    const granted = this.on(userName, object);
    const missing = privileges.filter((id) => !granted.has(id));
    if (missing.length === 0) return;
    throw new SimFault('NoPermission', 'Permission to perform this operation was denied.', {
      object,
      privilegeId: missing[0],
      missingPrivileges: [vim('NoPermissionEntityPrivileges', { entity: object, privilegeIds: missing })],
    });
  }

  get privilegeList(): VimObject[] {
    return PRIVILEGE_IDS.map((id) => {
      const at = id.lastIndexOf('.');
      return vim('AuthorizationPrivilege', { privId: id, onParent: false, name: id.slice(at + 1), privGroupName: id.slice(0, at) });
    });
  }

  get roleList(): VimObject[] {
    const roles = new Map(this.known.map((known) => [known.roleId, known]));
    return [...roles.values()].map(({ account, roleId, privileges }) => {
      const name = roleId === -1 ? 'Admin' : `role of ${account.userName}`;
      return vim('AuthorizationRole', {
        roleId,
        system: roleId === -1,
        name,
        info: vim('Description', { label: name, summary: name }),
        privilege: [...privileges],
      });
    });
  }

  /** Permission list of the root folder, with the name as each account writes it. */
  get permissions(): VimObject[] {
    return this.known.map(({ account, roleId }) =>
      vim('Permission', {
        entity: moRef('Folder', this.rootFolderMoRef),
        principal: account.userName,
        group: false,
        roleId,
        propagate: account.propagate !== false,
      }),
    );
  }

  private find(userName: string): Known | undefined {
    return this.known.find(({ account }) => account.userName.toLowerCase() === userName.toLowerCase());
  }
}
