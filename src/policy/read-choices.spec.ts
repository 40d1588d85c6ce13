import { describe, expect, it } from 'vitest';
import { type MetadataEntry, VcdError } from '../vcd/index.js';
import type { MetadataCandidate, MetadataSource } from './match-metadata.js';
import { readChoices } from './read-choices.js';

const signal = new AbortController().signal;
const gone = new VcdError('gone', { code: 'ACCESS_FORBIDDEN', httpStatus: 403, minorErrorCode: 'ACCESS_TO_RESOURCE_IS_FORBIDDEN' });
const candidate = (vcloudId: string, kind: MetadataCandidate['kind'] = 'vapp'): MetadataCandidate => ({
  vcloudId,
  kind,
  href: kind === 'first-class-disk' ? '' : vcloudId,
  vmHrefs: [],
});
const candidates = [candidate('a'), candidate('b'), candidate('c'), candidate('d'), candidate('disk', 'first-class-disk')];

/** A VCD that lists by filter as a real one: exactly, in any case. `carried` by address; an Error is what reading it comes to. */
function vcdWith(carried: Record<string, string | Error>, canFilter = true) {
  const read: string[] = [];
  async function* vapps(filter = '') {
    if (!canFilter) throw new VcdError('no such filter', { code: 'BAD_REQUEST', httpStatus: 400 });
    for (const [id, value] of Object.entries(carried)) {
      const text = value instanceof Error ? 'unknown' : value;
      if (filter === '*' || filter.toLowerCase() === text.toLowerCase()) yield { id };
    }
  }
  const vcd = {
    vapps,
    metadataFilter: ({ value }: { value: string }) => value,
    readMetadata: async (href: string) => {
      read.push(href);
      const value = carried[href];
      if (value instanceof Error) throw value;
      const entry = { key: 'policy', type: 'MetadataStringValue', domain: 'GENERAL', visibility: 'READWRITE' } as const;
      return (value === undefined ? [] : [{ ...entry, value }]) satisfies MetadataEntry[];
    },
  } as unknown as MetadataSource;
  return { vcd, read };
}

describe('what tenants chose', () => {
  it('is listed by the names that are offered, and read of those alone that wrote something else', async () => {
    const { vcd, read } = vcdWith({ a: 'GOLD', b: 'Platinum' });
    expect(await readChoices(vcd, 'policy', ['Gold', 'Silver'], candidates, signal)).toEqual(
      new Map([
        ['a', 'Gold'],
        ['b', 'Platinum'],
      ]),
    );
    expect(read).toEqual(['b']);
  });

  it('is read one by one where VCD cannot filter, and of no first class disk', async () => {
    const { vcd, read } = vcdWith({ a: 'gold', b: gone }, false);
    expect(await readChoices(vcd, 'policy', ['Gold'], candidates, signal)).toEqual(new Map([['a', 'Gold']]));
    expect(read).not.toContain('');
  });

  it('is nothing of what was deleted meanwhile, and unknown as a whole where VCD does not answer', async () => {
    expect(await readChoices(vcdWith({ a: 'Gold', b: gone }).vcd, 'policy', ['Gold'], candidates, signal)).toEqual(
      new Map([['a', 'Gold']]),
    );
    const away = new VcdError('down', { code: 'HOST_UNREACHABLE', retryable: true });
    // A choice that is taken for none would let the object fall out of the policy it had.
    await expect(readChoices(vcdWith({ a: 'Gold', b: away }).vcd, 'policy', ['Gold'], candidates, signal)).rejects.toBe(away);
  });
});
