/**
 * `npm run fuzz [-- TARGET] [--seconds N] [--seed S]`: mutated input for every parser, each for N seconds. The same seed makes the same
 * inputs. What is found lies in a file, with the command that tries it again. The native parsers' fuzzers (native/fuzz) are targets
 * like the others.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz, FuzzFinding, type FuzzTarget } from './fuzz.js';
import { repositoryTargets } from './targets.js';

const NATIVE = join(import.meta.dirname, '../../../../native');
/** Name, and the folder of its inputs in native/fuzz/corpus. */
const NATIVE_TARGETS: Readonly<Record<string, string>> = { 'native-protocol': 'protocol', 'native-disk': 'descriptor' };

interface Options {
  seconds: number;
  seed: string;
  /** A file with one input, to be tried again. */
  input: string | undefined;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' }, input: { type: 'string' } },
  });
  const options: Options = { seconds: Number(values.seconds), seed: values.seed, input: values.input };
  const targets = await repositoryTargets();
  const names = [...targets.map(({ name }) => name), ...Object.keys(NATIVE_TARGETS)];
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined || !(options.seconds > 0) || (options.input !== undefined && positionals.length !== 1)) {
    process.stderr.write(`usage: npm run fuzz [-- TARGET…] [--seconds N] [--seed S] [--input FILE]\ntargets: ${names.join(', ')}\n`);
    return 2;
  }
  const wanted = positionals.length > 0 ? positionals : names;
  let findings = 0;
  for (const name of wanted) {
    const target = targets.find((candidate) => candidate.name === name);
    findings += target ? await runTarget(target, options) : runNative(name, options);
  }
  process.stdout.write(findings === 0 ? 'Nothing was found.\n' : `${findings} targets have findings.\n`);
  return findings === 0 ? 0 : 1;
}

async function runTarget(target: FuzzTarget, { seconds, seed, input }: Options): Promise<number> {
  try {
    const again = input === undefined ? target : { ...target, corpus: async () => [readFileSync(input)] };
    const { inputs, accepted } = await fuzz(again, { seconds: input === undefined ? seconds : 0.001, seed });
    process.stdout.write(`${target.name.padEnd(18)} ${inputs} inputs, ${accepted} of them taken\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof FuzzFinding)) throw error;
    const folder = join(tmpdir(), 'vapp-vault-fuzz');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${target.name}-${seed}`);
    writeFileSync(file, error.input);
    process.stdout.write(`${error.message}\n  again: npm run fuzz -- ${target.name} --input ${file}\n`);
    return 1;
  }
}

function runNative(name: string, { seconds, seed }: Options): number {
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-fuzz-'));
  try {
    execFileSync('make', ['-C', NATIVE, 'fuzz'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const env = { PATH: process.env.PATH, VDDK_LIBRARY_DIR: join(NATIVE, 'build/vddk-standin'), FUZZ_QUIET: '1' };
    const parameters = [String(seconds), seed, join(NATIVE, 'fuzz/corpus', NATIVE_TARGETS[name] as string), folder];
    execFileSync(join(NATIVE, 'build/fuzz', name.replace('native', 'fuzz')), parameters, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    return 0;
  } catch (error) {
    process.stdout.write(`${name}: ${(error as Error).message}\n`);
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
