import { awaitShared, type Logger, type ServerTrust } from '../common/index.js';
import { VcdClient, type VcdClientApi, type VcdConnection } from '../vcd/index.js';
import { VsphereClient, type VsphereClientApi } from '../vsphere/index.js';
import { CloudError } from './errors.js';
import type { CloudSessions } from './types.js';

/** As a person enters it: exactly one way to log in. */
export type VcdAccount =
  | { login: 'password'; userName: string; password: string }
  | { login: 'api-token'; apiToken: string }
  | { login: 'service-account'; serviceAccountToken: string };

export interface VcdRegistration {
  url: string;
  organization: string;
  trust: ServerTrust;
  /** Pins the API version. */
  apiVersion?: string;
  account: VcdAccount;
}

export interface VcenterLogin {
  instanceUuid: string;
  url: string;
  userName: string;
  password: string;
  trust: ServerTrust;
}

/** Where to log in; asked only when a login is needed, so that passwords are not held longer. */
export interface CloudLogins {
  vcd: VcdConnection;
  vcenters: VcenterLogin[];
}

/**
 * One login per server, made when first asked for and shared. The clients log in again by
 * themselves when a session has expired; one that could not be opened is tried anew next time.
 */
export class OpenCloud implements CloudSessions {
  private vcdClient: Promise<VcdClientApi> | undefined;
  private readonly vcenterClients = new Map<string, Promise<VsphereClientApi>>();
  /** Opened with logins of before: those who have them may go on, and nobody else gets them. */
  private readonly retired: Promise<{ close(): Promise<void> }>[] = [];
  private closed = false;

  constructor(
    readonly cloudId: string,
    readonly cloudName: string,
    private revision: number,
    private readonly logins: () => Promise<CloudLogins>,
    private readonly log: Logger,
  ) {}

  /** Whoever asks from now on gets sessions of the logins of that revision. */
  renew(revision: number): void {
    if (revision === this.revision) return;
    this.revision = revision;
    const clients = [...this.vcenterClients.values(), ...(this.vcdClient === undefined ? [] : [this.vcdClient])];
    for (const client of clients) {
      // A login that fails is told to whoever waits for it.
      client.catch(() => undefined);
      this.retired.push(client);
    }
    this.vcdClient = undefined;
    this.vcenterClients.clear();
  }

  async vcd(signal?: AbortSignal): Promise<VcdClientApi> {
    this.refuseWhenClosed();
    if (this.vcdClient !== undefined) return awaitShared(this.vcdClient, signal);
    const opening: Promise<VcdClientApi> = this.openVcd().catch((error: unknown) => {
      if (this.vcdClient === opening) this.vcdClient = undefined;
      throw error;
    });
    this.vcdClient = opening;
    return awaitShared(opening, signal);
  }

  async vcenter(instanceUuid: string, signal?: AbortSignal): Promise<VsphereClientApi> {
    this.refuseWhenClosed();
    const key = instanceUuid.toLowerCase();
    let client = this.vcenterClients.get(key);
    if (client === undefined) {
      const opening: Promise<VsphereClientApi> = this.openVcenter(key).catch((error: unknown) => {
        if (this.vcenterClients.get(key) === opening) this.vcenterClients.delete(key);
        throw error;
      });
      this.vcenterClients.set(key, opening);
      client = opening;
    }
    return awaitShared(client, signal);
  }

  /** Logs out everywhere; never throws. */
  async close(): Promise<void> {
    this.closed = true;
    const clients = [this.vcdClient, ...this.vcenterClients.values(), ...this.retired.splice(0)];
    this.vcdClient = undefined;
    this.vcenterClients.clear();
    await Promise.allSettled(clients.map(async (client) => (await client)?.close()));
  }

  private async openVcd(): Promise<VcdClientApi> {
    const { vcd } = await this.logins();
    // A run may hold this session for hours, and the password may change meanwhile, entered in any process.
    const currentLogin = async () => (await this.logins()).vcd;
    return this.keep(await VcdClient.connect({ ...vcd, currentLogin }, { logger: this.log }));
  }

  private async openVcenter(instanceUuid: string): Promise<VsphereClientApi> {
    const { vcenters } = await this.logins();
    const login = vcenters.find((vcenter) => vcenter.instanceUuid.toLowerCase() === instanceUuid);
    if (login === undefined) {
      throw new CloudError(
        'VCENTER_NOT_REGISTERED',
        `Cloud "${this.cloudName}" uses the vCenter with instance UUID ${instanceUuid}, which is not registered with it; register the cloud again with that vCenter.`,
        { subject: `cloud "${this.cloudName}"`, details: { instanceUuid } },
      );
    }
    const client = await VsphereClient.connect(login, { logger: this.log });
    if (client.instanceUuid.toLowerCase() !== instanceUuid) {
      await client.close();
      throw new CloudError(
        'VCENTER_CHANGED',
        `The vCenter at ${login.url} is not the one that was registered (its instance UUID is ${client.instanceUuid}, not ${instanceUuid}); register cloud "${this.cloudName}" again.`,
        { subject: `vCenter ${login.url}` },
      );
    }
    return this.keep(client);
  }

  /** A login that finished after the close would stay open for ever. */
  private async keep<T extends { close(): Promise<void> }>(client: T): Promise<T> {
    if (!this.closed) return client;
    await client.close();
    throw this.gone();
  }

  private refuseWhenClosed(): void {
    if (this.closed) throw this.gone();
  }

  private gone(): CloudError {
    return new CloudError(
      'CLOUD_NOT_FOUND',
      `The sessions of cloud "${this.cloudName}" are closed: it was removed, or the service is stopping.`,
    );
  }
}
