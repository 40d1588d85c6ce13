import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { LiveSet } from './live-set.js';

const IDS = 50_000;

function idsOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / 32 }, (_, i) => bytes.subarray(i * 32, (i + 1) * 32));
}

it('never forgets an id, and takes few others for living', () => {
  const live = new LiveSet(IDS);
  const known = randomBytes(IDS * 32);
  expect(live.add(known)).toBe(IDS);
  expect(idsOf(known).every((id) => live.has(id))).toBe(true);
  const mistaken = idsOf(randomBytes(IDS * 32)).filter((id) => live.has(id)).length;
  expect(mistaken).toBeLessThan(IDS / 100);
});

it('makes other mistakes every time, so that what stays by mistake goes later', () => {
  const known = randomBytes(IDS * 32);
  const others = idsOf(randomBytes(IDS * 32));
  const mistakes = [0, 1].map(() => {
    const live = new LiveSet(IDS);
    live.add(known);
    return new Set(others.filter((id) => live.has(id)));
  }) as [Set<Buffer>, Set<Buffer>];
  const both = [...mistakes[0]].filter((id) => mistakes[1].has(id)).length;
  expect(both).toBeLessThan(Math.max(10, mistakes[0].size / 4));
});

it('passes over zero ids, and reads ids that lie anywhere in memory', () => {
  const live = new LiveSet(4);
  const page = Buffer.concat([Buffer.alloc(3), Buffer.alloc(32), Buffer.alloc(32, 0xab), Buffer.alloc(32)]).subarray(3);
  expect(live.add(page)).toBe(1);
  expect(live.has(Buffer.alloc(32, 0xab))).toBe(true);
  expect(new LiveSet(4).has(Buffer.alloc(32, 0xab))).toBe(false);
});
