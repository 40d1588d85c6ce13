/** One figure of a bench. */
export interface BenchRow {
  name: string;
  /** Null: not measured, as where a program to compare with is not installed; then it does not hold either. */
  value: number | null;
  unit: string;
  /** What `value` must not exceed, or must be exactly where `name` counts objects, or at least for a throughput. */
  target: number;
  holds: boolean;
}

export interface BenchOptions {
  /** A cloud of a hundredth: shows that the bench still works, not how fast the service is. */
  small: boolean;
  /** What a bench offers of its own, as given: `--rounds 3`. */
  own: Readonly<Record<string, string | boolean | undefined>>;
  /** Told as the bench goes on. */
  say: (line: string) => void;
}

export type Bench = (options: BenchOptions) => Promise<BenchRow[]>;

export function atMost(name: string, value: number, unit: string, target: number): BenchRow {
  return { name, value: rounded(value), unit, target, holds: value <= target };
}

/** Of what should be large: `target` is the least that `value` may be. */
export function atLeast(name: string, value: number, unit: string, target: number): BenchRow {
  return { name, value: rounded(value), unit, target, holds: value >= target };
}

export function notMeasured(name: string, unit: string, target: number): BenchRow {
  return { name, value: null, unit, target, holds: false };
}

export function exactly(name: string, value: number, unit: string, target: number): BenchRow {
  return { name, value, unit, target, holds: value === target };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** The rows as a table for people. */
export function table(rows: readonly BenchRow[]): string {
  const cells = rows.map(({ name, value, unit, target, holds }) => [
    name,
    String(value ?? 'not measured'),
    unit,
    String(target),
    holds ? 'yes' : 'NO',
  ]);
  const all = [['', 'value', 'unit', 'target', 'holds'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const isNumber = (column: number) => column === 1 || column === 3;
  return all
    .map((row) => row.map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))))
    .map((row) => row.join('  ').trimEnd())
    .join('\n');
}
