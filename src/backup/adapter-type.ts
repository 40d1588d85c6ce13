/** What a descriptor may have, as far as VMware's disks go; `pvscsi` and `nvme` since newer hosts. */
const VALID = new Set(['lsilogic', 'buslogic', 'ide', 'pvscsi', 'nvme']);

/**
 * "If the ddb.adapterType in the VMDK descriptor file is invalid, for example legacyESX, VDDK fails to consolidate snapshots
 * after SAN mode backup" (6.7 release notes).
 * @returns what to do about it; undefined where nothing is wrong.
 */
export function adapterTypeTrouble(
  disk: { label: string; vmName: string; transportMode: string },
  metadata: Readonly<Record<string, string>>,
): string | undefined {
  const { adapterType } = metadata;
  if (disk.transportMode !== 'san' || adapterType === undefined || VALID.has(adapterType.toLowerCase())) return undefined;
  return `${disk.label} of VM "${disk.vmName}" was read over SAN and has the invalid ddb.adapterType "${adapterType}", so that its snapshots may not be consolidated; change it to lsilogic, buslogic or ide, or use another transport.`;
}
