import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, KIB, MIB } from '../../src/common/index.js';
import { makeDataDir } from '../harness/database.js';
import { atMost, type BenchOptions, type BenchRow, notMeasured } from './bench.js';
import { filesIn } from './repository/files.js';
import { indexCost, type IndexOnDisk } from './repository/index-cost.js';
import { type ImageSet, makeImages } from './repository/images.js';
import { Borg, type Cost, type Program, Restic, VappVault, versionOf, warm } from './repository/programs.js';

/**
 * The table of issue 5: ratios to restic, a program that is started for each backup, of ours in a service that runs (decision 0014); and
 * ours alone where there is no ratio.
 */
const FLOORS = {
  fullWall: { name: 'full backup, wall', target: 0.36 },
  fullCpu: { name: 'full backup, CPU', target: 0.4 },
  incrementalWall: { name: 'incremental with CBT, wall', target: 0.08 },
  incrementalBytes: { name: 'incremental, bytes added', target: 0.45 },
  fullAgainWall: { name: 'full again without CBT, wall', target: 0.35 },
  restoreWall: { name: 'restore of the whole disk, verified, wall', target: 0.5 },
  verifyWall: { name: 'read-verify of the whole repository, wall', target: 0.45 },
  repositoryBytes: { name: 'repository after the full', target: 1.16 },
} as const;
const PEAK_MEMORY_MIB = 300;
const TO_THE_LIMIT = 1.25;

/** Everything one program did in one round. */
interface Round {
  full: Cost;
  incremental: Cost;
  restore: Cost;
  verify: Cost;
  firstBytes: number;
  addedBytes: number;
}

interface OurRound extends Round {
  fullAgain: Cost;
}

