import { inParallel } from '../common/index.js';
import {
  carryingKey,
  carryingMetadata,
  type MetadataCandidate,
  type MetadataSource,
  PARALLEL_READS,
  readEntries,
  sameEntry,
} from './match-metadata.js';

/** Of those that chose what is not offered, so many are asked what it is that they chose; it is for a warning only. */
const MAX_READ = 200;

/**
 * What the objects' tenants chose by metadata: one listing for each offered policy, and a reading of each object whose entry
 * names none of them.
 * @param names of the policies that are offered.
 * @returns by vCloud id; who chose nothing is not in it.
 * @throws VcdError.
 */
export async function readChoices(
  vcd: MetadataSource,
  key: string,
  names: readonly string[],
  candidates: readonly MetadataCandidate[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const entry = (value: string) => ({ key, type: 'MetadataStringValue', value, domain: 'GENERAL' }) as const;
  const choices = new Map<string, string>();
  for (const name of names) {
    const left = candidates.filter(({ vcloudId }) => !choices.has(vcloudId));
    for (const vcloudId of await carryingMetadata(vcd, [entry(name)], left, signal)) choices.set(vcloudId, name);
  }
  const others = candidates.filter(({ vcloudId }) => !choices.has(vcloudId));
  const carriers = (await carryingKey(vcd, key, others, signal)).slice(0, MAX_READ);
  await inParallel(carriers, PARALLEL_READS, signal, async ({ vcloudId, href, vmHrefs }, either) => {
    for (const address of [href, ...vmHrefs]) {
      const found = (await readEntries(vcd, address, either)).find((one) => sameEntry(one, entry(one.value)));
      if (found !== undefined) {
        choices.set(vcloudId, found.value);
        return;
      }
    }
  });
  return choices;
}
