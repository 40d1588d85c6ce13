import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { CatalogService, providerOrganizationId } from '../catalog/index.js';
import { describeError, type Logger, newId } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import { ObligationService, PermitService, RunService, type RunView } from '../jobs/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import { AccessHosts, accountsOf, Leftovers, type OpenDiskPermits } from '../vddk/index.js';
import { checkConnections, matchWarnings } from './check-connections.js';
import {
  type CloudChange,
  changedRegistration,
  changedVcenters,
  refuseKnownVcenters,
  refuseOtherServers,
  removedVcenters,
} from './cloud-change.js';
import { CloudEntity, type UnlistedVcenter } from './cloud.entity.js';
import { CloudLoginService } from './cloud-login.service.js';
import { OpenCloud, type VcdRegistration, type VcenterLogin } from './cloud-sessions.js';
import { transportPolicy, type VddkUse } from './disk-access.js';
import { CloudError, cloudNotFound } from './errors.js';
import { listFirstClassDisks } from './first-class-disk-listing.js';
import type { CloudSessions, CloudView, RefreshReport } from './types.js';

export interface CloudRegistration {
  name: string;
  vcd: VcdRegistration;
  vcenters: Omit<VcenterLogin, 'instanceUuid'>[];
}

/** Any number: registrations at one moment, in whatever process, are decided one after the other. */
const REGISTRATION_LOCK = 0x7663_6c64;

/** The registered clouds: their logins, sealed; their shared sessions; their inventories. */
@Injectable()
export class CloudService implements OnApplicationShutdown {
  private readonly open = new Map<string, OpenCloud>();
  /** Of all backups and restores of all workers together. */
  private readonly diskPermits: OpenDiskPermits;
  private readonly leftovers = new Leftovers();
  private readonly accesses = new AccessHosts();

  constructor(
    @InjectRepository(CloudEntity) private readonly clouds: Repository<CloudEntity>,
    private readonly logins: CloudLoginService,
    private readonly catalog: CatalogService,
    private readonly runs: RunService,
    private readonly obligations: ObligationService,
    permits: PermitService,
    @Inject(CONFIG) private readonly config: VaultConfig,
    @Inject(LOGGER) private readonly log: Logger,
  ) {
    const { nfcBytesPerEsxiHost, disksPerEsxiHost, vcenterConnections } = config.limits;
    const ceilings = { nfcBytesPerEsxiHost, disksPerEsxiHost, connectionsPerVcenter: vcenterConnections };
    this.diskPermits = { acquire: (demand, signal) => permits.acquire(accountsOf(demand, ceilings), signal) };
  }

