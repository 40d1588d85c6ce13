import { beforeAll, describe, expect, it } from 'vitest';
import { fuzz, type FuzzTarget } from './fuzz.js';
import { mutate, SeededRandom } from './mutate.js';
import { repositoryTargets } from './targets.js';

/** A bounded sample; `npm run fuzz` goes on. */
const INPUTS = 300;
const SLOW_INPUTS = 6;
const SLOW = ['repository', 'authentic-segment', 'authentic-trailer'];
const NAMES = [
  ...['container-header', 'blob-header', 'record-header', 'pack-footer', 'index-root', 'segment', 'manifest', 'condemned-list'],
  ...[
    'session-record',
    'sealed-blob',
    'pack-trailer',
    'description',
    'open',
    'key-file',
    'key-file-copy',
    'clock-file',
    'recovery-file',
    'recovery-key',
    ...SLOW,
  ],
];

describe('mutated input', () => {
  let targets: Map<string, FuzzTarget>;
  beforeAll(async () => {
    targets = new Map((await repositoryTargets()).map((target) => [target.name, target]));
  });

  it.each(NAMES)('of a %s is taken or refused by one clear error', async (name) => {
    const report = await fuzz(targets.get(name) as FuzzTarget, {
      seconds: 20,
      seed: '1',
      inputs: SLOW.includes(name) ? SLOW_INPUTS : INPUTS,
    });
    expect(report.inputs).toBeGreaterThan(0);
  });

  it('is of every target there is', () => {
    expect([...targets.keys()].sort()).toEqual([...NAMES].sort());
  });
});

describe('the fuzzer', () => {
  const corpus = async () => [Buffer.from('{"length":4}')];

  it.each([
    ['another error than ours', () => void (undefined as unknown as { x: { y: 1 } }).x.y],
    ['an error that Node words', () => void Buffer.alloc(1).readUInt32LE(0)],
    ['an allocation without bound', () => void Buffer.allocUnsafeSlow(2 ** 30)],
  ])('finds %s', async (_what, fault) => {
    const run = (input: Buffer) => (input.toString('utf8') === '{"length":4}' ? undefined : fault());
    await expect(fuzz({ name: 'faulty', corpus, run }, { seconds: 5, seed: '1' })).rejects.toThrow(/^faulty: /);
  });

  it('makes the same inputs of the same seed, and hardly one twice', () => {
    const inputs = (seed: string) => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 200 }, () =>
        mutate(random, Buffer.from('{"a":[1,2],"b":"text"}'), [Buffer.from('other')]).toString('hex'),
      );
    };
    expect(inputs('1')).toEqual(inputs('1'));
    expect(new Set(inputs('1')).size).toBeGreaterThan(150);
    expect(inputs('2')).not.toEqual(inputs('1'));
  });
});
