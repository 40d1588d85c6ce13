import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ControlClient } from '../../demo/control-client.js';
import { ServiceClient } from '../../demo/service-client.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { sleep, TimeoutError } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { smallSeed } from '../flow/small-seed.js';
import { makeDataDir } from '../harness/database.js';
import { type Simulator, startSimulator } from '../simulator/index.js';
import { KillableService } from './killable-service.js';

interface CloudState {
  vapps: { id: string; name: string; status: string; inMaintenanceMode: boolean; vms: { name: string; moRef: string }[] }[];
  vappTemplates: { vms: { moRef: string }[] }[];
  namedDisks: { name: string; attachedVmId: string | null }[];
  vcenterVms: { moRef: string; name: string; snapshots: { name: string }[]; disks: { label: string }[] }[];
  preparedForAccess: { moRef: string; identity: string }[];
  runningTasks: number;
}

/** The shortest lease the configuration allows: a run is taken over three seconds after its worker's death. */
const LEASE = { VAPP_VAULT_LEASE_DURATION_SECONDS: '3', VAPP_VAULT_LEASE_RENEW_SECONDS: '1', VAPP_VAULT_LEASE_SWEEP_SECONDS: '1' };
/** Three lease times, so that a second look comes soon; and nobody waits for runs that a test gave up. */
const TIMES = { VAPP_VAULT_LEASE_LATE_REQUEST_SECONDS: '9', VAPP_VAULT_SHUTDOWN_DRAIN_SECONDS: '0' };
const RECOVERY_TIMEOUT_MS = 45_000;
const MOMENT_TIMEOUT_MS = 60_000;
/** Leases run out, retries wait, a second attempt is as long as the first. */
const RUN_TIMEOUT_MS = 240_000;
const LAST_WORDS_CHARS = 2_000;

/** A simulated cloud in this process, and services in processes of their own on one data folder. */
export class KillableWorld {
  private readonly services: KillableService[] = [];
  private readonly starting = new Set<Promise<KillableService>>();
  private isClosed = false;
  private client: ServiceClient | undefined;
  private readonly apiKey = `vv_${randomBytes(32).toString('base64url')}`;

  private constructor(
    readonly dataDir: string,
    readonly simulator: Simulator,
    readonly control: ControlClient,
    private readonly settings: Record<string, string>,
  ) {}

  static async start(settings: Record<string, string> = {}, { taskDelayMs = 40, seed = smallSeed } = {}): Promise<KillableWorld> {
    const dataDir = await makeDataDir();
    const simulator = await startSimulator({
      listen: '127.0.0.1',
      vcdPort: 0,
      vcenterPort: 0,
      controlPort: 0,
      dataDir: join(dataDir, 'cloud'),
      seed,
      taskDelayMs,
    });
    return new KillableWorld(dataDir, simulator, new ControlClient(simulator.description.control.url), settings);
  }

  get repositoryDir(): string {
    return join(this.dataDir, 'service', 'repository');
  }

  get api(): ServiceClient {
    if (this.client === undefined) throw new Error('No service has been started');
    return this.client;
  }

  async startService(settings: Record<string, string> = {}): Promise<KillableService> {
    if (this.isClosed) throw new Error('No service is started in a world that is being closed');
    const starting = this.spawnService(settings);
    this.starting.add(starting);
    return starting.finally(() => this.starting.delete(starting));
  }

  private async spawnService(settings: Record<string, string>): Promise<KillableService> {
    const service = await KillableService.start({
      VAPP_VAULT_DATA_DIR: join(this.dataDir, 'service'),
      VAPP_VAULT_PORT: '0',
      VAPP_VAULT_VDDK_LIBRARY_DIR: this.simulator.description.vddkLibraryDir,
      VAPP_VAULT_INITIAL_API_KEY: this.apiKey,
      VAPP_VAULT_LOG_LEVEL: 'warn',
      VAPP_VAULT_RUNS_PER_WORKER: '8',
      ...LEASE,
      ...TIMES,
      ...this.settings,
      ...settings,
    });
    this.services.push(service);
    if (service.url !== undefined) this.client = new ServiceClient(service.url, this.apiKey, undefined);
    return service;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    // They are among the services then.
    await Promise.allSettled(this.starting);
    await Promise.all(this.services.map((service) => service.stop()));
    await this.simulator.close();
    // What is ended early may still write there.
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }

