import type { VixTarget } from '../vddk/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';

/** How VDDK reaches a VM: by the vCenter session we already have, so that a hundred disks are one login. */
export function vixTarget(vcenter: Pick<VsphereClientApi, 'vixCredentials'>, vmMoRef: string): VixTarget {
  const { host, port, thumbprint, cookie, userName } = vcenter.vixCredentials();
  return { host, port, thumbprint, credentials: { kind: 'session', cookie, userName }, vmMoRef };
}
