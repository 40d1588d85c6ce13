import type { SourceKind } from '../catalog/index.js';
import { inParallel } from '../common/index.js';
import { type MetadataEntry, type VcdClientApi, VcdError } from '../vcd/index.js';
import type { ScopeMetadata } from './scope-types.js';

export type MetadataSource = Pick<VcdClientApi, 'vapps' | 'vms' | 'vappTemplates' | 'media' | 'metadataFilter' | 'readMetadata'>;

export interface MetadataCandidate {
  vcloudId: string;
  href: string;
  kind: SourceKind;
  /** Addresses of a standalone VM's VM: what is written on it is written on the VM. */
  vmHrefs: readonly string[];
}

/** Objects whose metadata are read at once, where the query service cannot tell. */
export const PARALLEL_READS = 4;
/** Keys the filter language can name; in values, * is its wildcard and cannot be escaped. */
const FILTERABLE_KEY = /^[A-Za-z][\w.-]*$/;

/**
 * Which of the candidates carry all of the entries: by one listing per entry and kind where the query
 * service can be asked, otherwise by reading each candidate's metadata.
 * @returns their vCloud ids.
 * @throws VcdError.
 */
export async function carryingMetadata(
  vcd: MetadataSource,
  entries: readonly ScopeMetadata[],
  candidates: readonly MetadataCandidate[],
  signal: AbortSignal,
): Promise<Set<string>> {
  let left = candidates.filter(isKnownToVcd);
  for (const entry of entries) {
    if (left.length === 0) break;
    const carriers = await query(vcd, entry, new Set(left.map(({ kind }) => kind)), signal);
    left = carriers === undefined ? await read(vcd, entry, left, signal) : left.filter(({ vcloudId }) => carriers.has(vcloudId));
  }
  return new Set(left.map(({ vcloudId }) => vcloudId));
}

/** Undefined where the query service cannot be asked for this entry. */
async function query(
  vcd: MetadataSource,
  entry: ScopeMetadata,
  kinds: ReadonlySet<SourceKind>,
  signal: AbortSignal,
): Promise<Set<string> | undefined> {
  if (!FILTERABLE_KEY.test(entry.key) || entry.value.includes('*') || entry.value === '') return undefined;
  return await listed(vcd, vcd.metadataFilter(entry), kinds, signal);
}

/** Those of the candidates that have any text under the key, or all of them where VCD cannot tell. */
export async function carryingKey(
  vcd: MetadataSource,
  key: string,
  candidates: readonly MetadataCandidate[],
  signal: AbortSignal,
): Promise<MetadataCandidate[]> {
  const asked = candidates.filter(isKnownToVcd);
  if (asked.length === 0 || !FILTERABLE_KEY.test(key)) return asked;
  const filter = vcd.metadataFilter({ key, type: 'MetadataStringValue', value: '*', domain: 'GENERAL' });
  const carriers = await listed(vcd, filter, new Set(asked.map(({ kind }) => kind)), signal);
  return asked.filter(({ vcloudId }) => carriers === undefined || carriers.has(vcloudId));
}

/** A first class disk is vSphere's alone. */
function isKnownToVcd({ kind }: MetadataCandidate): boolean {
  return kind !== 'first-class-disk';
}

async function listed(
  vcd: MetadataSource,
  filter: string,
  kinds: ReadonlySet<SourceKind>,
  signal: AbortSignal,
): Promise<Set<string> | undefined> {
  const found = new Set<string>();
  try {
    if (kinds.has('vapp') || kinds.has('standalone-vm')) for await (const { id } of vcd.vapps(filter, signal)) found.add(id);
    if (kinds.has('standalone-vm')) for await (const { vappId } of standaloneVms(vcd, filter, signal)) found.add(vappId);
    if (kinds.has('vapp-template')) for await (const { id } of vcd.vappTemplates(filter, signal)) found.add(id);
    if (kinds.has('media')) for await (const { id } of vcd.media(filter, signal)) found.add(id);
    return found;
  } catch (error) {
    // A release or a type that does not know metadata filters, or this very one.
    if (error instanceof VcdError && error.httpStatus === 400) return undefined;
    throw error;
  }
}

/** A VM of an ordinary vApp says nothing about its vApp. */
async function* standaloneVms(vcd: MetadataSource, filter: string, signal: AbortSignal): AsyncGenerator<{ vappId: string }> {
  for await (const vm of vcd.vms(`(${filter});isAutoNature==true`, signal)) yield vm;
}

async function read(
  vcd: MetadataSource,
  entry: ScopeMetadata,
  candidates: readonly MetadataCandidate[],
  signal: AbortSignal,
): Promise<MetadataCandidate[]> {
  const carry = await inParallel(candidates, PARALLEL_READS, signal, async (candidate, either) => {
    for (const href of [candidate.href, ...candidate.vmHrefs]) {
      if ((await readEntries(vcd, href, either)).some((found) => sameEntry(found, entry))) return true;
    }
    return false;
  });
  return candidates.filter((_candidate, index) => carry[index] === true);
}

/** What is written on an object; nothing on one that was deleted since the inventory. @throws VcdError. */
export async function readEntries(vcd: Pick<MetadataSource, 'readMetadata'>, href: string, signal: AbortSignal): Promise<MetadataEntry[]> {
  try {
    return await vcd.readMetadata(href, signal);
  } catch (error) {
    if (error instanceof VcdError && error.saysGone) return [];
    throw error;
  }
}

/** As the query service compares: by the type's own order, text in any case. */
export function sameEntry(entry: Pick<MetadataEntry, 'key' | 'type' | 'value' | 'domain'>, wanted: ScopeMetadata): boolean {
  if (entry.key !== wanted.key || entry.type !== wanted.type || entry.domain !== wanted.domain) return false;
  switch (wanted.type) {
    case 'MetadataNumberValue':
      return Number(entry.value) === Number(wanted.value);
    case 'MetadataDateTimeValue':
      return Date.parse(entry.value) === Date.parse(wanted.value);
    default:
      return entry.value.toLowerCase() === wanted.value.toLowerCase();
  }
}
