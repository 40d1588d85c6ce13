import type { CatalogApi, ManifestContent } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { VappCapture, VcdClientApi, VimServerRecord, VmCapture } from '../vcd/index.js';
import type { BackupPayload } from './backup-settings.js';
import { BackupError } from './errors.js';
import { EXCLUDED_BY_REQUEST, type Exclusions, isVmExcluded } from './exclusions.js';
import type { LocatedVm } from './snapshot-vms.js';
import { type VmConfiguration, VsphereError, type VsphereClientApi } from '../vsphere/index.js';

export interface LocateOptions {
  cloud: CloudSessions;
  vcd: Pick<VcdClientApi, 'vimServers'>;
  catalog: Pick<CatalogApi, 'identifyVm' | 'knownInstanceUuids'>;
  exclude: Exclusions;
  retries?: BackupPayload['retries'];
  signal: AbortSignal;
}

export interface LocatedVms {
  vms: LocatedVm[];
  excluded: NonNullable<ManifestContent['excludedVms']>;
}

/**
 * Follows each VM of the capture to its vCenter and MoRef (guide, Figure 8-2), those left out on request excepted:
 * somebody may leave out a VM because vCenter has lost it.
 * @throws BackupError VAPP_EMPTY, VM_NOT_IN_VCENTER, ALL_VMS_EXCLUDED.
 */
export async function locateVms(capture: VappCapture, options: LocateOptions): Promise<LocatedVms> {
  const { exclude, retries, signal } = options;
  if (capture.vms.length === 0) throw new BackupError('VAPP_EMPTY', `"${capture.name}" has no VM, so there is nothing to back up.`);
  const again = (vm: VmCapture) => retries === undefined || retries.vms.includes(vm.id);
  const wanted = capture.vms.filter((vm) => again(vm) && !isVmExcluded(vm, undefined, exclude));
  const servers = wanted.length === 0 ? [] : await options.vcd.vimServers(signal);
  const located = await Promise.all(wanted.map((vm) => locate(vm, capture.namedDisks ?? [], servers, options)));
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
    .map((vm) => ({
      ...{ name: vm.name, vcloudId: vm.id },
      reason:
        again(vm) || retries === undefined ? EXCLUDED_BY_REQUEST : `only what restore point ${retries.restorePointId} lacks was copied`,
    }));
  return { vms, excluded };
}

async function locate(
  captured: VmCapture,
  namedDisks: LocatedVm['namedDisks'],
  servers: readonly VimServerRecord[],
  options: LocateOptions,
): Promise<LocatedVm> {
  const { cloud, catalog } = options;
  const server = servers.find((candidate) => candidate.href === captured.vim.vimServer.href);
  if (server === undefined || captured.vim.vmMoRef === '') {
    throw new BackupError(
      'VM_NOT_IN_VCENTER',
      `VCD does not say in which vCenter VM "${captured.name}" is; check that the registered account is a system administrator.`,
    );
  }
  const vcenter = await cloud.vcenter(server.instanceUuid, options.signal);
  const configuration = await readSameVm(captured, vcenter, options);
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
  return { captured, namedDisks, vmId, vcenter, vcenterName: server.name, configuration };
}

/**
 * The VM that VCD means. Its MoRef is only a hint: a VM that was registered again has another one, and the old one may be
 * another VM's by now. So where the catalog knows the VM by its instance UUID, that finds it.
 * @throws VsphereError NOT_FOUND when neither does.
 */
async function readSameVm(captured: VmCapture, vcenter: VsphereClientApi, options: LocateOptions): Promise<VmConfiguration> {
  const { cloud, catalog, signal } = options;
  const { vmMoRef } = captured.vim;
  const known = await catalog.knownInstanceUuids(cloud.cloudId, captured.id);
  const named = await vcenter.readVm(vmMoRef, signal).catch((error: unknown) => {
    if (error instanceof VsphereError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (named !== undefined && (known.length === 0 || known.includes(named.instanceUuid))) return named;
  for (const instanceUuid of known) {
    const moRef = await vcenter.findVmByInstanceUuid(instanceUuid, signal);
    if (moRef !== undefined && moRef !== vmMoRef) return vcenter.readVm(moRef, signal);
  }
  // None of the VMs we know it by is there: then VCD's word stands, and there is nothing to confuse it with.
  return named ?? vcenter.readVm(vmMoRef, signal);
}
