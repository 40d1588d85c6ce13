/**
 * The main job on real bytes: back up a vApp, lose it, bring it back, and compare with what a
 * witness outside the service kept. Both parts run in processes of their own and speak the real
 * protocols.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryWatch } from './memory.js';
import { type DemoOptions, parseOptions, UsageError, USAGE } from './options.js';
import { PartsRunner } from './parts.js';
import { DemoFailure } from './failure.js';
import { type Figures, runScenario } from './scenario.js';

const STOP_TIMEOUT_MS = 20_000;
/** Nobody waits for what was interrupted: what does not end at once is killed. */
const INTERRUPTED_STOP_TIMEOUT_MS = 3_000;

class Interrupted extends Error {
  constructor(readonly signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
  }
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options !== 'help') return await demonstrate(options);
    console.log(USAGE);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`demo: ${error.message} (npm run demo -- --help)`);
    return 2;
  }
}

async function demonstrate(options: DemoOptions): Promise<number> {
  const interruption = interrupted();
  const dataDir = makeDataDir(options.dataDir);
  const memory = new MemoryWatch();
  const startedMs = performance.now();
  const runner = new PartsRunner(dataDir, options.recordDir);
  let stopTimeoutMs = STOP_TIMEOUT_MS;
  try {
    const work = async () => {
      const parts = await runner.start();
      return { parts, figures: await runScenario(parts) };
    };
    const { parts, figures } = await Promise.race([work(), runner.lost, interruption]);
    memory.stop();
    const seconds = (performance.now() - startedMs) / 1000;
    writeReport(options, { ...figures, seconds, peakMemoryBytes: memory.peakBytes });
    console.log(`\n${seconds.toFixed(0)} s, at most ${(memory.peakBytes / 2 ** 20).toFixed(0)} MiB of memory in all processes together`);
    if (options.keep) console.log(parts.howToStartAgain);
    else if (options.dataDir !== undefined) console.log(`The data stays in ${dataDir}`);
    return conclude(figures);
  } catch (error) {
    memory.stop();
    if (error instanceof Interrupted) stopTimeoutMs = INTERRUPTED_STOP_TIMEOUT_MS;
    console.error(`demo: ${error instanceof DemoFailure || error instanceof Interrupted ? error.message : describe(error)}`);
    const seconds = (performance.now() - startedMs) / 1000;
    writeReport(options, { failure: (error as Error).message, seconds, peakMemoryBytes: memory.peakBytes });
    return error instanceof Interrupted ? 128 + constants.signals[error.signal] : 1;
  } finally {
    await runner.stop(stopTimeoutMs);
    if (options.dataDir === undefined && !options.keep) rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** Every further signal changes nothing: npm, the shell and the terminal all send their own. */
function interrupted(): Promise<never> {
  const promise = new Promise<never>((_, fail) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => fail(new Interrupted(signal)));
  });
  promise.catch(() => undefined);
  return promise;
}

/** PostgreSQL does not run as root, and its user must be able to pass the folder; what is private in it has modes of its own. */
function makeDataDir(given: string | undefined): string {
  if (given === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-demo-'));
    chmodSync(folder, 0o711);
    return folder;
  }
  mkdirSync(given, { recursive: true });
  return given;
}

function conclude(figures: Figures): number {
  console.log(figures.summary);
  for (const reason of figures.differences) console.error(`demo: ${reason}`);
  return figures.differences.length === 0 ? 0 : 1;
}

function writeReport({ reportFile }: DemoOptions, report: Record<string, unknown>): void {
  if (reportFile !== undefined) writeFileSync(reportFile, `${JSON.stringify(report, null, 2)}\n`);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

process.exit(await main());
