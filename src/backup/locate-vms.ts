import type { CatalogApi, ManifestContent } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { VappCapture, VcdClientApi, VimServerRecord, VmCapture } from '../vcd/index.js';
import { BackupError } from './errors.js';
import { EXCLUDED_BY_REQUEST, type Exclusions, isVmExcluded } from './exclusions.js';
import type { LocatedVm } from './snapshot-vms.js';

export interface LocateOptions {
  cloud: CloudSessions;
  vcd: Pick<VcdClientApi, 'vimServers'>;
  catalog: Pick<CatalogApi, 'identifyVm'>;
  exclude: Exclusions;
  signal: AbortSignal;
}

export interface LocatedVms {
  vms: LocatedVm[];
  excluded: NonNullable<ManifestContent['excludedVms']>;
}

/**
 * Follows each VM of the capture to its vCenter and MoRef (guide, Figure 8-2), those left out on request excepted:
 * somebody may leave out a VM because vCenter has lost it.
 * @throws BackupError VM_NOT_IN_VCENTER, ALL_VMS_EXCLUDED.
 */
export async function locateVms(capture: VappCapture, options: LocateOptions): Promise<LocatedVms> {
  const { exclude, signal } = options;
  const wanted = capture.vms.filter((vm) => !isVmExcluded(vm, undefined, exclude));
  const servers = wanted.length === 0 ? [] : await options.vcd.vimServers(signal);
  const located = await Promise.all(wanted.map((vm) => locate(vm, servers, options)));
  // Our own ids are known only now.
  const vms = located.filter(({ captured, vmId }) => !isVmExcluded(captured, vmId, exclude));
  if (vms.length === 0) {
    throw new BackupError(
      'ALL_VMS_EXCLUDED',
      `Every VM of "${capture.name}" is excluded from the backup, so there is nothing to back up; exclude fewer VMs, or the whole vApp.`,
    );
  }
  const kept = new Set(vms.map(({ captured }) => captured.id));
  const excluded = capture.vms
    .filter((vm) => !kept.has(vm.id))
    .map((vm) => ({ name: vm.name, vcloudId: vm.id, reason: EXCLUDED_BY_REQUEST }));
  return { vms, excluded };
}

async function locate(captured: VmCapture, servers: readonly VimServerRecord[], options: LocateOptions): Promise<LocatedVm> {
  const { cloud, catalog, signal } = options;
  const server = servers.find((candidate) => candidate.href === captured.vim.vimServer.href);
  if (server === undefined || captured.vim.vmMoRef === '') {
    throw new BackupError(
      'VM_NOT_IN_VCENTER',
      `VCD does not say in which vCenter VM "${captured.name}" is; check that the registered account is a system administrator.`,
    );
  }
  const vcenter = await cloud.vcenter(server.instanceUuid);
  const configuration = await vcenter.readVm(captured.vim.vmMoRef, signal);
  const vmId = await catalog.identifyVm(
    {
      cloudId: cloud.cloudId,
      vcloudId: captured.id,
      instanceUuid: configuration.instanceUuid,
      vcenterInstanceUuid: vcenter.instanceUuid,
      moRef: configuration.moRef,
    },
    captured.name,
  );
  return { captured, vmId, vcenter, vcenterName: server.name, configuration };
}
