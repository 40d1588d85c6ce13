import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import { ControlClient } from './control-client.js';
import { ServiceClient } from './service-client.js';

/** What the simulator prints when it is ready. */
export interface SimulatedCloud {
  vcd: { url: string; thumbprintSha256: string; organization: string; userName: string; password: string };
  vcenter: { url: string; thumbprintSha256: string; userName: string; password: string };
  control: { url: string };
  vddkLibraryDir: string;
}

/** The simulated cloud and the service, started, with a client for each. */
export interface Parts {
  cloud: SimulatedCloud;
  control: ControlClient;
  service: ServiceClient;
  serviceUrl: string;
  howToStartAgain: () => string;
  stop: () => Promise<void>;
}

export async function startParts(dataDir: string, recordDir: string | undefined): Promise<Parts> {
  const cloudDir = join(dataDir, 'cloud');
  const serviceDir = join(dataDir, 'service');
  for (const folder of [cloudDir, serviceDir]) mkdirSync(folder, { recursive: true });
  const simulatorArgs = ['--listen', '127.0.0.1', '--vcd-port', '0', '--vcenter-port', '0', '--control-port', '0', '--data', cloudDir];
  const simulator = await Child.start({
    name: 'simulated cloud',
    script: 'dist/test/simulator/main.js',
    args: [...simulatorArgs, ...(recordDir === undefined ? [] : ['--record', join(recordDir, 'cloud')])],
    logFile: join(dataDir, 'simulator.log'),
    ready: (line) => (line.startsWith('{"vcd"') ? line : undefined),
    readyTimeoutMs: 120_000,
  });
  const cloud = JSON.parse(simulator.readyLine) as SimulatedCloud;

  const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
  let service: Child;
  try {
    service = await Child.start({
      name: 'service',
      script: 'dist/src/main.js',
      env: {
        VAPP_VAULT_DATA_DIR: serviceDir,
        VAPP_VAULT_PORT: '0',
        VAPP_VAULT_VDDK_LIBRARY_DIR: cloud.vddkLibraryDir,
        VAPP_VAULT_INITIAL_API_KEY: apiKey,
      },
      logFile: join(dataDir, 'service.log'),
      ready: (line) => /(https?:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1],
      readyTimeoutMs: 60_000,
    });
  } catch (error) {
    await simulator.stop();
    throw error;
  }
  return {
    cloud,
    control: new ControlClient(cloud.control.url),
    service: new ServiceClient(service.readyLine, apiKey, recordDir === undefined ? undefined : join(recordDir, 'rest')),
    serviceUrl: service.readyLine,
    howToStartAgain: () =>
      [
        `The data stays in ${dataDir}. To start the parts again:`,
        `  npm run simulator -- ${simulatorArgs.join(' ')}`,
        `  VAPP_VAULT_DATA_DIR=${serviceDir} VAPP_VAULT_VDDK_LIBRARY_DIR=${cloud.vddkLibraryDir} npm start`,
        `The API key of this demo is ${apiKey}`,
      ].join('\n'),
    // The service first: it may still have to say good-bye to the cloud.
    stop: async () => {
      await service.stop();
      await simulator.stop();
    },
  };
}
