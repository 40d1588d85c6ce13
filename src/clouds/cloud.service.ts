import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { CatalogService, type InventoryCounts } from '../catalog/index.js';
import { describeError, type Logger, newId } from '../common/index.js';
import { CONFIG, LOGGER, MASTER_KEY, type VaultConfig } from '../config/index.js';
import { RunService, type RunView } from '../jobs/index.js';
import type { VddkSettings } from '../vddk/index.js';
import { checkConnections, matchWarnings } from './check-connections.js';
import { CloudEntity } from './cloud.entity.js';
import { type CloudLogins, OpenCloud, type VcdLogin, type VcenterLogin } from './cloud-sessions.js';
import { CredentialSeal } from './credential-seal.js';
import { CloudError } from './errors.js';
import type { CloudSessions, CloudView } from './types.js';

export interface CloudRegistration {
  name: string;
  vcd: VcdLogin;
  vcenters: Omit<VcenterLogin, 'instanceUuid'>[];
}

/** The registered clouds: their logins, sealed; their shared sessions; their inventories. */
@Injectable()
export class CloudService implements OnApplicationShutdown {
  private readonly seal: CredentialSeal;
  private readonly open = new Map<string, OpenCloud>();

  constructor(
    @InjectRepository(CloudEntity) private readonly clouds: Repository<CloudEntity>,
    private readonly catalog: CatalogService,
    private readonly runs: RunService,
    @Inject(CONFIG) private readonly config: VaultConfig,
    @Inject(LOGGER) private readonly log: Logger,
    @Inject(MASTER_KEY) masterKey: Buffer,
  ) {
    this.seal = new CredentialSeal(masterKey);
  }

  /**
   * Checks every login, keeps the cloud, and takes its first inventory.
   * @throws CloudError CLOUD_NAME_EXISTS, CLOUD_VCD_EXISTS, CLOUD_UNUSABLE (with every reason); then nothing was kept.
   */
  async register(registration: CloudRegistration, signal?: AbortSignal): Promise<CloudView> {
    const { name, vcd } = registration;
    if (await this.clouds.existsBy({ name })) throw nameExists(name);
    const checked = await checkConnections(name, vcd, registration.vcenters, this.log, signal);
    // After the logins: whoever typed a wrong password must hear that first.
    await this.refuseKnownVcd(name, vcd);
    const id = newId();
    const { password, ...vcdWithoutPassword } = vcd;
    const passwords = {
      vcd: password,
      vcenters: Object.fromEntries(checked.vcenters.map((login) => [login.instanceUuid, login.password])),
    };
    try {
      await this.clouds.insert({
        id,
        name,
        vcd: vcdWithoutPassword,
        vcenters: checked.vcenters.map(({ password: _password, ...vcenter }) => vcenter),
        sealedPasswords: this.seal.seal(id, passwords),
        warnings: matchWarnings(checked.vimServers, checked.vcenters),
        createdAt: new Date(),
      });
    } catch (error) {
      // unique_violation: another request registered the name meanwhile.
      throw (error as { code?: string }).code === '23505' ? nameExists(name) : error;
    }
    try {
      await this.refresh(id, signal);
    } catch (error) {
      await this.forget(id, name);
      throw new CloudError('CLOUD_UNUSABLE', `Cloud "${name}" cannot be registered: ${describeError(error)}`, {
        subject: `cloud "${name}"`,
        cause: error,
      });
    }
    this.log.info({ cloudId: id, cloud: name }, 'cloud registered');
    return this.get(id);
  }

  /** Takes the cloud's inventory. @throws CloudError; VcdError. */
  async refresh(cloudId: string, signal?: AbortSignal): Promise<InventoryCounts> {
    const cloud = await this.find(cloudId);
    try {
      const vcd = await (await this.sessions(cloudId)).vcd();
      const warnings = matchWarnings(await vcd.vimServers(signal), cloud.vcenters);
      const counts = await this.catalog.saveInventory(cloudId, vcd, signal);
      await this.clouds.update({ id: cloudId }, { refreshedAt: new Date(), refreshError: null, warnings });
      return counts;
    } catch (error) {
      await this.clouds.update({ id: cloudId }, { refreshError: describeError(error) });
      throw error;
    }
  }

  async list(): Promise<CloudView[]> {
    return (await this.clouds.find({ order: { name: 'ASC' } })).map(view);
  }

  /** @throws CloudError CLOUD_NOT_FOUND. */
  async get(cloudId: string): Promise<CloudView> {
    return view(await this.find(cloudId));
  }

  /** Restore points stay. @throws CloudError CLOUD_NOT_FOUND; CLOUD_IN_USE: a run without its cloud could not even clean up. */
  async remove(cloudId: string): Promise<void> {
    const cloud = await this.find(cloudId);
    const run = await this.unfinishedRun(cloudId);
    if (run !== undefined) {
      throw new CloudError(
        'CLOUD_IN_USE',
        `Cloud "${cloud.name}" is in use by the ${run.kind} of ${run.subject}; wait for the end of run ${run.id} or cancel it.`,
        { subject: `cloud "${cloud.name}"`, details: { runId: run.id } },
      );
    }
    await this.forget(cloudId, cloud.name);
  }

