import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child, ROOT, type ChildOptions } from './child.js';
import { ControlClient } from './control-client.js';
import { ServiceClient } from './service-client.js';
import { startAgainText } from './start-again.js';

/** What the simulator prints when it is ready. */
export interface SimulatedCloud {
  vcd: { url: string; thumbprintSha256: string; organization: string; userName: string; password: string };
  vcenter: { url: string; thumbprintSha256: string; userName: string; password: string };
  control: { url: string };
  vddkLibraryDir: string;
}

/** The simulated cloud and the service, with a client for each. */
export interface Parts {
  cloud: SimulatedCloud;
  control: ControlClient;
  service: ServiceClient;
  howToStartAgain: string;
}

/** Starts the parts and ends them, whatever has become of them; a stop in the middle of the start is one. */
export class PartsRunner {
  /** Rejects when a part ends although nobody stopped it; never resolves. */
  readonly lost: Promise<never>;
  private readonly children: Child[] = [];
  private stopping = false;
  private loseThem: (reason: Error) => void = () => undefined;

  constructor(
    private readonly dataDir: string,
    private readonly recordDir: string | undefined,
  ) {
    this.lost = new Promise((_, fail) => {
      this.loseThem = fail;
    });
    this.lost.catch(() => undefined);
  }

  async start(): Promise<Parts> {
    const cloudDir = join(this.dataDir, 'cloud');
    const serviceDir = join(this.dataDir, 'service');
    for (const folder of [cloudDir, serviceDir]) mkdirSync(folder, { recursive: true });
    const cloud = await this.startCloud(cloudDir);
    const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
    const serviceUrl = await this.launch({
      name: 'service',
      script: 'dist/src/main.js',
      env: {
        VAPP_VAULT_DATA_DIR: serviceDir,
        VAPP_VAULT_PORT: '0',
        VAPP_VAULT_VDDK_LIBRARY_DIR: cloud.vddkLibraryDir,
        VAPP_VAULT_INITIAL_API_KEY: apiKey,
        // Nobody watches a demo for twenty seconds to see that something is due.
        VAPP_VAULT_POLICIES_TICK_SECONDS: '1',
      },
      logFile: join(this.dataDir, 'service.log'),
      ready: (line) => /listens on (https?:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1],
      readyTimeoutMs: 120_000,
    });
    return {
      cloud,
      control: new ControlClient(cloud.control.url),
      service: new ServiceClient(serviceUrl, apiKey, this.recordDir === undefined ? undefined : join(this.recordDir, 'rest')),
      howToStartAgain: startAgainText({ cloneDir: ROOT, dataDir: this.dataDir, cloudDir, serviceDir, serviceUrl, cloud, apiKey }),
    };
  }

  /** The service first: it may still have to say good-bye to the cloud. */
  async stop(timeoutMs: number): Promise<void> {
    this.stopping = true;
    for (const child of this.children.reverse()) await child.stop(timeoutMs);
  }

  private async startCloud(cloudDir: string): Promise<SimulatedCloud> {
    const temporaryDir = join(this.dataDir, 'tmp');
    mkdirSync(temporaryDir, { recursive: true });
    const ports = ['--vcd-port', '0', '--vcenter-port', '0', '--control-port', '0'];
    const record = this.recordDir === undefined ? [] : ['--record', join(this.recordDir, 'cloud')];
    const line = await this.launch({
      name: 'simulated cloud',
      script: 'dist/test/simulator/main.js',
      args: ['--listen', '127.0.0.1', ...ports, '--data', cloudDir, ...record],
      // Files it was still making when it was ended go with the rest.
      env: { TMPDIR: temporaryDir },
      logFile: join(this.dataDir, 'simulator.log'),
      ready: (text) => (text.startsWith('{"vcd"') ? text : undefined),
      readyTimeoutMs: 180_000,
    });
    return JSON.parse(line) as SimulatedCloud;
  }

  private async launch(options: ChildOptions): Promise<string> {
    if (this.stopping) throw new Error(`The ${options.name} is not started any more`);
    const child = new Child(options);
    this.children.push(child);
    const ready = await child.ready();
    void child.end.then((outcome) => {
      if (!this.stopping) this.loseThem(new Error(`The ${options.name} ended by itself (${outcome}); see ${options.logFile}`));
    });
    return ready;
  }
}
