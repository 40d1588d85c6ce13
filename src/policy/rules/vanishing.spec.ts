import { expect, it } from 'vitest';
import { isMass } from './vanishing.js';

it.each([
  [4, 0, false],
  [5, 0, true],
  [5, 20, true],
  [5, 21, false],
  [2_000, 8_000, true],
  [1_999, 8_001, false],
])('%d objects that vanish where %d are left: %s', (gone, stillThere, expected) => {
  expect(isMass({ gone, stillThere })).toBe(expected);
});