export async function repository({ small, own, say }: BenchOptions): Promise<BenchRow[]> {
  const rounds = count(own.rounds, small ? 1 : 5, 'rounds');
  const sizeBytes = count(own.mib, small ? 96 : (4 * GIB) / MIB, 'mib') * MIB;
  const cores = count(own.cores, Math.min(2, availableParallelism()), 'cores');
  const chunkKib = own['chunk-kib'] === undefined ? undefined : count(own['chunk-kib'], 0, 'chunk-kib');
  const folder = await makeDataDir();
  try {
    say(`Making two generations of an ext4 image of ${sizeBytes / MIB} MiB …`);
    const images = await makeImages(folder, sizeBytes, own.doubled === true);
    say(`${percent(images.zeroShare)} of it is zero at 1 MiB; ${percent(images.changedBytes / sizeBytes)} changes, in blocks of 64 KiB.`);
    if (own['chunk-sizes'] === true) return chunkSizes(images, folder, { cores, rounds, say });
    const ours = new VappVault({ images, folder: join(folder, 'ours') }, { cores, ...(chunkKib && { chunkBytes: chunkKib * KIB }) });
    const peers = findPeers(images, folder, String(own.peers ?? 'restic,borg').split(','), say);
    const measured = measureInTurn(ours, peers, images, rounds, say);
    return [...rowsOf(measured, ours, peers, { cores, say }), ...indexCost(measured.index, small ? 1 / 64 : 1, say)];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Peers {
  restic: Restic | undefined;
  borg: Borg | undefined;
}

function findPeers(images: ImageSet, folder: string, wanted: readonly string[], say: BenchOptions['say']): Peers {
  const place = (name: string) => ({ images, folder: join(folder, name) });
  const find = <P>(name: 'restic' | 'borg', make: (version: string) => P): P | undefined => {
    const version = wanted.includes(name) ? versionOf(name) : undefined;
    say(version === undefined ? `Nothing is compared with ${name}: it is not installed, or not wanted.` : `Compared with ${version}.`);
    return version === undefined ? undefined : make(version);
  };
  return {
    restic: find('restic', (version) => new Restic(place('restic'), version)),
    borg: find('borg', (version) => new Borg(place('borg'), version)),
  };
}

interface Measured {
  ours: OurRound[];
  restic: Round[];
  borg: Round[];
  /** What the stages of our full backup take on one thread. */
  limitSeconds: number[];
  /** Of our repository after a full backup. */
  index: IndexOnDisk;
}

/** A step of ours and the same step of the others directly after it: whatever slows the machine down meets both. */
function measureInTurn(ours: VappVault, peers: Peers, images: ImageSet, rounds: number, say: BenchOptions['say']): Measured {
  const measured: Measured = { ours: [], restic: [], borg: [], limitSeconds: [], index: { chunks: 0, chunkBytes: 0, indexBytes: 0 } };
  for (let round = 1; round <= rounds; round += 1) {
    say(`Round ${round} of ${rounds} …`);
    const others = [peers.restic, peers.borg];
    const programs: (Program | undefined)[] = [ours, ...others];
    const [fullOurs, ...full] = programs.map((program) => program && rested([images.first], () => program.full()));
    const firstBytes = programs.map((program) => program?.repositoryBytes() ?? 0);
    measured.index = ours.index();
    const fullAgain = rested([ours, images.second], () => ours.fullAgain());
    const incremental = programs.map((program) => program && rested([program, images.second], () => program.incremental()));
    const addedBytes = programs.map((program, i) => (program?.repositoryBytes() ?? 0) - (firstBytes[i] as number));
    const restore = programs.map((program) => program && rested([program], () => program.restore()));
    for (const program of programs) if (program !== undefined) checkRestored(program, images);
    const verify = programs.map((program) => program && rested([program], () => program.verify()));
    const steps = [[fullOurs, ...full], incremental, restore, verify];
    programs.forEach((program, i) => {
      if (program === undefined) return;
      const [fullCost, incrementalCost, restoreCost, verifyCost] = steps.map((step) => step[i] as Cost) as [Cost, Cost, Cost, Cost];
      const result: Round = {
        full: fullCost,
        incremental: incrementalCost,
        restore: restoreCost,
        verify: verifyCost,
        firstBytes: firstBytes[i] as number,
        addedBytes: addedBytes[i] as number,
      };
      if (program === ours) measured.ours.push({ ...result, fullAgain });
      else (program === peers.restic ? measured.restic : measured.borg).push(result);
    });
    measured.limitSeconds.push(ours.stages());
  }
  return measured;
}

/**
 * Nobody pays for who came before: restic and borg leave gigabytes of a restored disk for the kernel to write.
 * @param reads whose repository, or which image, the step reads: the page cache is warm whatever others have read meanwhile.
 */
function rested(reads: readonly (Program | string)[], step: () => Cost): Cost {
  execFileSync('sync');
  for (const read of reads) {
    if (typeof read === 'string') warm(read);
    else read.warm();
  }
  return step();
}

/** A fast restore of wrong bytes would be worth nothing. */
function checkRestored(program: Program, images: ImageSet): void {
  execFileSync('cmp', [program.restoredFile, images.second]);
  for (const file of filesIn(program.restoredFile)) execFileSync('rm', [file]);
}

function rowsOf(
  { ours, restic, borg, limitSeconds }: Measured,
  program: VappVault,
  peers: Peers,
  { cores, say }: { cores: number; say: BenchOptions['say'] },
): BenchRow[] {
  say(
    costTable([
      [program.name, ours],
      [peers.restic?.name, restic],
      [peers.borg?.name, borg],
    ]),
  );
  const row = ({ name, target }: { name: string; target: number }, value: (ours: OurRound, restic: Round) => number) => {
    const pairs = ours.flatMap((round, i) => (restic[i] === undefined ? [] : [value(round, restic[i])]));
    return pairs.length === 0 ? notMeasured(name, 'x restic', target) : atMost(name, median(pairs), 'x restic', target);
  };
  const peak = Math.max(
    ...ours
      .flatMap((round) => [round.full, round.incremental, round.fullAgain, round.restore, round.verify])
      .map(({ peakBytes }) => peakBytes),
  );
  if (restic.length > 0) {
    const startSeconds = median(ours.map(({ incremental }) => incremental.startSeconds));
    const withStart = median(
      ours.map(({ incremental }, i) => (incremental.startSeconds + incremental.wallSeconds) / (restic[i] as Round).incremental.wallSeconds),
    );
    say(
      `Ours is measured in a service that runs. Loading the code, the repository and its index, which it does once, takes ${startSeconds.toFixed(2)} s; counted in, an incremental takes ${withStart.toFixed(3)} of restic's time.`,
    );
  }
  const toTheLimit = median(ours.map((round, i) => round.full.wallSeconds / ((limitSeconds[i] as number) / cores)));
  return [
    row(FLOORS.fullWall, (a, b) => a.full.wallSeconds / b.full.wallSeconds),
    row(FLOORS.fullCpu, (a, b) => a.full.cpuSeconds / b.full.cpuSeconds),
    row(FLOORS.incrementalWall, (a, b) => a.incremental.wallSeconds / b.incremental.wallSeconds),
    row(FLOORS.incrementalBytes, (a, b) => a.addedBytes / b.addedBytes),
    row(FLOORS.fullAgainWall, (a, b) => a.fullAgain.wallSeconds / b.incremental.wallSeconds),
    row(FLOORS.restoreWall, (a, b) => a.restore.wallSeconds / b.restore.wallSeconds),
    row(FLOORS.verifyWall, (a, b) => a.verify.wallSeconds / b.verify.wallSeconds),
    row(FLOORS.repositoryBytes, (a, b) => a.firstBytes / b.firstBytes),
    atMost('peak memory of all our processes', peak / MIB, 'MiB', PEAK_MEMORY_MIB),
    atMost('full backup to the limit of the machine', toTheLimit, 'x limit', TO_THE_LIMIT),
  ];
}

/** Ours alone, for the choice of the grid. */
function chunkSizes(
  images: ImageSet,
  folder: string,
  { cores, rounds, say }: { cores: number; rounds: number; say: BenchOptions['say'] },
): BenchRow[] {
  const table = [
    ['chunk', 'full s', 'CPU s', 'incr. s', 'again s', 'restore s', 'verify s', 'repository MiB', 'added MiB', 'index MiB/TiB'],
  ];
  for (let chunkBytes = 64 * KIB; chunkBytes <= 4 * MIB; chunkBytes *= 2) {
    const ours = new VappVault({ images, folder: join(folder, 'ours') }, { cores, chunkBytes });
    const { ours: results } = measureInTurn(ours, { restic: undefined, borg: undefined }, images, rounds, () => undefined);
    const of = (value: (round: OurRound) => number) => median(results.map(value));
    const seconds = [
      of((round) => round.full.wallSeconds),
      of((round) => round.full.cpuSeconds),
      of((round) => round.incremental.wallSeconds),
      of((round) => round.fullAgain.wallSeconds),
      of((round) => round.restore.wallSeconds),
      of((round) => round.verify.wallSeconds),
    ].map((value) => value.toFixed(2));
    const mebibytes = [of((round) => round.firstBytes), of((round) => round.addedBytes)].map((bytes) => (bytes / MIB).toFixed(0));
    // 48 bytes an entry in a table that is half to wholly used (chunk-table.cc).
    const indexMib = ((1024 * GIB) / chunkBytes) * 96;
    table.push([`${chunkBytes / KIB} KiB`, ...seconds, ...mebibytes, (indexMib / MIB).toFixed(0)]);
    say((table.at(-1) ?? []).join('  '));
  }
  say(`\n${aligned(table)}`);
  return [];
}

function costTable(programs: readonly (readonly [string | undefined, readonly (Round | OurRound)[]])[]): string {
  const steps = ['full', 'incremental', 'fullAgain', 'restore', 'verify'] as const;
  const table = [['medians: wall s / CPU s / peak MiB', ...steps, 'repository MiB', 'added MiB']];
  for (const [name, rounds] of programs) {
    if (name === undefined || rounds.length === 0) continue;
    const cells = steps.map((step) => {
      const costs = rounds.flatMap((round) => (step in round ? [(round as OurRound)[step]] : []));
      if (costs.length === 0) return '-';
      const [wall, cpu] = [median(costs.map(({ wallSeconds }) => wallSeconds)), median(costs.map(({ cpuSeconds }) => cpuSeconds))];
      return `${wall.toFixed(2)} / ${cpu.toFixed(2)} / ${(Math.max(...costs.map(({ peakBytes }) => peakBytes)) / MIB).toFixed(0)}`;
    });
    const bytes = [median(rounds.map(({ firstBytes }) => firstBytes)), median(rounds.map(({ addedBytes }) => addedBytes))];
    table.push([name, ...cells, ...bytes.map((value) => (value / MIB).toFixed(1))]);
  }
  return aligned(table);
}

function aligned(table: readonly string[][]): string {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ')).join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new RangeError('There is no median of nothing');
  return (low + high) / 2;
}

function count(given: string | boolean | undefined, otherwise: number, option: string): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${option} takes a whole number from 1, not "${given}"`);
  return value;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
