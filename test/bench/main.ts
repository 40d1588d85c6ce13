import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Bench, table } from './bench.js';

/** `npm run bench -- NAME [--small] [--json FILE]`: exit code 0 when every target holds, 1 when one does not, 2 for a wrong call. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  inventory: async () => (await import('./inventory.js')).inventory,
};

const USAGE = `usage: npm run bench -- ${Object.keys(benches).join('|')} [--small] [--json FILE]`;

class UsageError extends Error {}

async function main(): Promise<number> {
  const { bench, small, json } = readOptions(process.argv.slice(2));
  const measure = await bench();
  const rows = await measure({ small, say: (line) => process.stderr.write(`${line}\n`) });
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  process.stdout.write(`${table(rows)}\n`);
  return rows.every(({ holds }) => holds) ? 0 : 1;
}

function readOptions(args: string[]): { bench: () => Promise<Bench>; small: boolean; json: string | undefined } {
  try {
    const options = { small: { type: 'boolean', default: false }, json: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args, options, strict: true, allowPositionals: true });
    const [name, ...more] = positionals;
    const bench = name !== undefined && Object.hasOwn(benches, name) ? benches[name] : undefined;
    if (bench === undefined || more.length > 0) throw new UsageError(USAGE);
    return { bench, small: values.small, json: values.json };
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