  /**
   * Checks every login, keeps the cloud, and takes its first inventory.
   * @throws CloudError CLOUD_NAME_EXISTS, CLOUD_VCD_EXISTS, CLOUD_UNUSABLE (with every reason); then nothing was kept
   * but a service account's token that was used.
   */
  async register(registration: CloudRegistration, signal?: AbortSignal): Promise<CloudView> {
    const { name } = registration;
    if (await this.clouds.existsBy({ name })) throw nameExists(name);
    const { vcd, secret, connection } = await this.logins.prepare(registration.vcd);
    const checked = await checkConnections(name, 'registered', { vcd: connection, vcenters: registration.vcenters }, this.log, signal);
    const vimServers = checked.vimServers ?? [];
    const vimServerIds = vimServers.map((server) => server.id);
    const id = newId();
    try {
      await this.clouds.manager.transaction(async (manager) => {
        await manager.query('SELECT pg_advisory_xact_lock($1)', [REGISTRATION_LOCK]);
        // After the logins: whoever typed a wrong password must hear that first.
        await refuseKnownVcd(manager, name, vcd.url, vimServerIds);
        await manager.insert(CloudEntity, {
          id,
          name,
          ...this.logins.store(id, vcd, secret, checked.vcenters),
          revision: 1,
          vimServerIds,
          warnings: matchWarnings(vimServers, checked.vcenters),
          createdAt: new Date(),
        });
      });
    } catch (error) {
      // unique_violation: another request registered the name meanwhile.
      throw (error as { code?: string }).code === '23505' ? nameExists(name) : error;
    }
    try {
      await this.refresh(id, {}, signal);
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

  /**
   * Gives a cloud other logins, addresses, certificates or vCenters, after trying those that change. Runs under way go
   * on: VCD's session takes the new login the next time it logs in.
   * @throws CloudError CLOUD_NOT_FOUND, CLOUD_UNUSABLE; CLOUD_CONFLICT: somebody else changed it meanwhile; CLOUD_IN_USE: a
   * vCenter to be removed is needed. Then all is as it was.
   */
  async change(cloudId: string, change: CloudChange, signal?: AbortSignal): Promise<CloudView> {
    const { cloud, secret, logins } = await this.logins.read(cloudId);
    const registration = changedRegistration(cloud.vcd, change.vcd);
    const prepared = registration === undefined ? undefined : await this.logins.prepare(registration);
    const vcd = prepared?.vcd ?? (change.vcd === undefined ? cloud.vcd : { ...cloud.vcd, ...change.vcd.endpoint });
    const connection = change.vcd === undefined ? undefined : (prepared?.connection ?? { ...logins.vcd, ...change.vcd.endpoint });
    const removed = removedVcenters(cloud, change);
    if (removed.length > 0) await this.refuseWhileInUse(cloud, removed);
    const { changed, all } = changedVcenters(cloud.name, logins.vcenters, change.vcenters ?? []);
    const tried = [...changed, ...(change.addVcenters ?? [])];
    const checked = await checkConnections(cloud.name, 'changed', { vcd: connection, vcenters: tried }, this.log, signal);
    refuseOtherServers(cloud, changed, checked);
    const added = checked.vcenters.slice(changed.length);
    refuseKnownVcenters(cloud.name, all, added);
    const vcenters = [...all.filter(({ instanceUuid }) => !removed.includes(instanceUuid.toLowerCase())), ...added];
    const others = added.length + removed.length > 0;
    const vimServers =
      checked.vimServers ?? (others ? await (await (await this.sessions(cloudId)).vcd(signal)).vimServers(signal) : undefined);
    const vimServerIds = vimServers?.map((server) => server.id) ?? cloud.vimServerIds;
    const warnings = vimServers === undefined ? cloud.warnings : matchWarnings(vimServers, vcenters);
    const stored = this.logins.store(cloudId, vcd, prepared === undefined ? secret : prepared.secret, vcenters);
    const { affected } = await this.clouds.update(
      { id: cloudId, revision: cloud.revision },
      { ...stored, vimServerIds, warnings, revision: cloud.revision + 1 },
    );
    if (affected !== 1) {
      throw new CloudError(
        'CLOUD_CONFLICT',
        `Cloud "${cloud.name}" was changed by somebody else at the same time; look at it and try again.`,
        {
          subject: `cloud "${cloud.name}"`,
        },
      );
    }
    if (cloud.vcd.serviceAccountId !== vcd.serviceAccountId) await this.logins.forgetAccount(cloud.vcd);
    this.open.get(cloudId)?.renew(cloud.revision + 1);
    this.log.info({ cloudId, cloud: cloud.name }, 'logins of a cloud changed');
    return this.get(cloudId);
  }

  /** Takes the cloud's inventory: what has changed, or all of it. @throws CloudError; VcdError. */
  async refresh(cloudId: string, options: { full?: boolean } = {}, signal?: AbortSignal): Promise<RefreshReport> {
    const cloud = await this.find(cloudId);
    try {
      const vcd = await (await this.sessions(cloudId)).vcd(signal);
      const vimServers = await vcd.vimServers(signal);
      const warnings = matchWarnings(vimServers, cloud.vcenters);
      // Before the inventory: what it shows is then known by the names it had.
      await this.adoptFormer(cloud, vcd, signal);
      const inventory = await this.catalog.saveInventory(cloudId, vcd, options, signal);
      // After the inventory: named disks are known by then.
      const unlistedVcenters = await this.refreshFirstClassDisks(cloud, signal);
      for (const { url, error } of Object.values(unlistedVcenters))
        warnings.push(`The first class disks of vCenter ${url} could not be listed: ${error}`);
      const vimServerIds = vimServers.map((server) => server.id);
      const ended = { refreshedAt: new Date(), refreshError: null, refreshUnended: 0 };
      await this.clouds.update({ id: cloudId }, { ...ended, warnings, vimServerIds, unlistedVcenters });
      return { ...inventory, firstClassDisks: await this.catalog.countFirstClassDisks(cloudId) };
    } catch (error) {
      await this.clouds.update({ id: cloudId }, { refreshError: describeError(error), refreshUnended: 0 });
      throw error;
    }
  }

  /**
   * A VCD that was registered before (and removed, or its database lost) is known again by its organizations: their ids are of
   * its own making, and no other VCD has them. Its history goes on under the id it has now.
   */
  private async adoptFormer({ id, name }: CloudEntity, vcd: VcdClientApi, signal?: AbortSignal): Promise<void> {
    const registered = (await this.clouds.find({ select: { id: true } })).map((cloud) => cloud.id);
    const former = await this.catalog.formerClouds(registered);
    if (former.size === 0) return;
    const present = new Set<string>();
    for await (const organization of vcd.organizations(signal)) present.add(organization.id);
    for (const [formerId, organizations] of former) {
      if (![...organizations].some((organizationId) => present.has(organizationId))) continue;
      await this.catalog.adoptCloud(formerId, id);
      this.log.info({ cloudId: id, cloud: name, formerId }, 'the history of a former registration goes on with this cloud');
    }
  }

  async list(): Promise<CloudView[]> {
    return (await this.clouds.find({ order: { name: 'ASC' } })).map(view);
  }

  /** @throws CloudError CLOUD_NOT_FOUND. */
  async get(cloudId: string): Promise<CloudView> {
    return view(await this.find(cloudId));
  }

  /**
   * Restore points stay.
   * @throws CloudError CLOUD_NOT_FOUND; CLOUD_IN_USE: a run without its cloud could not even clean up, and what an
   * ended one still owes (a snapshot to remove, maintenance mode to leave) would stay for ever.
   */
  async remove(cloudId: string): Promise<void> {
    const cloud = await this.find(cloudId);
    await this.refuseWhileInUse(cloud);
    await this.forget(cloudId, cloud.name);
    await this.logins.forgetAccount(cloud.vcd);
  }

  /** A vCenter that does not answer keeps nobody's vApps from being known. @returns those that could not be listed. */
  private async refreshFirstClassDisks(cloud: CloudEntity, signal?: AbortSignal): Promise<Record<string, UnlistedVcenter>> {
    const sessions = await this.sessions(cloud.id);
    const unlisted: Record<string, UnlistedVcenter> = {};
    for (const { instanceUuid, url } of cloud.vcenters) {
      try {
        const listing = await listFirstClassDisks(await sessions.vcenter(instanceUuid, signal), this.log, signal);
        if (listing !== undefined) await this.catalog.saveFirstClassDisks(cloud.id, listing);
      } catch (error) {
        if (signal?.aborted) throw error;
        const sinceAt = cloud.unlistedVcenters[instanceUuid]?.sinceAt ?? new Date().toISOString();
        unlisted[instanceUuid] = { url, sinceAt, error: describeError(error) };
      }
    }
    return unlisted;
  }

  /** @param vcenters instance UUIDs; without them the whole cloud. @throws CloudError CLOUD_IN_USE. */
  private async refuseWhileInUse(cloud: CloudEntity, vcenters?: readonly string[]): Promise<void> {
    const run = await this.unfinishedRun(cloud.id);
    if (run !== undefined) {
      throw new CloudError(
        'CLOUD_IN_USE',
        `Cloud "${cloud.name}" is in use by the ${run.kind} of ${run.subject}; wait for the end of run ${run.id} or cancel it.`,
        { subject: `cloud "${cloud.name}"`, details: { runId: run.id } },
      );
    }
    // As the vCenter spells it: so it stands in the terms.
    const named = cloud.vcenters.filter(({ instanceUuid }) => vcenters?.includes(instanceUuid.toLowerCase()));
    const whose =
      vcenters === undefined
        ? [{ cloudId: cloud.id }]
        : named.map(({ instanceUuid }) => ({ cloudId: cloud.id, vcenterInstanceUuid: instanceUuid }));
    for (const terms of whose) {
      const debt = await this.obligations.oldestOpen(terms);
      if (debt === undefined) continue;
      const what =
        'vcenterInstanceUuid' in terms ? `The vCenter ${terms.vcenterInstanceUuid} of cloud "${cloud.name}"` : `Cloud "${cloud.name}"`;
      const reason = debt.lastError === null ? '' : ` (last try: ${debt.lastError.replace(/[.\s]+$/, '')})`;
      throw new CloudError(
        'CLOUD_IN_USE',
        `${what} cannot be removed yet: run ${debt.runId} has something to undo there, "${debt.kind}"${reason}; it is tried again until it succeeds.`,
        { subject: `cloud "${cloud.name}"`, details: { runId: debt.runId } },
      );
    }
  }

  private async forget(cloudId: string, name: string): Promise<void> {
    // Together: vApps of a cloud that is gone would be taken for present, and nobody would forget them.
    await this.clouds.manager.transaction(async (manager) => {
      await manager.delete(CloudEntity, { id: cloudId });
      await this.catalog.forgetCloud(cloudId, manager);
    });
    await this.closeSessions(cloudId);
    // A refresh under way may have written on until its session was closed.
    await this.catalog.forgetCloud(cloudId);
    this.log.info({ cloudId, cloud: name }, 'cloud removed');
  }

  /** The cloud's sessions, shared by this process; nothing is opened before it is asked for. @throws CloudError CLOUD_NOT_FOUND. */
  async sessions(cloudId: string): Promise<CloudSessions> {
    // Asked each time: another process may have removed the cloud.
    const cloud = await this.clouds.findOneBy({ id: cloudId });
    if (cloud === null) {
      await this.closeSessions(cloudId);
      throw cloudNotFound(cloudId);
    }
    let open = this.open.get(cloudId);
    if (open === undefined) {
      open = new OpenCloud(cloudId, cloud.name, cloud.revision, async () => (await this.logins.read(cloudId)).logins, this.log);
      this.open.set(cloudId, open);
    }
    open.renew(cloud.revision);
    return open;
  }

  /** How this service runs VDDK. @throws CloudError VDDK_NOT_CONFIGURED. */
  vddkSettings(): VddkUse {
    const { libraryDir } = this.config.vddk;
    if (libraryDir === undefined) {
      throw new CloudError(
        'VDDK_NOT_CONFIGURED',
        "This service does not know where VMware's VDDK is: unpack it and set VAPP_VAULT_VDDK_LIBRARY_DIR to its folder.",
      );
    }
    return {
      ...this.config.vddk,
      libraryDir,
      transport: transportPolicy(this.config.vddk),
      limits: this.diskPermits,
      leftovers: this.leftovers,
      accesses: this.accesses,
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.open.keys()].map((cloudId) => this.closeSessions(cloudId)));
  }

  /** A run of one of the cloud's organizations, whose ids (URNs) no other VCD has. */
  private async unfinishedRun(cloudId: string): Promise<RunView | undefined> {
    const organizations = new Set((await this.catalog.organizations(cloudId)).map(({ id }) => id)).add(providerOrganizationId(cloudId));
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
    if (cloud === null) throw cloudNotFound(cloudId);
    return cloud;
  }
}

/**
 * Two registrations of one VCD would each have the same vApp under an id of its own, and back it up at once. A VCD is
 * known by the ids it gave its vCenters, which no other has: its System organization has the same id everywhere.
 */
async function refuseKnownVcd(manager: EntityManager, name: string, url: string, vimServerIds: readonly string[]): Promise<void> {
  const { origin } = new URL(url);
  const ids = new Set(vimServerIds);
  const clouds = await manager.find(CloudEntity);
  const sameAddress = clouds.find((cloud) => new URL(cloud.vcd.url).origin === origin);
  const known = sameAddress ?? clouds.find((cloud) => cloud.vimServerIds.some((id) => ids.has(id)));
  if (known === undefined) return;
  const where = known === sameAddress ? origin : `the VCD at ${origin} answers at ${new URL(known.vcd.url).origin} too and`;
  throw new CloudError(
    'CLOUD_VCD_EXISTS',
    `Cloud "${name}" cannot be registered: ${where} is registered as cloud "${known.name}" already; use that one, or remove it first.`,
    { subject: `cloud "${known.name}"` },
  );
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
    vcd: {
      url: cloud.vcd.url,
      organization: cloud.vcd.organization,
      login: cloud.vcd.login ?? 'password',
      userName: cloud.vcd.userName ?? null,
      apiVersion: cloud.vcd.apiVersion ?? null,
    },
    vcenters: cloud.vcenters.map(({ url, instanceUuid, userName }) => ({ url, instanceUuid, userName })),
    warnings: cloud.warnings,
    createdAt: cloud.createdAt.toISOString(),
    refreshedAt: cloud.refreshedAt?.toISOString() ?? null,
    refreshError: cloud.refreshError,
  };
}
