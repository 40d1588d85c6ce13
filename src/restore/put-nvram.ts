import { retry } from '../common/index.js';
import { nvramPath, type VmConfiguration, VsphereError, type VsphereClientApi } from '../vsphere/index.js';

export interface NvramTarget {
  vm: Pick<VmConfiguration, 'moRef' | 'vmPath' | 'configXml'>;
  /** For people. */
  name: string;
  vcenter: Pick<VsphereClientApi, 'uploadFile'>;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/**
 * Puts the captured NVRAM beside the VM's configuration file. A VM starts without it, with a generic one ("What If
 * Something Fails", guide): that it cannot be written is said and costs no restore.
 */
export async function putNvram(data: Buffer, { vm, name, vcenter, warn, signal }: NvramTarget): Promise<void> {
  // A VM that never ran has no file yet, and its configuration names none.
  const path = nvramPath(vm.vmPath, vm.configXml) ?? vm.vmPath.replace(/\.vmx$/, '.nvram');
  try {
    // The same file with the same bytes: to write it twice does no harm.
    const retryIf = (error: unknown) => error instanceof VsphereError && error.retryable;
    await retry({ attempts: 3, baseDelayMs: 500, maxDelayMs: 5_000, deadlineMs: 60_000, retryIf, signal }, () =>
      vcenter.uploadFile(path, data, signal, vm.moRef),
    );
  } catch (error) {
    if (signal.aborted || !(error instanceof VsphereError)) throw error;
    warn(
      `VM "${name}" starts with a new NVRAM, because its own could not be put back: ${error.message} Look at its boot order and Secure Boot.`,
    );
  }
}