  /** What every service of this world has said. */
  get output(): string {
    return this.services.map((service) => service.output).join('');
  }

  /** For the error of a wait that came to nothing. */
  get lastWords(): string {
    const { output } = this;
    return output === '' ? 'The services said nothing.' : `The services said last: ${output.slice(-LAST_WORDS_CHARS)}`;
  }

  /** @param api of another service than the one that was started last. */
  async register(api: ServiceClient = this.api): Promise<void> {
    const { vcd, vcenter } = this.simulator.description;
    const { organization, userName, password } = vcd;
    await api.post('/api/v1/clouds', {
      name: 'test',
      vcd: { url: vcd.url, organization, userName, password, thumbprint: vcd.thumbprintSha256 },
      vcenters: [{ url: vcenter.url, userName: vcenter.userName, password: vcenter.password, thumbprint: vcenter.thumbprintSha1 }],
    });
  }

  async startBackup(vappName: string, settings: Record<string, unknown> = { forceFull: true }): Promise<RunView> {
    const { items } = await this.api.get<{ items: { id: string; name: string }[] }>('/api/v1/vapps');
    const vappId = items.find((vapp) => vapp.name === vappName)?.id;
    return this.api.post<RunView>('/api/v1/backups', { vappId, settings });
  }

  async startCopy(restorePointId: string, name: string): Promise<RunView> {
    return this.api.post<RunView>('/api/v1/restores', { restorePointId, mode: 'copy', name });
  }

  /** @throws Error that says how it stands, and what the services said last, where that takes longer. */
  async ended(run: RunView, timeoutMs = RUN_TIMEOUT_MS): Promise<RunView> {
    try {
      return await this.api.follow(run.id, () => {}, timeoutMs);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      const { state, attempt, cancelRequestedAt, steps, progress, openObligations } = await this.run(run.id);
      const standing = JSON.stringify({ state, attempt, cancelRequestedAt, steps, progress, openObligations });
      throw new Error(`The ${run.kind} of ${run.subject}: ${error.message}: ${standing}. ${this.lastWords}`, { cause: error });
    }
  }

  /** Backups that must succeed, all at once. @returns their restore points' ids. */
  async backUp(...vappNames: string[]): Promise<string[]> {
    const runs = await Promise.all(vappNames.map((name) => this.startBackup(name)));
    const ends = await Promise.all(runs.map((run) => this.ended(run)));
    for (const end of ends) assert.equal(end.error, null, `The backup of ${end.subject} failed: ${JSON.stringify(end.error)}`);
    return ends.map((end) => String(end.result?.restorePointId));
  }

  /** As a copy under that name; bytes are compared elsewhere. */
  async expectRestores(restorePointId: string, name: string): Promise<void> {
    const run = await this.ended(await this.startCopy(restorePointId, name));
    assert.equal(run.error, null);
    assert.equal(run.result?.vappName, name);
  }

  async run(id: string): Promise<RunView> {
    return this.api.get<RunView>(`/api/v1/runs/${id}`);
  }

  async restorePoints(): Promise<RestorePointRow[]> {
    return (await this.api.get<{ items: RestorePointRow[] }>('/api/v1/restore-points')).items;
  }

  async moRef(vmName: string): Promise<string> {
    const vm = (await this.state()).vapps.flatMap((vapp) => vapp.vms).find((each) => each.name === vmName);
    if (vm === undefined) throw new Error(`No VM "${vmName}"`);
    return vm.moRef;
  }

  async vappPath(vappName: string): Promise<string> {
    const vapp = (await this.state()).vapps.find((each) => each.name === vappName);
    if (vapp === undefined) throw new Error(`No vApp "${vappName}"`);
    return `/vApp/vapp-${vapp.id.replace(/^urn:.*:/, '')}`;
  }

  state(): Promise<CloudState> {
    return this.control.state<CloudState>();
  }

