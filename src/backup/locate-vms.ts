import type { CloudSessions } from '../clouds/index.js';
import type { VappCapture, VcdClientApi, VimServerRecord, VmCapture } from '../vcd/index.js';
import { BackupError } from './errors.js';
import type { LocatedVm } from './snapshot-vms.js';

/** Follows each VM of the capture to its vCenter and MoRef (guide, Figure 8-2). */
export async function locateVms(capture: VappCapture, cloud: CloudSessions, vcd: VcdClientApi, signal: AbortSignal): Promise<LocatedVm[]> {
  const servers = await vcd.vimServers(signal);
  return Promise.all(capture.vms.map((vm) => locate(vm, servers, cloud, signal)));
}

async function locate(
  captured: VmCapture,
  servers: readonly VimServerRecord[],
  cloud: CloudSessions,
  signal: AbortSignal,
): Promise<LocatedVm> {
  const server = servers.find((candidate) => candidate.href === captured.vim.vimServer.href);
  if (server === undefined || captured.vim.vmMoRef === '') {
    throw new BackupError(
      'VM_NOT_IN_VCENTER',
      `VCD does not say in which vCenter VM "${captured.name}" is; check that the registered account is a system administrator.`,
    );
  }
  const vcenter = await cloud.vcenter(server.instanceUuid);
  const configuration = await vcenter.readVm(captured.vim.vmMoRef, signal);
  return { captured, vcenter, vcenterName: server.name, configuration };
}
