import type { ManifestVm } from '../catalog/index.js';
import { describeError, MIB } from '../common/index.js';
import { nvramPath } from '../vsphere/index.js';
import type { CopyVmOptions } from './copy-vm.js';
import type { SnapshottedVm } from './snapshot-vms.js';

/** Real ones have 8 KiB to some hundred; a larger file under that name is something else. */
const LARGEST_NVRAM_BYTES = 16 * MIB;

/** NVRAM holds the EFI boot entries. A VM boots without it, so its absence is a warning. */
export async function storeNvram(vm: SnapshottedVm, options: CopyVmOptions, configXml: string): Promise<string | null> {
  const path = nvramPath(vm.configuration.vmPath, configXml);
  if (path === undefined) return null;
  try {
    const data = await vm.vcenter.downloadFile(path, options.signal, vm.configuration.moRef);
    if (data.length === 0 || data.length > LARGEST_NVRAM_BYTES) {
      options.warn(`The NVRAM of VM "${vm.captured.name}" is not in this restore point: ${path} has ${data.length} bytes.`);
      return null;
    }
    return await options.session.putDocument(data, options.signal);
  } catch (error) {
    if (options.signal.aborted) throw error;
    options.warn(`The NVRAM of VM "${vm.captured.name}" could not be saved: ${describeError(error)}`);
    return null;
  }
}

/** What was achieved by quiescing, with VSS's own account of it. */
export async function storeQuiescing(
  { quiescing, vssManifest }: SnapshottedVm,
  { session, signal }: CopyVmOptions,
): Promise<Pick<ManifestVm, 'quiesced' | 'quiescing'>> {
  const { achieved } = quiescing;
  const vssManifestDocument = vssManifest && (await session.putDocument(vssManifest, signal));
  return {
    quiesced: achieved === 'application' || achieved === 'file-system' ? achieved : 'none',
    quiescing: { ...quiescing, ...(vssManifestDocument !== undefined && { vssManifestDocument }) },
  };
}
