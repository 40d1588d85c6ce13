import { describe, expect, it } from 'vitest';
import { unstorableText } from './storable-text.js';

describe('unstorableText', () => {
  it.each([['plain'], ['é 💾'], [''], [7], [null], [undefined], [{ a: ['b', { c: true }] }]])('lets %j pass', (value) => {
    expect(unstorableText(value)).toBeUndefined();
  });

  it.each([
    ['a\0b', []],
    ['\ud800', []],
    ['\udc00x', []],
    [{ name: 'x', list: ['y', { deep: 'z\0' }] }, ['list', '1', 'deep']],
    [{ 'key\0': 'x' }, []],
  ])('finds %j', (value, path) => {
    expect(unstorableText(value)).toEqual(path);
  });
});
