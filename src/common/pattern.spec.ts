import { describe, expect, it } from 'vitest';
import { matchesPattern } from './pattern.js';

describe('matchesPattern', () => {
  it.each([
    ['web-1', 'web-1', true],
    ['web-1', 'web-?', true],
    ['web-12', 'web-?', false],
    ['web-12', 'web-*', true],
    ['web', '*', true],
    ['', '*', true],
    ['', '?', false],
    ['a.b', 'a?b', true],
    ['axb', 'a.b', false],
    ['shop-prod-eu', '*-prod-*', true],
    ['shop-prod', '*-prod-*', false],
    ['aab', '*ab', true],
    ['Web', 'web', false],
    ['web', '', false],
  ])('%j fits %j: %s', (name, pattern, fits) => expect(matchesPattern(name, pattern)).toBe(fits));

  it('ends soon for a pattern made to take long', () => {
    expect(matchesPattern('a'.repeat(5_000), `${'*a'.repeat(30)}*b`)).toBe(false);
  });
});
