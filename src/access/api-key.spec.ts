import { describe, expect, it } from 'vitest';
import { bearerToken, digestApiKey, isApiKey, makeApiKey, shownPrefix } from './api-key.js';

describe('API keys', () => {
  it('are 32 random bytes behind a recognizable prefix', () => {
    const keys = new Set(Array.from({ length: 50 }, makeApiKey));
    expect(keys.size).toBe(50);
    for (const key of keys) {
      expect(isApiKey(key)).toBe(true);
      expect(Buffer.from(key.slice(3), 'base64url')).toHaveLength(32);
    }
  });

  it('show no more than eight characters of the secret', () => {
    const key = makeApiKey();
    expect(shownPrefix(key)).toBe(key.slice(0, 11));
  });

  it('are stored as SHA-256', () => {
    expect(digestApiKey('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it.each([
    ['Bearer vv_x', 'vv_x'],
    ['bearer  vv_x ', 'vv_x'],
    ['Basic dXNlcg==', undefined],
    ['Bearer', undefined],
    ['Bearer a b', undefined],
    [undefined, undefined],
  ])('reads the header %s', (header, token) => {
    expect(bearerToken(header)).toBe(token);
  });
});
