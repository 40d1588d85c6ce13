import { abortReason, throwIfAborted } from '../common/index.js';

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

interface Waiter {
  demand: OpenDiskDemand;
  enter: () => void;
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
  private readonly waiting: Waiter[] = [];

  constructor(private readonly ceilings: OpenDiskCeilings) {
    for (const [name, limit] of Object.entries(ceilings)) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`${name} of ${limit} lets no disk be opened`);
    }
  }

  /** @returns the release function, safe to call twice. */
  async acquire(demand: OpenDiskDemand, signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        const index = this.waiting.indexOf(waiter);
        if (index >= 0) this.waiting.splice(index, 1);
        // Those behind may have waited for their turn alone.
        this.admit();
        reject(abortReason(signal as AbortSignal));
      };
      const waiter: Waiter = {
        demand,
        enter: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(waiter);
      this.admit();
    });
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.book(demand, -1);
      this.admit();
    };
  }

  private admit(): void {
    /** What somebody who came earlier lacks: nobody may take it away from under him. */
    const awaited = new Set<string>();
    for (const waiter of [...this.waiting]) {
      const accounts = this.accounts(waiter.demand);
      const lacking = accounts.filter(({ key, amount, limit }) => (this.used.get(key) ?? 0) + amount > limit);
      if (lacking.length === 0 && !accounts.some(({ key }) => awaited.has(key))) {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        this.book(waiter.demand, 1);
        waiter.enter();
      }
      for (const { key } of lacking) awaited.add(key);
    }
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
