import { describe, expect, it } from 'vitest';
import type { Repository, VerifyOptions } from '../../src/repository/index.js';
import { ORGANIZATION } from './fixture.js';
import { whereverItReads } from './interrupted-reads.js';

describe('an organization that is shredded meanwhile', () => {
  const happens = (other: Repository) => other.shredOrganization(ORGANIZATION);

  it('is passed over by a collection, wherever it reads', async () => {
    const ends = await whereverItReads({ work: (interrupted) => interrupted.collectGarbage({ graceMs: 0 }), happens });
    expect(ends.length).toBeGreaterThan(20);
    for (const end of ends) expect(end).toMatchObject({ deletedPacks: expect.any(Number) });
  });

  it.each<VerifyOptions['mode']>(['structure', 'full'])('has no damage, wherever a verification reads (%s)', async (mode) => {
    const ends = await whereverItReads({ work: (interrupted) => interrupted.verify({ mode }), happens });
    expect(ends.length).toBeGreaterThan(15);
    for (const end of ends) expect(end).toMatchObject({ findings: [] });
  });

  it('has none either where what it notes comes after the shredding', async () => {
    const ends = await whereverItReads({
      work: async (interrupted) => {
        await interrupted.verify({ mode: 'full' });
        return interrupted.verify({ mode: 'structure' });
      },
      happens,
    });
    expect(ends.length).toBeGreaterThan(15);
    for (const end of ends) expect(end).toMatchObject({ findings: [] });
  });
});

describe('restore points that are deleted, and collected, meanwhile', () => {
  it('have no damage, wherever a verification reads', async () => {
    const ends = await whereverItReads({
      work: (interrupted) => interrupted.verify({ mode: 'full' }),
      happens: async (other) => {
        for await (const ref of other.listManifests()) await other.deleteManifest(ref);
        for (let run = 0; run < 2; run += 1) await other.collectGarbage({ graceMs: 0 });
      },
    });
    expect(ends.length).toBeGreaterThan(15);
    for (const end of ends) expect(end).toMatchObject({ findings: [] });
  });
});

describe('restore points whose chunks a collection moves to other packs meanwhile', () => {
  const move = async (other: Repository) => {
    for (let run = 0; run < 3; run += 1) await other.collectGarbage({ graceMs: 0 });
  };

  it.each<VerifyOptions['mode']>(['structure', 'full'])('have no damage, wherever a verification reads (%s)', async (mode) => {
    const ends = await whereverItReads({
      work: (interrupted) => interrupted.verify({ mode }),
      happens: move,
    });
    expect(ends.length).toBeGreaterThan(30);
    for (const end of ends) expect(end).toMatchObject({ findings: [] });
  });

  it('are not said to be healed', async () => {
    const ends = await whereverItReads({
      work: (interrupted, elsewhere) => interrupted.verify({ mode: 'structure' }, elsewhere),
      happens: move,
    });
    expect(ends.length).toBeGreaterThan(30);
    for (const end of ends) expect(end).toMatchObject({ findings: [], healed: [] });
  });
});