  /** Orders a fault. @returns waits until it has struck: the service is inside that request. */
  async hold(rule: { door: string } & Record<string, unknown>): Promise<() => Promise<void>> {
    const order = { ...(rule.door === 'vcd' ? { count: 1, effect: 'delay', delayMs: 2_500 } : { times: 1, effect: 'hang' }), ...rule };
    const added = (await this.control.addFault(order)) as { id?: string };
    const struck = (faults: Record<string, unknown>[]) => {
      if (rule.door === 'vcd') return !faults.some((fault) => fault.id === added.id);
      return faults.some((fault) => Number(fault.hits) > 0 && Object.entries(order).every(([key, value]) => fault[key] === value));
    };
    return async () => {
      for (const deadline = performance.now() + MOMENT_TIMEOUT_MS; !struck(await this.faults()); await sleep(1)) {
        if (performance.now() > deadline) throw new Error(`The moment never came: ${JSON.stringify(rule)}`);
      }
    };
  }

  /**
   * Waits until nothing is owed any more, and says what still is when that takes too long.
   * @param vapps which must be there, and no other.
   */
  async expectNothingOwed(vapps: readonly string[], timeoutMs = RECOVERY_TIMEOUT_MS, { catalogFollows = true } = {}): Promise<void> {
    let owed: unknown;
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline; await sleep(100)) {
      owed = await this.owed(vapps);
      if (JSON.stringify(owed) === JSON.stringify(NOTHING)) break;
    }
    assert.deepEqual(owed, NOTHING);
    if (catalogFollows) await this.expectCatalogFollows();
  }

  /** A restore point exists when its manifest does, and the catalog knows it then. */
  async expectCatalogFollows(): Promise<void> {
    assert.deepEqual((await this.restorePoints()).map(({ id }) => id).sort(), await this.manifests(), 'catalog and manifests differ');
  }

  private async owed(expected: readonly string[]): Promise<typeof NOTHING> {
    const state = await this.state();
    const { items } = await this.api.get<{ items: RunView[] }>('/api/v1/runs?limit=200');
    const managed = new Set([...state.vapps, ...state.vappTemplates].flatMap(({ vms }) => vms.map((vm) => vm.moRef)));
    const names = state.vapps.map((vapp) => vapp.name);
    const disks = this.simulator.vsphere.inventory.state.firstClassDisks ?? [];
    return {
      maintenance: state.vapps.filter((vapp) => vapp.inMaintenanceMode).map((vapp) => vapp.name),
      snapshots: state.vcenterVms.flatMap((vm) => vm.snapshots.map((snapshot) => `${vm.name}: ${snapshot.name}`)),
      // vMotion is still disabled.
      access: state.preparedForAccess.map(({ moRef, identity }) => `${moRef}: ${identity}`),
      vmsWithoutVapp: state.vcenterVms.filter((vm) => !managed.has(vm.moRef)).map((vm) => vm.name),
      // While it is being made, a disk has a name that nobody else uses.
      disksHalfMade: state.namedDisks.map((disk) => disk.name).filter((name) => /-[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name)),
      firstClassDisksHalfMade: disks.map(({ name }) => name).filter((name) => /-[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name)),
      diskSnapshots: disks.flatMap(({ name, snapshots }) => snapshots.map(({ description }) => `${name}: ${description}`)),
      vappsTooMany: names.filter((name) => !expected.includes(name)),
      vappsMissing: expected.filter((name) => !names.includes(name)),
      vappsWithoutVm: state.vapps.filter((vapp) => vapp.vms.length === 0).map((vapp) => vapp.name),
      obligations: items.flatMap((run) => run.openObligations.map((debt) => `${run.subject}: ${debt.kind} ${debt.lastError ?? ''}`)),
      unfinished: items.filter((run) => run.endedAt === null).map((run) => run.subject),
    };
  }

  private async manifests(): Promise<string[]> {
    const files = await readdir(this.repositoryDir, { recursive: true });
    return files
      .map((file) => /(?:^|\/)manifests\/([0-9a-f-]{36})[^/]*$/.exec(file)?.[1])
      .filter((id) => id !== undefined)
      .sort();
  }

  private faults(): Promise<Record<string, unknown>[]> {
    return this.fromControl('/faults');
  }

  private async fromControl<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.simulator.description.control.url}${path}`)).json()) as T;
  }
}

const NOTHING = {
  maintenance: [] as string[],
  snapshots: [] as string[],
  access: [] as string[],
  vmsWithoutVapp: [] as string[],
  disksHalfMade: [] as string[],
  firstClassDisksHalfMade: [] as string[],
  diskSnapshots: [] as string[],
  vappsTooMany: [] as string[],
  vappsMissing: [] as string[],
  vappsWithoutVm: [] as string[],
  obligations: [] as string[],
  unfinished: [] as string[],
};
