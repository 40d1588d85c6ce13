/** What the tools for a repository folder (extract.ts, keys.ts) have in common. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from './common/index.js';
import { FolderStore } from './repository/index.js';

/** Wrongly called: whoever did is shown how. */
export class UsageError extends Error {}

/** What is said of a failure. */
export function explain(error: unknown, tool: string, usage: string): string {
  const misused = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  return `${tool}: ${describeError(error)}${misused ? `\n${usage}` : ''}`;
}

/** Opening a folder would make it: a typing error must not. */
export async function openExisting(folder: string): Promise<FolderStore> {
  await access(join(folder, 'repository.json')).catch(() => {
    throw new Error(`There is no repository in ${folder} (no repository.json)`);
  });
  return FolderStore.open(folder);
}
