/**
 * What stands in a new simulated cloud: the seed file's form, the default seed, and the way from a
 * seed to organizations, VDCs, vApps, VMs and file systems.
 *
 * It runs once per data folder; afterwards the kept state counts. It promises that a seed holds
 * nothing VCD itself would refuse.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Seed, seedSchema } from './schema.js';

export type { Seed } from './schema.js';
export * from './seeder.js';

export const DEFAULT_SEED = fileURLToPath(new URL('./demo.json', import.meta.url));

/** @throws RangeError with one sentence naming the file and every fault. */
export async function readSeed(file: string): Promise<Seed> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new RangeError(`The seed ${file} cannot be read: ${(error as Error).message}`);
  }
  return parseSeed(json, file);
}

export function parseSeed(json: unknown, source: string): Seed {
  const result = seedSchema.safeParse(json);
  if (!result.success) throw new RangeError(`The seed ${source} is not valid: ${z.prettifyError(result.error).replace(/\s+/g, ' ')}`);
  return result.data;
}
