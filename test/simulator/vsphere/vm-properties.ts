import { isWindows, toolsOf } from '../model/guest-quiescing.js';
import type { VmState } from '../model/state.js';
import { moRef, vim, type VimObject } from '../model/vim.js';
import { schema } from './schema/schema.js';

export function runtime(vm: VmState): VimObject {
  return vim('VirtualMachineRuntimeInfo', {
    host: moRef('HostSystem', vm.hostMoRef),
    connectionState: 'connected',
    powerState: vm.powerState,
    faultToleranceState: 'notConfigured',
    toolsInstallerMounted: false,
    bootTime: vm.bootTime,
    numMksConnections: 0,
    recordReplayState: 'inactive',
    onlineStandby: false,
    consolidationNeeded: vm.consolidationNeeded,
  });
}

export function guest(vm: VmState): VimObject {
  const running = vm.powerState === 'poweredOn';
  const tools = toolsOf(vm);
  return vim('GuestInfo', {
    toolsStatus: !tools.installed ? 'toolsNotInstalled' : tools.running ? 'toolsOk' : 'toolsNotRunning',
    toolsVersionStatus2: tools.installed ? 'guestToolsCurrent' : 'guestToolsNotInstalled',
    toolsRunningStatus: tools.running ? 'guestToolsRunning' : 'guestToolsNotRunning',
    toolsVersion: String(tools.installed ? tools.version : 0),
    guestId: vm.config.guestId,
    guestFamily: isWindows(vm) ? 'windowsGuest' : 'linuxGuest',
    guestFullName: vm.config.guestFullName,
    guestState: running ? 'running' : 'notRunning',
    guestOperationsReady: tools.running,
  });
}

export function capability(): VimObject {
  const yes = new Set([
    'snapshotOperationsSupported',
    'multipleSnapshotsSupported',
    'snapshotConfigSupported',
    'poweredOffSnapshotsSupported',
    'quiescedSnapshotsSupported',
    'changeTrackingSupported',
    'seSparseDiskSupported',
    'bootOptionsSupported',
    'multipleCoresPerSocketSupported',
    'diskSharesSupported',
  ]);
  return vim(
    'VirtualMachineCapability',
    Object.fromEntries(
      (schema.fields('VirtualMachineCapability') ?? [])
        .filter((field) => !field.optional)
        .map((field) => [field.name, yes.has(field.name)]),
    ),
  );
}

export function snapshotInfo(vm: VmState): VimObject {
  const tree = vm.snapshots.reduceRight<VimObject | undefined>(
    (child, snapshot) =>
      vim('VirtualMachineSnapshotTree', {
        snapshot: moRef('VirtualMachineSnapshot', snapshot.moRef),
        vm: moRef('VirtualMachine', vm.moRef),
        name: snapshot.name,
        description: snapshot.description,
        id: snapshot.id,
        createTime: snapshot.createdAt,
        state: snapshot.powerState,
        quiesced: snapshot.quiesced,
        backupManifest: snapshot.backupManifest,
        childSnapshotList: child ? [child] : undefined,
        replaySupported: false,
      }),
    undefined,
  );
  const current = vm.snapshots.at(-1)?.moRef ?? '';
  return vim('VirtualMachineSnapshotInfo', {
    currentSnapshot: moRef('VirtualMachineSnapshot', current),
    rootSnapshotList: tree ? [tree] : [],
  });
}
