import { deadline } from './deadline.js';

const TIMEOUT_MS = 180_000;

/** The simulated cloud's control port: what no real cloud has, and what proves a restore from outside the service. */
export interface DiskComparison {
  vm: string;
  label: string;
  capacityBytes: number;
  differingBytes: number;
  firstDifferenceBytes: number | null;
  fileSystem: 'clean' | 'damaged' | 'none';
  detail?: string;
}

export interface AttributeComparison {
  path: string;
  expected: unknown;
  actual: unknown;
}

export interface Comparison {
  disks: DiskComparison[];
  attributes: AttributeComparison[];
}

export interface GuestWrite {
  disk: number;
  seed: string;
  scatteredBlocks?: number;
  largeFileBytes?: number;
  /** Deletes a file and unmaps its blocks. */
  unmapFile?: boolean;
}

export class ControlClient {
  constructor(private readonly url: string) {}

  state<T>(): Promise<T> {
    return this.request<T>('GET', '/state');
  }

  guestWrite(vm: string, write: GuestWrite): Promise<unknown> {
    return this.request('POST', `/guests/${encodeURIComponent(vm)}/write`, write);
  }

  checkpoint(name: string, vapp: string): Promise<unknown> {
    return this.request('POST', '/checkpoints', { name, vapp });
  }

  compare(name: string, vapp: string, options: { ignoreName?: boolean; ignore?: string[] } = {}): Promise<Comparison> {
    return this.request<Comparison>('POST', `/checkpoints/${encodeURIComponent(name)}/compare`, { vapp, ...options });
  }

  /** Of what the guest's disk holds. */
  async diskSha256(vm: string, disk: number): Promise<string> {
    return (await this.request<{ sha256: string }>('GET', `/guests/${encodeURIComponent(vm)}/hash?disk=${disk}`)).sha256;
  }

  /** Every session of VCD and vCenter ends. */
  expireSessions(): Promise<unknown> {
    return this.request('POST', '/sessions/expire', {});
  }

  addFault(rule: Record<string, unknown>): Promise<unknown> {
    return this.request('POST', '/faults', rule);
  }

  clearFaults(): Promise<unknown> {
    return this.request('DELETE', '/faults');
  }

  private async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: deadline(`The simulator's answer to ${method} ${path}`, TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The simulator answered ${method} ${path} with ${response.status}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}
