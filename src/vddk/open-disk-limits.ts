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

interface Account {
  key: string;
  amount: number;
  limit: number;
}

/**
 * Permits for open disks, counted for the whole process: every backup and restore asks the same one. Admission is in order
 * of arrival among those who wait for the same host or vCenter; who waits for one host holds up nobody on another.
 *
 * Several workers do not know of each other: their shares are settings (docs/vddk.md, "Limits").
 */
export class OpenDiskLimits {
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
      const accounts = this.accounts(demand);
      const lacking = accounts.filter(({ key, amount, limit }) => (this.used.get(key) ?? 0) + amount > limit);
      const enters = lacking.length === 0 && !accounts.some(({ key }) => awaited.has(key));
      if (enters) this.book(demand, 1);
      for (const { key } of lacking) awaited.add(key);
      return enters;
    };
  }

  private book(demand: OpenDiskDemand, sign: 1 | -1): void {
    for (const { key, amount } of this.accounts(demand)) {
      const now = (this.used.get(key) ?? 0) + sign * amount;
      if (now === 0) this.used.delete(key);
      else this.used.set(key, now);
    }
  }

  private accounts({ vcenterInstanceUuid, esxiHostMoRef, nfcBytes }: OpenDiskDemand): Account[] {
    const { nfcBytesPerEsxiHost, disksPerEsxiHost, connectionsPerVcenter } = this.ceilings;
    const vcenter = vcenterInstanceUuid.toLowerCase();
    const host = `${vcenter}/${esxiHostMoRef ?? ''}`;
    return [
      // One disk that alone is above the limit must not wait for ever.
      { key: `nfc ${host}`, amount: Math.min(nfcBytes, nfcBytesPerEsxiHost), limit: nfcBytesPerEsxiHost },
      { key: `disks ${host}`, amount: 1, limit: disksPerEsxiHost },
      { key: `connections ${vcenter}`, amount: 1, limit: connectionsPerVcenter },
    ];
  }
}
