import { parseArgs } from 'node:util';
import { parseCloudSize } from './seeds/large-cloud.js';
import { type SimulatorOptions, startSimulator } from './server.js';
import { API_VERSIONS, parseVariants } from './vcd/index.js';

/** `npm run simulator -- …`: runs the simulated cloud until SIGTERM or SIGINT. One JSON line on stdout when it is ready. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop());
  const simulator = await startSimulator(options);
  process.stdout.write(`${JSON.stringify(simulator.description)}\n`);
  await stopped;
  await simulator.close();
}

class UsageError extends Error {}

/** @throws UsageError with one sentence. */
function readOptions(args: string[]): SimulatorOptions {
  let values: Record<string, string | undefined>;
  try {
    const text = { type: 'string' } as const;
    const options = {
      ...{ listen: text, 'vcd-port': text, 'vcenter-port': text, 'control-port': text },
      ...{ data: text, seed: text, generate: text, record: text, 'api-versions': text, variants: text },
    };
    values = parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]);
  }
  if (!values.data) throw new UsageError('--data DIR is missing: the folder in which the simulated cloud keeps everything.');
  return {
    listen: values.listen ?? '127.0.0.1',
    vcdPort: port(values, 'vcd-port'),
    vcenterPort: port(values, 'vcenter-port'),
    controlPort: port(values, 'control-port'),
    dataDir: values.data,
    seed: values.seed,
    generate: values.generate === undefined ? undefined : parseCloudSize(values.generate),
    recordDir: values.record,
    apiVersions: values['api-versions'] === undefined ? undefined : apiVersions(values['api-versions']),
    variants: values.variants === undefined ? undefined : parseVariants(values.variants),
  };
}

/** @throws UsageError with one sentence. */
function apiVersions(text: string): string[] {
  const versions = text.split(',').map((version) => version.trim());
  const unknown = versions.find((version) => !API_VERSIONS.some((known) => known === version));
  if (unknown !== undefined) throw new UsageError(`--api-versions names "${unknown}"; this cell speaks ${API_VERSIONS.join(', ')}.`);
  return versions;
}

function port(values: Record<string, string | undefined>, name: string): number {
  const text = values[name] ?? '0';
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new UsageError(`--${name} must be a port number from 0 to 65535, not "${text}".`);
  return number;
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const isUsage = error instanceof UsageError || error instanceof RangeError;
    process.stderr.write(`simulator: ${(error as Error).message}\n`);
    process.exit(isUsage ? 2 : 1);
  },
);
