import 'reflect-metadata';
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openDatabaseDoor } from './database-door.js';
import { FAULTS } from './faults.js';
import { DEFAULT_LEASE_SECONDS } from './fault-world.js';
import type { Operation } from './operation.js';
import { operations } from './operations.js';
import { openRepositoryDoor } from './repository-door.js';
import { type OperationSweep, Sweep } from './sweep.js';
import type { Point, Sample, Step } from './steps.js';
import { type MissedPoint, type Report, tableOf } from './table.js';
import type { Trial } from './try-point.js';

/**
 * `npm run test:fault`: every step at which an operation touches the world outside the service, and every fault at it. Exit code 0
 * when the promise held every time, 1 when it did not or the sweep was ended early, 2 for a wrong call.
 */
const DOORS = ['vcd', 'vcenter', 'vix', 'database', 'repository'] as const;
const USAGE = `usage: npm run test:fault [-- --json FILE] [--operation NAME] [--fault NAME] [--door NAME] [--step TEXT] [--every N [--part K]] [--worlds N] [--lease N]
  operations: ${operations.map(({ name }) => name).join(', ')}
  faults: ${FAULTS.map(({ name }) => name).join(', ')}
  doors: ${DOORS.join(', ')}
  --operation, --fault, --door and --step (part of a step's name) may be given several times; --every N takes one point in N, the same ones each time,
  and --part K the Kth such sample, so that N runs try every point once; --worlds N clouds at once (2);
  --lease N seconds until a silent worker has lost its run (${DEFAULT_LEASE_SECONDS}): longer where the machine is busy with other things`;
/** Most of the time of a kill is waiting for a lease to run out. */
const DEFAULT_WORLDS = 2;

interface Options {
  json: string | undefined;
  operations: Operation[];
  faults: string[];
  doorNames: string[];
  stepTexts: string[];
  sample: Sample;
  worlds: number;
  leaseSeconds: number;
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const isMeant: OperationSweep['isMeant'] = ({ step, door, fault }) =>
    options.doorNames.includes(door) && options.faults.includes(fault.name) && options.stepTexts.some((text) => step.includes(text));
  const sweep = new Sweep({
    ...{ ...options, isMeant, doors: [openDatabaseDoor, openRepositoryDoor], announce },
    say: (trial) => {
      say(trial);
      writeJson(sweep.report(), options.json);
    },
    sayMissed: (point) => {
      sayMissed(point);
      writeJson(sweep.report(), options.json);
    },
  });
  const early = new Promise<'early'>((resolve) => {
    // Ctrl-C may come more than once: from the terminal, and passed on by npm.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve('early'));
  });
  const end = await Promise.race([sweep.run(), early]);
  const report = sweep.report();
  writeJson(report, options.json);
  process.stdout.write(tableOf(report));
  if (end === 'early') await sweep.close();
  return end !== 'early' && report.failures === 0 && report.points > 0 ? 0 : 1;
}

/** Under another name first: whoever reads it while it grows finds all of one. */
function writeJson(report: Report, path: string | undefined): void {
  if (path === undefined) return;
  writeFileSync(`${path}.part`, `${JSON.stringify(report, null, 2)}\n`);
  renameSync(`${path}.part`, path);
}

function announce({ name }: Operation, steps: readonly Step[], points: readonly Point[]): void {
  const lines = steps.map((step) => `  ${step.name}: ${step.occurrences}`);
  process.stderr.write(`${name}: ${steps.length} steps, ${points.length} points to try\n${lines.join('\n')}\n`);
}

function say({ operation, fault, number, request, outcome, broken, ms }: Trial): void {
  const verdict = broken.length === 0 ? 'held' : `BROKEN: ${broken.join(' | ')}`;
  process.stderr.write(`${operation} ${fault} ${number} ${request}: ${outcome}, ${verdict} (${(ms / 1000).toFixed(1)} s)\n`);
}

function sayMissed({ operation, step, fault, number }: MissedPoint): void {
  process.stderr.write(`${operation} ${fault} ${number} ${step}: never came\n`);
}

function readOptions(args: string[]): Options {
  const text = { type: 'string' } as const;
  const texts = { type: 'string', multiple: true } as const;
  let values: {
    json?: string;
    operation?: string[];
    fault?: string[];
    door?: string[];
    step?: string[];
    every?: string;
    part?: string;
    worlds?: string;
    lease?: string;
  };
  try {
    const options = {
      json: text,
      operation: texts,
      fault: texts,
      door: texts,
      step: texts,
      every: text,
      part: text,
      worlds: text,
      lease: text,
    };
    ({ values } = parseArgs({ args, options, strict: true }));
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]}\n${USAGE}`);
  }
  const chosen = (asked: readonly string[] | undefined, all: readonly string[]): string[] => {
    const unknown = asked?.find((name) => !all.includes(name));
    if (unknown !== undefined) throw new UsageError(`"${unknown}" is none of ${all.join(', ')}\n${USAGE}`);
    return [...(asked ?? all)];
  };
  const count = (value: string | undefined, fallback: number): number => {
    const number = Number(value ?? fallback);
    if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`"${value}" is no count\n${USAGE}`);
    return number;
  };
  const names = chosen(
    values.operation,
    operations.map(({ name }) => name),
  );
  const every = count(values.every, 1);
  const part = count(values.part, 1);
  if (part > every) throw new UsageError(`There are ${every} samples of one point in ${every}, and no ${part}th\n${USAGE}`);
  return {
    json: values.json,
    operations: operations.filter(({ name }) => names.includes(name)),
    faults: chosen(
      values.fault,
      FAULTS.map(({ name }) => name),
    ),
    doorNames: chosen(values.door, DOORS),
    stepTexts: values.step ?? [''],
    sample: { every, part },
    worlds: count(values.worlds, DEFAULT_WORLDS),
    leaseSeconds: count(values.lease, DEFAULT_LEASE_SECONDS),
  };
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(error instanceof UsageError ? `${error.message}\n` : `test:fault: ${(error as Error).stack ?? String(error)}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
