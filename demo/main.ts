/**
 * The main job on real bytes: back up a vApp, lose it, bring it back, and compare with what a
 * witness outside the service kept. Both parts run in processes of their own and speak the real
 * protocols.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoOptions, parseOptions, USAGE } from './options.js';
import { DemoFailure, runScenario } from './scenario.js';
import { startParts, type Parts } from './parts.js';
import { MemoryWatch } from './memory.js';

async function main(): Promise<number> {
  let options: DemoOptions | 'help';
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`demo: ${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  return await demonstrate(options);
}

async function demonstrate(options: DemoOptions): Promise<number> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'vapp-vault-demo-'));
  mkdirSync(dataDir, { recursive: true });
  const memory = new MemoryWatch();
  const startedMs = performance.now();
  let parts: Parts | undefined;
  const interrupted = new Promise<never>((_, fail) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => fail(new DemoFailure(`interrupted by ${signal}`)));
  });
  try {
    const work = async () => {
      parts = await startParts(dataDir, options.recordDir);
      return await runScenario(parts);
    };
    const figures = await Promise.race([work(), interrupted]);
    memory.stop();
    const seconds = (performance.now() - startedMs) / 1000;
    const report = { ...figures, seconds, peakMemoryBytes: memory.peakBytes };
    if (options.reportFile !== undefined) writeFileSync(options.reportFile, `${JSON.stringify(report, null, 2)}\n`);
    console.log(`\n${seconds.toFixed(0)} s, at most ${(memory.peakBytes / 2 ** 20).toFixed(0)} MiB of memory in all processes together`);
    if (options.keep && parts) console.log(parts.howToStartAgain());
    console.log(figures.summary);
    return figures.bytesDiffer === 0 && figures.attributesDiffer === 0 ? 0 : 1;
  } catch (error) {
    memory.stop();
    console.error(`demo: ${error instanceof DemoFailure ? error.message : ((error as Error).stack ?? String(error))}`);
    if (options.reportFile !== undefined) {
      writeFileSync(
        options.reportFile,
        `${JSON.stringify({ failure: (error as Error).message, peakMemoryBytes: memory.peakBytes }, null, 2)}\n`,
      );
    }
    return 1;
  } finally {
    await parts?.stop();
    if (options.dataDir === undefined && !options.keep) rmSync(dataDir, { recursive: true, force: true });
  }
}

process.exit(await main());
