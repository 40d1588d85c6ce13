import { WaitQueue } from '../common/index.js';

/** How much of what others share one process may take. */
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

/**
 * Permits for open disks, counted for the whole process: every backup and restore asks the same one. Admission is in order
 * of arrival among those who wait for the same host or vCenter; who waits for one host holds up nobody on another.
 *
 * It knows nothing of other workers.
 */
export class OpenDiskLimits implements OpenDiskPermits {
  private readonly used = new Map<string, number>();
  private readonly queue = new WaitQueue<OpenDiskDemand>({
    look: () => this.look(),
    leave: (demand) => this.book(demand, -1),
  });

  constructor(private readonly ceilings: OpenDiskCeilings) {
    for (const [name, limit] of Object.entries(ceilings)) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`${name} of ${limit} lets no disk be opened`);
    }
  }

  /** @returns the release function, safe to call twice. */
  acquire(demand: OpenDiskDemand, signal?: AbortSignal): Promise<() => void> {
    return this.queue.enter(demand, signal);
  }

  private look(): (demand: OpenDiskDemand) => boolean {
    /** What somebody who came earlier lacks: nobody may take it away from under him. */
    const awaited = new Set<string>();
    return (demand) => {
      const accounts = accountsOf(demand, this.ceilings);
      const lacking = accounts.filter(({ key, amount, limit }) => (this.used.get(key) ?? 0) + amount > limit);
      const enters = lacking.length === 0 && !accounts.some(({ key }) => awaited.has(key));
      if (enters) this.book(demand, 1);
      for (const { key } of lacking) awaited.add(key);
      return enters;
    };
  }

  private book(demand: OpenDiskDemand, sign: 1 | -1): void {
    for (const { key, amount } of accountsOf(demand, this.ceilings)) {
      const now = (this.used.get(key) ?? 0) + sign * amount;
      if (now === 0) this.used.delete(key);
      else this.used.set(key, now);
    }
  }
}