  private async forget(cloudId: string, name: string): Promise<void> {
    await this.clouds.delete({ id: cloudId });
    await this.closeSessions(cloudId);
    await this.catalog.forgetCloud(cloudId);
    this.log.info({ cloudId, cloud: name }, 'cloud removed');
  }

  /** The cloud's sessions, shared by this process; nothing is opened before it is asked for. @throws CloudError CLOUD_NOT_FOUND. */
  async sessions(cloudId: string): Promise<CloudSessions> {
    // Asked each time: another process may have removed the cloud.
    const cloud = await this.clouds.findOneBy({ id: cloudId });
    if (cloud === null) {
      await this.closeSessions(cloudId);
      throw notFound(cloudId);
    }
    let open = this.open.get(cloudId);
    if (open === undefined) {
      open = new OpenCloud(cloudId, cloud.name, () => this.logins(cloudId), this.log);
      this.open.set(cloudId, open);
    }
    return open;
  }

  /** How this service runs VDDK. @throws CloudError VDDK_NOT_CONFIGURED. */
  vddkSettings(): VddkSettings & { transportModes: string } {
    const { libraryDir, ...settings } = this.config.vddk;
    if (libraryDir === undefined) {
      throw new CloudError(
        'VDDK_NOT_CONFIGURED',
        "This service does not know where VMware's VDDK is: unpack it and set VAPP_VAULT_VDDK_LIBRARY_DIR to its folder.",
      );
    }
    return { ...settings, libraryDir };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.open.keys()].map((cloudId) => this.closeSessions(cloudId)));
  }

  /** Two registrations of one VCD would each have the same vApp under an id of its own, and back it up at once. */
  private async refuseKnownVcd(name: string, vcd: VcdLogin): Promise<void> {
    const { origin } = new URL(vcd.url);
    const known = (await this.clouds.find()).find((cloud) => new URL(cloud.vcd.url).origin === origin);
    if (known === undefined) return;
    throw new CloudError(
      'CLOUD_VCD_EXISTS',
      `Cloud "${name}" cannot be registered: ${origin} is registered as cloud "${known.name}" already; use that one, or remove it first.`,
      { subject: `cloud "${known.name}"` },
    );
  }

  /** A run of one of the cloud's organizations, whose ids (URNs) no other VCD has. */
  private async unfinishedRun(cloudId: string): Promise<RunView | undefined> {
    const organizations = new Set((await this.catalog.organizations(cloudId)).map(({ id }) => id));
    for (const state of ['running', 'queued'] as const) {
      let cursor: string | undefined;
      do {
        const page = await this.runs.list({ state, limit: 200, ...(cursor === undefined ? {} : { cursor }) });
        const found = page.items.find(({ organizationId }) => organizations.has(organizationId));
        if (found !== undefined) return found;
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
    }
    return undefined;
  }

  private async closeSessions(cloudId: string): Promise<void> {
    const open = this.open.get(cloudId);
    this.open.delete(cloudId);
    await open?.close();
  }

  private async find(cloudId: string): Promise<CloudEntity> {
    const cloud = await this.clouds.findOneBy({ id: cloudId });
    if (cloud === null) throw notFound(cloudId);
    return cloud;
  }

  private async logins(cloudId: string): Promise<CloudLogins> {
    const cloud = await this.clouds.createQueryBuilder('c').addSelect('c.sealedPasswords').where('c.id = :cloudId', { cloudId }).getOne();
    if (cloud === null) throw notFound(cloudId);
    const passwords = this.seal.open(cloudId, cloud.name, cloud.sealedPasswords);
    return {
      vcd: { ...cloud.vcd, password: passwords.vcd },
      vcenters: cloud.vcenters.map((vcenter) => ({ ...vcenter, password: passwords.vcenters[vcenter.instanceUuid] ?? '' })),
    };
  }
}

function notFound(cloudId: string): CloudError {
  return new CloudError('CLOUD_NOT_FOUND', `There is no cloud with id ${cloudId}.`, { subject: `cloud ${cloudId}` });
}

function nameExists(name: string): CloudError {
  return new CloudError('CLOUD_NAME_EXISTS', `There is already a cloud named "${name}"; choose another name.`, {
    subject: `cloud "${name}"`,
  });
}

/** Field by field: nothing that is added to the entity later is shown by accident. */
function view(cloud: CloudEntity): CloudView {
  return {
    id: cloud.id,
    name: cloud.name,
    vcd: { url: cloud.vcd.url, organization: cloud.vcd.organization, userName: cloud.vcd.userName },
    vcenters: cloud.vcenters.map(({ url, instanceUuid, userName }) => ({ url, instanceUuid, userName })),
    warnings: cloud.warnings,
    createdAt: cloud.createdAt.toISOString(),
    refreshedAt: cloud.refreshedAt?.toISOString() ?? null,
    refreshError: cloud.refreshError,
  };
}
