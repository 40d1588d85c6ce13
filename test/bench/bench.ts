/** One figure of a bench. */
export interface BenchRow {
  name: string;
  value: number;
  unit: string;
  /** What `value` must not exceed, or must be exactly where `name` counts objects. */
  target: number;
  holds: boolean;
}

export interface BenchOptions {
  /** A cloud of a hundredth: shows that the bench still works, not how fast the service is. */
  small: boolean;
  /** Told as the bench goes on. */
  say: (line: string) => void;
}

export type Bench = (options: BenchOptions) => Promise<BenchRow[]>;

export function atMost(name: string, value: number, unit: string, target: number): BenchRow {
  return { name, value: rounded(value), unit, target, holds: value <= target };
}

export function exactly(name: string, value: number, unit: string, target: number): BenchRow {
  return { name, value, unit, target, holds: value === target };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** The rows as a table for people. */
export function table(rows: readonly BenchRow[]): string {
  const cells = rows.map(({ name, value, unit, target, holds }) => [name, String(value), unit, String(target), holds ? 'yes' : 'NO']);
  const all = [['', 'value', 'unit', 'target', 'holds'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const isNumber = (column: number) => column === 1 || column === 3;
  return all
    .map((row) => row.map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))))
    .map((row) => row.join('  ').trimEnd())
    .join('\n');
}
