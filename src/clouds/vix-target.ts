import type { VixDiskTarget, VixTarget } from '../vddk/index.js';
import type { DiskAddress, VsphereClientApi } from '../vsphere/index.js';

/** How VDDK reaches a VM: by the vCenter session we already have, so that a hundred disks are one login. */
export function vixTarget(vcenter: Pick<VsphereClientApi, 'vixCredentials'>, vmMoRef: string): VixTarget {
  const { host, port, thumbprint, cookie, userName } = vcenter.vixCredentials();
  return { host, port, thumbprint, credentials: { kind: 'session', cookie, userName }, vmMoRef };
}

/** How VDDK reaches a first class disk that no VM has, as one of its snapshots froze it or as it is. */
export function vixDiskTarget(
  vcenter: Pick<VsphereClientApi, 'vixCredentials'>,
  { id, datastoreMoRef }: DiskAddress,
  snapshotId?: string,
): VixDiskTarget {
  const { host, port, thumbprint, cookie, userName } = vcenter.vixCredentials();
  const storageObject = { id, datastoreMoRef, ...(snapshotId !== undefined && { snapshotId }) };
  return { host, port, thumbprint, credentials: { kind: 'session', cookie, userName }, storageObject };
}
