/** How much of what others share this service may take, all its workers together. */
export interface OpenDiskCeilings {
  /** Sum of the NFC buffers of all disks open on one ESXi host: 48 MB by default there (guide, Table 3-4). */
  nfcBytesPerEsxiHost: number;
  /** "VMware recommends backing up 50 or fewer disks in parallel on a host" (guide, "Best Practices for NBD Transport"). */
  disksPerEsxiHost: number;
  /** One NFC connection per open disk, 52 through a vCenter (guide, Table 3-4). */
  connectionsPerVcenter: number;
}

/** What one open disk costs, and whom. */
export interface OpenDiskDemand {
  vcenterInstanceUuid: string;
  /** Undefined where nobody knows: such disks of a vCenter count as if on one host. */
  esxiHostMoRef: string | undefined;
  nfcBytes: number;
}

/**
 * Who lets disks be opened. A permit is asked for before a disk is opened over the network, and again each time it is opened
 * anew without one; it is given back when the disk is closed, or open by SAN or HotAdd.
 */
export interface OpenDiskPermits {
  /**
   * Waits as long as it takes: for its turn, or for the signal.
   * @returns the release function, safe to call twice.
   * @throws what the signal says.
   */
  acquire(demand: OpenDiskDemand, signal?: AbortSignal): Promise<() => void>;
}

/** What a permit takes of one ceiling. */
export interface DiskAccount {
  /** Whom the ceiling is of, and what it counts. */
  key: string;
  amount: number;
  limit: number;
}

/** All ceilings that one open disk counts against. */
export function accountsOf({ vcenterInstanceUuid, esxiHostMoRef, nfcBytes }: OpenDiskDemand, ceilings: OpenDiskCeilings): DiskAccount[] {
  const { nfcBytesPerEsxiHost, disksPerEsxiHost, connectionsPerVcenter } = ceilings;
  const vcenter = vcenterInstanceUuid.toLowerCase();
  const host = `${vcenter}/${esxiHostMoRef ?? ''}`;
  return [
    // One disk that alone is above the limit must not wait for ever.
    { key: `nfc ${host}`, amount: Math.min(nfcBytes, nfcBytesPerEsxiHost), limit: nfcBytesPerEsxiHost },
    { key: `disks ${host}`, amount: 1, limit: disksPerEsxiHost },
    { key: `connections ${vcenter}`, amount: 1, limit: connectionsPerVcenter },
  ];
}
