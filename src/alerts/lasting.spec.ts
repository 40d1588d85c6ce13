import { describe, expect, it } from 'vitest';
import { lasting } from './lasting.js';
import type { AlertFact } from './types.js';

const FACT: AlertFact = { key: 'queue', severity: 'critical', organizationId: '', subject: 'the run queue', message: 'Runs wait.' };
const { signal } = new AbortController();

/** What the source says with each look, and what comes of it; looks are 60 seconds apart. */
async function answers(said: readonly (AlertFact[] | 'fails')[]) {
  let atMs = 0;
  let next: AlertFact[] | 'fails' = [];
  const source = async () => (next === 'fails' ? Promise.reject(new Error('away')) : next);
  const look = lasting(source, 120_000, () => atMs);
  const heard: unknown[] = [];
  for (next of said) {
    heard.push(await look(signal).catch(() => 'fails'));
    atMs += 60_000;
  }
  return heard;
}

describe('a source of what must last', () => {
  it('says that something is wrong once all looks of two minutes found it, and at once that it is over', async () => {
    expect(await answers([[], [FACT], [FACT], [FACT], [FACT], [], [FACT]])).toEqual([
      [],
      undefined,
      undefined,
      [FACT],
      [FACT],
      [],
      undefined,
    ]);
  });

  it('begins anew where all was well between, or nobody could say', async () => {
    expect(await answers([[FACT], [FACT], [], [FACT], [FACT], [FACT]])).toEqual([undefined, undefined, [], undefined, undefined, [FACT]]);
    expect(await answers([[FACT], [FACT], 'fails', [FACT], [FACT]])).toEqual([undefined, undefined, 'fails', undefined, undefined]);
  });
});
