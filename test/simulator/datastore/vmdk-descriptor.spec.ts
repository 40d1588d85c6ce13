import { describe, expect, it } from 'vitest';
import { formatDescriptor, parseDescriptor, type VmdkDescriptor } from './vmdk-descriptor.js';

const BASE: VmdkDescriptor = {
  contentId: '0a1b2c3d',
  parentContentId: 'ffffffff',
  createType: 'vmfs',
  parentFileName: undefined,
  extent: { sectors: 4096, kind: 'VMFS', fileName: 'web-flat.vmdk' },
  changeTrackPath: 'web-ctk.vmdk',
  database: { adapterType: 'lsilogic', uuid: '60 00 C2 9a 11 22 33 44-55 66 77 88 99 aa bb cc', 'geometry.heads': '255' },
};
const DELTA: VmdkDescriptor = {
  ...BASE,
  parentContentId: '0a1b2c3d',
  createType: 'seSparse',
  parentFileName: 'web.vmdk',
  extent: { sectors: 4096, kind: 'SESPARSE', fileName: 'web-000001-sesparse.vmdk' },
  changeTrackPath: undefined,
};
const WORDS = [
  'RW ',
  ' VMFS ',
  ' SESPARSE "',
  '"',
  '\n',
  '=',
  'ddb.',
  'CID=',
  'createType="vmfs"',
  '#',
  '\0',
  'ddb.__proto__ = "x"\n',
  '99999999999999999999',
  '-1',
];
const CASES = 4_000;

/** The same numbers each time. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function mutated(text: string, below: (limit: number) => number): string {
  let result = text;
  for (let edits = 1 + below(6); edits > 0; edits -= 1) {
    const at = below(result.length + 1);
    const length = below(20);
    const [front, back] = [result.slice(0, at), result.slice(at)];
    const edit = below(4);
    if (edit === 0) result = front + (WORDS[below(WORDS.length)] ?? '') + back;
    else if (edit === 1) result = front + back.slice(length);
    else if (edit === 2) result = front + String.fromCharCode(below(300)) + back.slice(1);
    else result = front + back.slice(0, length) + back;
  }
  return result;
}

describe('the descriptor of a disk', () => {
  it('is read as it was written', () => {
    for (const descriptor of [BASE, DELTA]) expect(parseDescriptor(formatDescriptor(descriptor), 'x.vmdk')).toEqual(descriptor);
  });

  it('is refused where no disk can be that large', () => {
    const text = formatDescriptor(BASE).replace('4096', '99999999999999999999');
    expect(() => parseDescriptor(text, '[ds-1] x.vmdk')).toThrow('[ds-1] x.vmdk');
  });

  it('is refused by its path or read into something that can be written and read again, whatever its text is', () => {
    const below = randomNumbers(4711);
    let readable = 0;
    for (let tries = 0; tries < CASES; tries += 1) {
      const text = mutated(formatDescriptor(below(2) === 0 ? BASE : DELTA), below);
      let descriptor: VmdkDescriptor;
      try {
        descriptor = parseDescriptor(text, '[ds-1] fuzz.vmdk');
      } catch (error) {
        expect((error as Error).message, text).toMatch(/^\[ds-1\] fuzz\.vmdk /);
        continue;
      }
      readable += 1;
      expect(Number.isSafeInteger(descriptor.extent.sectors), text).toBe(true);
      expect(parseDescriptor(formatDescriptor(descriptor), '[ds-1] fuzz.vmdk'), text).toEqual(descriptor);
    }
    expect(readable).toBeGreaterThan(CASES / 10);
  });
});
