import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ControlClient } from '../../demo/control-client.js';
import { ServiceClient } from '../../demo/service-client.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { type Logger, silentLogger, sleep } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir } from '../harness/database.js';
import { connectProvider } from '../harness/provider-client.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../simulator/index.js';
import type { Seed } from '../simulator/seeds/schema.js';
import { smallSeed } from './small-seed.js';

export interface WorldOptions {
  /** Who else may log in to the simulated vCenter. */
  vcenterAccounts?: SimulatorOptions['vcenterAccounts'];
  /** Another cloud than the demo's small one. */
  seed?: Seed;
  /** Runs before anything is started in the data folder. */
  prepare?: (dataDir: string) => Promise<void>;
  /** Another place for the repository than the service's own. */
  repositoryDir?: (dataDir: string) => string;
  /** Where the service writes down what it does; nowhere without it. */
  log?: Logger;
  /** Further settings of the service, VAPP_VAULT_…. */
  environment?: Record<string, string>;
}

/** A simulated cloud and the service, both in this process, talking over TLS as they would anywhere. */
export class World {
  private constructor(
    readonly dataDir: string,
    readonly simulator: Simulator,
    private running: RunningService,
    private client: ServiceClient,
    readonly control: ControlClient,
    readonly apiKey: string,
    private readonly begin: () => Promise<RunningService>,
  ) {}

  static async start(options: WorldOptions = {}): Promise<World> {
    const dataDir = await makeDataDir();
    await options.prepare?.(dataDir);
    const simulator = await startSimulator({
      listen: '127.0.0.1',
      vcdPort: 0,
      vcenterPort: 0,
      controlPort: 0,
      dataDir: join(dataDir, 'cloud'),
      seed: options.seed ?? smallSeed,
      taskDelayMs: 20,
      vcenterAccounts: options.vcenterAccounts,
    });
    try {
      const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
      const config = loadConfig(
        {
          VAPP_VAULT_DATA_DIR: join(dataDir, 'service'),
          VAPP_VAULT_PORT: '0',
          VAPP_VAULT_VDDK_LIBRARY_DIR: simulator.description.vddkLibraryDir,
          // What fails here fails because a test ordered it: nobody waits for a network to recover.
          VAPP_VAULT_VDDK_RETRY_DELAY_SECONDS: '0',
          VAPP_VAULT_VDDK_MAINTENANCE_RETRY_DELAY_SECONDS: '0',
          ...options.environment,
          ...(options.repositoryDir && { VAPP_VAULT_REPOSITORY_PATH: options.repositoryDir(dataDir) }),
        },
        dataDir,
      );
      const begin = () => startService(config, { log: options.log ?? silentLogger, initialApiKey: apiKey, showFirstKey: () => {} });
      const running = await begin();
      const api = new ServiceClient(running.url as string, apiKey, undefined);
      return new World(dataDir, simulator, running, api, new ControlClient(simulator.description.control.url), apiKey, begin);
    } catch (error) {
      await simulator.close();
      throw error;
    }
  }

  get api(): ServiceClient {
    return this.client;
  }

  /** The service ends, something happens to its folder, and it starts again. */
  async restart(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.running.close();
    await meanwhile();
    this.running = await this.begin();
    this.client = new ServiceClient(this.running.url as string, this.apiKey, undefined);
  }

  get url(): string {
    return this.running.url as string;
  }

  get repositoryDir(): string {
    return join(this.dataDir, 'service', 'repository');
  }

  async close(beforeRemoval: () => void = () => {}): Promise<void> {
    try {
      await this.running.close();
      await this.simulator.close();
      beforeRemoval();
    } finally {
      await rm(this.dataDir, { recursive: true, force: true });
    }
  }

  /** The registration of the simulated cloud, to be changed by a test before it is sent. */
  registration() {
    const { vcd, vcenter } = this.simulator.description;
    return {
      name: 'test',
      vcd: {
        url: vcd.url,
        organization: vcd.organization,
        userName: vcd.userName,
        password: vcd.password,
        thumbprint: vcd.thumbprintSha256,
      },
      vcenters: [{ url: vcenter.url, userName: vcenter.userName, password: vcenter.password, thumbprint: vcenter.thumbprintSha1 }],
    };
  }

  async register(): Promise<string> {
    return (await this.api.post<{ id: string }>('/api/v1/clouds', this.registration())).id;
  }

  async vappId(name: string): Promise<string> {
    const { items } = await this.api.get<{ items: { id: string; name: string }[] }>('/api/v1/vapps');
    const found = items.find((vapp) => vapp.name === name);
    if (found === undefined) throw new Error(`No vApp "${name}" in the inventory`);
    return found.id;
  }

  async startBackup(name: string, settings: Record<string, unknown> = {}): Promise<RunView> {
    return this.api.post<RunView>('/api/v1/backups', { vappId: await this.vappId(name), settings });
  }

  async finish(run: RunView, onChange: (run: RunView) => void = () => {}): Promise<RunView> {
    return this.api.follow(run.id, onChange);
  }

  /** What the run says of itself when it has come to this step. */
  async reach(run: RunView, step: string): Promise<RunView> {
    for (let looks = 0; looks < 600; looks += 1) {
      const now = await this.api.get<RunView>(`/api/v1/runs/${run.id}`);
      if (now.steps.some(({ name }) => name === step)) return now;
      if (now.endedAt !== null) throw new Error(`The run ended (${now.state}: ${now.error?.message}) without "${step}"`);
      await sleep(20);
    }
    throw new Error(`The run did not come to "${step}"`);
  }

  /** A backup that must succeed. */
  async backUp(name: string, settings: Record<string, unknown> = {}): Promise<RestorePointRow> {
    const run = await this.finish(await this.startBackup(name, settings));
    expect(run.error).toBeNull();
    return this.api.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
  }

  async restore(request: Record<string, unknown>): Promise<RunView> {
    return this.finish(await this.api.post<RunView>('/api/v1/restores', request));
  }

  /** Over the vCloud API, as a tenant's administrator would. */
  async deleteVapp(name: string): Promise<void> {
    const vcd = await connectProvider(this.simulator);
    try {
      for await (const vapp of vcd.vapps(`name==${name}`)) await vcd.deleteVapp(vapp.href);
    } finally {
      await vcd.close();
    }
  }

  /** What any run still owes. */
  async openObligations(): Promise<unknown[]> {
    const { items } = await this.api.get<{ items: { openObligations: unknown[] }[] }>('/api/v1/runs');
    return items.flatMap((run) => run.openObligations);
  }

  async restorePoints(): Promise<RestorePointRow[]> {
    return (await this.api.get<{ items: RestorePointRow[] }>('/api/v1/restore-points')).items;
  }
}
