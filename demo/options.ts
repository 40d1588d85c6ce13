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

export const USAGE = `usage: npm run demo -- [--report FILE] [--data DIR] [--keep] [--record DIR]

  --report FILE  write all figures as JSON
  --data DIR     write everything below DIR (default: a temporary folder, removed at the end)
  --keep         leave the data and say how to start the parts again
  --record DIR   keep every HTTP and SOAP request and response body, one file each, without secrets`;

/** @throws Error with one sentence when the command line is not understood. */
export function parseOptions(argv: readonly string[]): DemoOptions | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      report: { type: 'string' },
      data: { type: 'string' },
      keep: { type: 'boolean', default: false },
      record: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const path = (value: string | undefined) => (value === undefined ? undefined : resolve(value));
  return { reportFile: path(values.report), dataDir: path(values.data), keep: values.keep === true, recordDir: path(values.record) };
}
