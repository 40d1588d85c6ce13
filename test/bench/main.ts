import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Bench, type BenchOptions, table } from './bench.js';
import { REPOSITORY_OPTIONS } from './repository-options.js';

interface BenchEntry {
  load: () => Promise<Bench>;
  /** Options of its own beside those that all have. */
  options: Readonly<Record<string, { type: 'string' | 'boolean' }>>;
}

/** `npm run bench -- NAME [--small] [--json FILE]`: exit code 0 when every target holds, 1 when one does not, 2 for a wrong call. */
const benches: Readonly<Record<string, BenchEntry>> = {
  gc: { load: async () => (await import('./gc.js')).gc, options: {} },
  inventory: { load: async () => (await import('./inventory.js')).inventory, options: {} },
  queue: { load: async () => (await import('./queue.js')).queue, options: {} },
  repository: { load: async () => (await import('./repository.js')).repository, options: REPOSITORY_OPTIONS },
};

const USAGE = `usage: npm run bench -- NAME [--small] [--json FILE]\n${Object.entries(benches).map(usageOf).join('\n')}`;

function usageOf([name, { options }]: [string, BenchEntry]): string {
  const own = Object.entries(options).map(([option, { type }]) => ` [--${option}${type === 'string' ? ' N' : ''}]`);
  return `  ${name}${own.join('')}`;
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const { bench, json, ...options } = readOptions(process.argv.slice(2));
  const measure = await bench.load();
  const rows = await measure({ ...options, say: (line) => process.stderr.write(`${line}\n`) });
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  process.stdout.write(`${table(rows)}\n`);
  return rows.every(({ holds }) => holds) ? 0 : 1;
}

function readOptions(args: string[]): { bench: BenchEntry; json: string | undefined } & Pick<BenchOptions, 'small' | 'own'> {
  try {
    const name = args[0] ?? '';
    const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
    if (bench === undefined) throw new UsageError(USAGE);
    const options = { small: { type: 'boolean', default: false }, json: { type: 'string' }, ...bench.options } as const;
    const { values } = parseArgs({ args: args.slice(1), options, strict: true });
    const { small, json, ...own } = values;
    return { bench, small: small === true, json: json as string | undefined, own: own as BenchOptions['own'] };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${(error as Error).message.split('\n')[0]}\n${USAGE}`);
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(error instanceof UsageError ? `${error.message}\n` : `bench: ${(error as Error).stack ?? String(error)}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
