import { type FaultName, FAULTS } from './faults.js';
import type { Trial } from './try-point.js';

/** How many points were tried, at how many of these the promise did not hold, and how many more were meant and never came. */
interface Counts {
  points: number;
  failures: number;
  missed: number;
}

/** A step of an operation, with what is to be counted for each fault. */
export interface TableRow {
  operation: string;
  step: string;
  /** Only the faults that were tried, or meant. */
  faults: Partial<Record<FaultName, Counts>>;
  /** Each one that did not hold. */
  broken: Trial[];
}

export interface Report extends Counts {
  rows: TableRow[];
  /** Where it was ended early, or found no world: how many of the points that it listed, and operations of which it listed none. */
  untried: number;
  notListed: string[];
}

/** A point that was meant, and to which the run did not come this time: what the undisturbed one did once more, or waited for. */
export type MissedPoint = Pick<Trial, 'operation' | 'step' | 'fault' | 'number'>;

const NONE: Counts = { points: 0, failures: 0, missed: 0 };

/** In the order of the operations and, within one, of their steps; trials come in any order. */
export function reportOf(
  trials: readonly Trial[],
  missed: readonly MissedPoint[],
  order: (row: Pick<Trial, 'operation' | 'step'>) => number,
): Report {
  const rows = new Map<string, TableRow>();
  const count = ({ operation, step, fault }: MissedPoint, counts: Counts): TableRow => {
    const row = rows.get(`${operation} ${step}`) ?? { operation, step, faults: {}, broken: [] };
    rows.set(`${operation} ${step}`, row);
    row.faults[fault] = sumOf(row.faults[fault] ?? NONE, counts);
    return row;
  };
  for (const trial of trials) {
    const isBroken = trial.broken.length > 0;
    const row = count(trial, { points: 1, failures: isBroken ? 1 : 0, missed: 0 });
    if (isBroken) row.broken.push(trial);
  }
  for (const point of missed) count(point, { ...NONE, missed: 1 });
  const failures = trials.filter(({ broken }) => broken.length > 0).length;
  const inOrder = [...rows.values()].sort((a, b) => order(a) - order(b));
  return { points: trials.length, failures, missed: missed.length, rows: inOrder, untried: 0, notListed: [] };
}

function sumOf(one: Counts, other: Counts): Counts {
  return { points: one.points + other.points, failures: one.failures + other.failures, missed: one.missed + other.missed };
}

/** Plain text: a line for each step, a column for each fault; `4` points held, of `4!1` one did not, beside `4?1` one more never came. */
export function tableOf({ points, failures, missed, rows, untried, notListed }: Report): string {
  const cellOf = ({ faults }: Pick<TableRow, 'faults'>, name: FaultName): string => {
    const cell = faults[name];
    if (cell === undefined) return '-';
    return `${cell.points}${cell.failures === 0 ? '' : `!${cell.failures}`}${cell.missed === 0 ? '' : `?${cell.missed}`}`;
  };
  const sums: TableRow['faults'] = {};
  for (const { faults } of rows) {
    for (const [name, cell] of Object.entries(faults) as [FaultName, Counts][]) sums[name] = sumOf(sums[name] ?? NONE, cell);
  }
  const names = FAULTS.map(({ name }) => name);
  const lines = [
    ['operation', 'step', ...names],
    ...rows.map((row) => [row.operation, row.step, ...names.map((name) => cellOf(row, name))]),
    ['all', '', ...names.map((name) => cellOf({ faults: sums }, name))],
  ];
  const widths = (lines[0] as string[]).map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number)))
      .join('  ')
      .trimEnd(),
  );
  const left = untried === 0 ? '' : `${untried} more were not tried\n`;
  const notBegun = notListed.length === 0 ? '' : `nothing was tried of ${notListed.join(', ')}\n`;
  return `${text.join('\n')}\n${points} points, ${failures} failures; ${missed} more never came\n${left}${notBegun}`;
}
