import { parseConfiguration } from './vm-configuration.js';

/**
 * Where the NVRAM of a VM lies: beside its .vmx, in the file that extraConfig's "nvram" names. A VM that was renamed
 * keeps its files' names.
 *
 * @param vmPath "[datastore] folder/vm.vmx"
 * @param configXml VirtualMachineConfigInfo
 * @returns a datastore path; undefined for a VM that has none yet
 * @throws VsphereError BAD_CONFIGURATION
 */
export function nvramPath(vmPath: string, configXml: string): string | undefined {
  const options = parseConfiguration(configXml).childrenNamed('extraConfig');
  const file = options.find((option) => option.textAt('key') === 'nvram')?.textAt('value');
  const slash = vmPath.lastIndexOf('/');
  return file === undefined || file === '' || file.includes('/') || slash < 0 ? undefined : `${vmPath.slice(0, slash)}/${file}`;
}
