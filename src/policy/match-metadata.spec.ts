import { describe, expect, it } from 'vitest';
import { type MetadataEntry, VcdError } from '../vcd/index.js';
import { carryingMetadata, type MetadataCandidate, type MetadataSource, sameEntry } from './match-metadata.js';
import type { ScopeMetadata } from './scope-types.js';

const tier: ScopeMetadata = { key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'GENERAL' };
const candidate = (id: string, over: Partial<MetadataCandidate> = {}): MetadataCandidate => ({
  vcloudId: id,
  href: `https://vcd/${id}`,
  kind: 'vapp',
  vmHrefs: [],
  ...over,
});
const signal = new AbortController().signal;

/** What it lists for each filter, and what each address carries. */
function source(listed: Record<string, string[]>, carried: Record<string, MetadataEntry[]> = {}) {
  const asked: string[] = [];
  async function* list(filter = '') {
    asked.push(filter);
    if (listed[filter] === undefined) throw new VcdError('no such filter', { code: 'BAD_REQUEST', httpStatus: 400 });
    for (const id of listed[filter]) yield { id, vappId: id } as never;
  }
  const vcd: MetadataSource = {
    vapps: list,
    vms: list,
    vappTemplates: list,
    media: list,
    metadataFilter: ({ key, value }) => `metadata:${key}==${value}`,
    readMetadata: async (href) => {
      asked.push(href);
      const found = carried[href];
      if (found === undefined)
        throw new VcdError('gone', { code: 'ACCESS_FORBIDDEN', httpStatus: 403, minorErrorCode: 'ACCESS_TO_RESOURCE_IS_FORBIDDEN' });
      return found;
    },
  };
  return { vcd, asked };
}
const entry = (over: Partial<MetadataEntry> = {}): MetadataEntry => ({ ...tier, visibility: 'READWRITE', ...over });

describe('objects that carry metadata', () => {
  it('are asked of the query service, one listing per entry', async () => {
    const { vcd, asked } = source({ 'metadata:tier==gold': ['a', 'b', 'z'], 'metadata:site==x': ['b', 'c'] });
    const found = await carryingMetadata(
      vcd,
      [tier, { ...tier, key: 'site', value: 'x' }],
      ['a', 'b', 'c'].map((id) => candidate(id)),
      signal,
    );
    expect([...found]).toEqual(['b']);
    expect(asked).toEqual(['metadata:tier==gold', 'metadata:site==x']);
  });

  it.each([
    ['a key the filter language cannot name', { key: 'cost centre', value: 'gold' }],
    ['a value with its wildcard', { key: 'tier', value: 'g*' }],
    ['a filter VCD refuses', { key: 'unknown', value: 'gold' }],
  ])('are read one by one for %s, and what is gone meanwhile carries nothing', async (_what, wanted) => {
    const { vcd } = source({}, { 'https://vcd/a': [entry(wanted)], 'https://vcd/b': [entry({ ...wanted, value: 'gust' })] });
    const found = await carryingMetadata(
      vcd,
      [{ ...tier, ...wanted }],
      ['a', 'b', 'gone'].map((id) => candidate(id)),
      signal,
    );
    expect([...found]).toEqual(['a']);
  });

  it('of a standalone VM may be written on the VM', async () => {
    const { vcd } = source({}, { 'https://vcd/a': [], 'https://vcd/vm': [entry()] });
    const lone = candidate('a', { kind: 'standalone-vm', vmHrefs: ['https://vcd/vm'] });
    expect([...(await carryingMetadata(vcd, [{ ...tier, value: 'gold' }], [lone], signal))]).toEqual(['a']);
  });

  it('fail with VCD where it cannot be reached', async () => {
    const { vcd } = source({});
    vcd.vapps = async function* () {
      yield* [];
      throw new VcdError('down', { code: 'HOST_UNREACHABLE', retryable: true });
    };
    await expect(carryingMetadata(vcd, [tier], [candidate('a')], signal)).rejects.toMatchObject({ code: 'HOST_UNREACHABLE' });
  });
});

describe('an entry', () => {
  it.each<[Partial<MetadataEntry>, Partial<ScopeMetadata>, boolean]>([
    [{}, {}, true],
    [{ value: 'GOLD' }, {}, true],
    [{ domain: 'SYSTEM' }, {}, false],
    [{ key: 'Tier' }, {}, false],
    [{ type: 'MetadataNumberValue', value: '5' }, { value: '5' }, false],
    [{ type: 'MetadataNumberValue', value: '5.0' }, { type: 'MetadataNumberValue', value: '5' }, true],
    [
      { type: 'MetadataDateTimeValue', value: '2026-11-21T10:00:00Z' },
      { type: 'MetadataDateTimeValue', value: '2026-11-21T12:00:00.000+02:00' },
      true,
    ],
    [{ type: 'MetadataBooleanValue', value: 'true' }, { type: 'MetadataBooleanValue', value: 'TRUE' }, true],
  ])('%j is %j: %s', (have, wanted, same) => {
    expect(sameEntry(entry(have), { ...tier, ...wanted })).toBe(same);
  });
});
