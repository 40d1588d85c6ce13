import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { GateMoment } from '../simulator/request-gate.js';
import { killModes } from './kill-modes.js';
import { type KillRow, KillSweep } from './kill-sweep.js';

/**
 * `npm run test:fault [-- --json FILE] [--mode NAME] [--every N] [--worlds N]`: the worker is killed before and after each
 * request of each way of restoring. Exit code 0 when the promise held every time, 1 when it did not, 2 for a wrong call.
 */
const USAGE = `usage: npm run test:fault [-- --json FILE] [--mode ${killModes.map(({ name }) => name).join('|')}] [--every N] [--worlds N]`;
/** No restore of the small cloud has as many. */
const MAX_REQUESTS = 300;
/** Most of the time is waiting for a lease to run out. */
const DEFAULT_WORLDS = 3;

interface Options {
  json: string | undefined;
  modes: typeof killModes;
  every: number;
  worlds: number;
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const lanes = options.modes.flatMap((mode) => (['before', 'after'] as const).map((moment) => ({ mode, moment })));
  const rows: KillRow[] = [];
  const work = async () => {
    for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) await sweepLane(lane, options.every, rows);
  };
  await Promise.all(Array.from({ length: options.worlds }, work));
  const failures = rows.filter(({ faults }) => faults.length > 0).length;
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ points: rows.length, failures, rows }, null, 2)}\n`);
  process.stdout.write(`${rows.length - failures} passed, ${failures} failed\n`);
  return failures === 0 && rows.length > 0 ? 0 : 1;
}

async function sweepLane({ mode, moment }: { mode: (typeof killModes)[number]; moment: GateMoment }, every: number, rows: KillRow[]) {
  let sweep: KillSweep | undefined;
  try {
    for (let number = 1; number <= MAX_REQUESTS; number += every) {
      sweep ??= await KillSweep.start();
      const row = await sweep.kill(mode, { number, moment });
      if (row === undefined) return;
      rows.push(row);
      say(row);
      if (row.faults.length === 0) continue;
      // What one death left must not be taken for the next one's.
      await sweep.close();
      sweep = undefined;
    }
    throw new Error(`${mode.name} never ended within ${MAX_REQUESTS} requests`);
  } catch (error) {
    const fault = (error as Error).stack ?? String(error);
    const row: KillRow = { mode: mode.name, moment, number: 0, request: '', outcome: 'unknown', faults: [fault], ms: 0 };
    rows.push(row);
    say(row);
  } finally {
    await sweep?.close();
  }
}

function say({ mode, moment, number, request, outcome, faults, ms }: KillRow): void {
  const verdict = faults.length === 0 ? 'held' : `BROKEN: ${faults.join(' | ')}`;
  process.stderr.write(`${mode} ${moment} ${number} ${request}: ${outcome}, ${verdict} (${(ms / 1000).toFixed(1)} s)\n`);
}

function readOptions(args: string[]): Options {
  const text = { type: 'string' } as const;
  let values: { json?: string; mode?: string; every?: string; worlds?: string };
  try {
    ({ values } = parseArgs({ args, options: { json: text, mode: text, every: text, worlds: text }, strict: true }));
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]}\n${USAGE}`);
  }
  const modes = killModes.filter(({ name }) => values.mode === undefined || values.mode === name);
  const every = Number(values.every ?? 1);
  const worlds = Number(values.worlds ?? DEFAULT_WORLDS);
  const isCount = (value: number) => Number.isSafeInteger(value) && value > 0;
  if (modes.length === 0 || !isCount(every) || !isCount(worlds)) throw new UsageError(USAGE);
  return { json: values.json, modes, every, worlds };
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(error instanceof UsageError ? `${error.message}\n` : `test:fault: ${(error as Error).stack ?? String(error)}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
