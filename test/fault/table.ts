import { type FaultName, FAULTS } from './faults.js';
import type { Trial } from './try-point.js';

/** A step of an operation, and for each fault how many points were tried and at how many the promise did not hold. */
export interface TableRow {
  operation: string;
  step: string;
  /** Only the faults that were tried. */
  faults: Partial<Record<FaultName, { points: number; failures: number }>>;
  /** Each one that did not hold. */
  broken: Trial[];
}

export interface Report {
  points: number;
  failures: number;
  rows: TableRow[];
}

/** In the order of the operations and, within one, of their steps; trials come in any order. */
export function reportOf(trials: readonly Trial[], order: (row: Pick<Trial, 'operation' | 'step'>) => number): Report {
  const rows = new Map<string, TableRow>();
  for (const trial of trials) {
    const { operation, step, fault } = trial;
    const row = rows.get(`${operation} ${step}`) ?? { operation, step, faults: {}, broken: [] };
    rows.set(`${operation} ${step}`, row);
    const { points = 0, failures = 0 } = row.faults[fault] ?? {};
    const isBroken = trial.broken.length > 0;
    row.faults[fault] = { points: points + 1, failures: failures + (isBroken ? 1 : 0) };
    if (isBroken) row.broken.push(trial);
  }
  const failures = trials.filter(({ broken }) => broken.length > 0).length;
  return { points: trials.length, failures, rows: [...rows.values()].sort((a, b) => order(a) - order(b)) };
}

/** Plain text: a line for each step, a column for each fault; `4` points held, of `4!1` one did not. */
export function tableOf({ points, failures, rows }: Report): string {
  const cellOf = ({ faults }: Pick<TableRow, 'faults'>, name: FaultName): string => {
    const cell = faults[name];
    if (cell === undefined) return '-';
    return cell.failures === 0 ? String(cell.points) : `${cell.points}!${cell.failures}`;
  };
  const sums: TableRow['faults'] = {};
  for (const { faults } of rows) {
    for (const [name, cell] of Object.entries(faults) as [FaultName, { points: number; failures: number }][]) {
      const sum = sums[name] ?? { points: 0, failures: 0 };
      sums[name] = { points: sum.points + cell.points, failures: sum.failures + cell.failures };
    }
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
  return `${text.join('\n')}\n${points} points, ${failures} failures\n`;
}
