import { describe, expect, it } from 'vitest';
import { CancelledError, type Logger, parseXml, silentLogger, type XmlElement } from '../common/index.js';
import { MOST_EXTENTS, totalBytes } from '../disk/index.js';
import { collectChangedAreas } from './changed-areas.js';
import { VsphereError } from './errors.js';

const answer = (start: number, length: number, ...areas: [number, number][]) =>
  parseXml(
    `<r><startOffset>${start}</startOffset><length>${length}</length>${areas.map(([s, l]) => `<changedArea><start>${s}</start><length>${l}</length></changedArea>`).join('')}</r>`,
  );

describe('collectChangedAreas', () => {
  it('walks a disk beyond 2^32 to its end, merges and clips', async () => {
    const capacityBytes = 5 * 2 ** 40 + 512;
    const half = 3 * 2 ** 40;
    const asked: number[] = [];
    const areas = await collectChangedAreas({
      disk: 'd',
      log: silentLogger,
      capacityBytes,
      ask: async (start) => {
        asked.push(start);
        return start === 0
          ? answer(0, half, [half - 65_536, 65_536], [0, 131_072])
          : answer(half, capacityBytes - half, [half, 65_536], [capacityBytes - 512, 65_536]);
      },
    });
    expect(asked).toEqual([0, half]);
    expect(areas).toEqual([
      { offsetBytes: 0, lengthBytes: 131_072 },
      { offsetBytes: half - 65_536, lengthBytes: 131_072 },
      { offsetBytes: capacityBytes - 512, lengthBytes: 512 },
    ]);
  });

  it.each([
    ['no progress', answer(0, 0)],
    ['a gap', answer(65_536, 65_536)],
    ['no answer', undefined],
    ['no figures', parseXml('<r/>')],
    ['an area beyond the disk', answer(0, 1_048_576, [2_097_152, 65_536])],
    ['a negative area', answer(0, 1_048_576, [-65_536, 65_536])],
  ])('takes %s for lost tracking instead of looping or skipping', async (_, only) => {
    let asked = 0;
    const question = {
      disk: 'disk 2000',
      log: silentLogger,
      capacityBytes: 1_048_576,
      ask: async () => {
        asked += 1;
        return only;
      },
    };
    await expect(collectChangedAreas(question)).rejects.toMatchObject({ code: 'CHANGE_TRACKING_LOST', subject: 'disk 2000' });
    expect(asked).toBe(1);
  });

  it('keeps to a bound where every other block of 64 KiB changed, and says so', async () => {
    const block = 65_536;
    const areas = MOST_EXTENTS + 1_000;
    const pages = 4;
    const number = (value: number) => ({ text: () => String(value) });
    // As parsed, which of so many takes longer than all the rest.
    const element = (children: Record<string, number>, changed: unknown[] = []) =>
      ({
        child: (name: string) => (name in children ? number(children[name] as number) : undefined),
        childrenNamed: () => changed,
      }) as unknown as XmlElement;
    const page = (areas / pages) * 2 * block;
    const told: object[] = [];
    const found = await collectChangedAreas({
      disk: 'd',
      log: { info: (facts: object) => told.push(facts) } as unknown as Logger,
      capacityBytes: pages * page,
      ask: async (start) => {
        const changed = Array.from({ length: areas / pages }, (_, i) => element({ start: start + i * 2 * block, length: block }));
        return element({ startOffset: start, length: page }, changed);
      },
    });
    expect(found).toHaveLength(MOST_EXTENTS);
    expect(totalBytes(found)).toBe((areas + 1_000) * block);
    expect(told).toEqual([{ disk: 'd', widenedBytes: 1_000 * block }]);
  });

  it('lets other failures through as they are', async () => {
    const failures = [
      new CancelledError(),
      new VsphereError('busy', { code: 'HOST_COMMUNICATION', faultType: 'HostCommunication', retryable: true }),
    ];
    for (const failure of failures) {
      const question = { disk: 'd', log: silentLogger, capacityBytes: 512, ask: () => Promise.reject(failure) };
      await expect(collectChangedAreas(question)).rejects.toBe(failure);
    }
  });
});
