import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Where all figures go, as JSON. */
  reportFile: string | undefined;
  /** Where everything is written; a temporary folder, removed at the end, when not given. */
  dataDir: string | undefined;
  keep: boolean;
  recordDir: string | undefined;
}

/** The command line is not understood, or names something that cannot be used. The message is one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `usage: npm run demo -- [--report FILE] [--data DIR] [--keep] [--record DIR]

  --report FILE  write all figures as JSON
  --data DIR     write everything below DIR, which must be new or empty, and leave it there
                 (default: a temporary folder, removed at the end)
  --keep         leave the data and say how to start the parts again
  --record DIR   keep every HTTP and SOAP request and response body, one file each, without secrets`;

/** @throws UsageError */
export function parseOptions(argv: readonly string[]): DemoOptions | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  let values: { report?: string; data?: string; record?: string; keep?: boolean; help?: boolean };
  try {
    values = parseArgs({
      args: [...argv],
      options: { report: text, data: text, record: text, keep: flag, help: { ...flag, short: 'h' } },
    }).values;
  } catch (error) {
    throw new UsageError(((error as Error).message.split('. ')[0] as string).split('\n')[0]);
  }
  if (values.help) return 'help';
  const path = (name: 'report' | 'data' | 'record') => {
    const value = values[name];
    if (value === '') throw new UsageError(`--${name} is empty; it needs the name of a ${name === 'report' ? 'file' : 'folder'}.`);
    return value === undefined ? undefined : resolve(value);
  };
  const options = { reportFile: path('report'), dataDir: path('data'), keep: values.keep === true, recordDir: path('record') };
  if (options.dataDir !== undefined) assertUnused(options.dataDir);
  return options;
}

/** The demo begins with a new cloud and an empty catalog; what lies in the folder is somebody's. */
function assertUnused(dataDir: string): void {
  if (!existsSync(dataDir)) return;
  let names: string[];
  try {
    names = readdirSync(dataDir);
  } catch (error) {
    throw new UsageError(`--data ${dataDir} cannot be used: ${(error as Error).message}`);
  }
  if (names.length === 0) return;
  const what = names.includes('cloud') && names.includes('service') ? 'holds the data of an earlier demo' : 'is not empty';
  throw new UsageError(`--data ${dataDir} ${what}; name a folder that is new or empty.`);
}
