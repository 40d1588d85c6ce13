import { type Logger, newId } from '../common/index.js';
import { type CloudSessions, owe, vixTarget } from '../clouds/index.js';
import type { ObligationLedger } from '../jobs/index.js';
import { VddkHost, type VddkConnectionApi, type VddkSettings } from '../vddk/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';

export interface WriteAccessOptions {
  cloud: CloudSessions;
  vcenter: VsphereClientApi;
  vddk: VddkSettings & { transportModes: string };
  obligations: ObligationLedger;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Lets `work` write the disks of a VM that is off, through a host process of its own. PrepareForAccess comes first
 * and EndAccess last, however it ends (guide, chapter 4).
 */
export async function withWriteAccess<T>(
  vm: { moRef: string; name: string },
  options: WriteAccessOptions,
  work: (host: VddkHost, connection: VddkConnectionApi) => Promise<T>,
): Promise<T> {
  const { vcenter, signal } = options;
  const identity = `vapp-vault-${newId()}`.slice(0, 50);
  const target = vixTarget(vcenter, vm.moRef);
  const access = await owe(options.obligations, 'vddk.access', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: vm.moRef,
    vmName: vm.name,
    identity,
  });
  const host = await VddkHost.start(options.vddk, { log: options.log, signal });
  try {
    await host.prepareForAccess(target, identity, signal);
    const connection = await host.connect(target, { readOnly: false, transportModes: options.vddk.transportModes }, signal);
    try {
      return await work(host, connection);
    } finally {
      await connection.disconnect();
    }
  } finally {
    await host.stop();
    await access.pay();
  }
}
