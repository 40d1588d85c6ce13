import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor, pageOf } from './cursor.js';

describe('cursor', () => {
  it('brings back any key', () => {
    expect(decodeCursor(encodeCursor(['shop "é" 💾', '0190']))).toEqual(['shop "é" 💾', '0190']);
  });

  it.each([
    '',
    'x',
    Buffer.from('{"a":1}').toString('base64url'),
    Buffer.from('["a"]').toString('base64url'),
    Buffer.from('["a",1]').toString('base64url'),
    Buffer.from('["a\\u0000","1"]').toString('base64url'),
  ])('refuses %j', (text) => {
    expect(() => decodeCursor(text)).toThrow(expect.objectContaining({ code: 'CURSOR_INVALID' }));
  });
});

describe('pageOf', () => {
  const key = (n: number): [string, string] => [`name ${n}`, String(n)];

  it('shows as many as asked for, and where to go on', () => {
    const page = pageOf([3, 5, 8], 2, key, (n) => n * 10);
    expect(page.items).toEqual([30, 50]);
    expect(decodeCursor(page.nextCursor ?? '')).toEqual(['name 5', '5']);
  });

  it('has no next page when there is nothing left', () => {
    expect(pageOf([3, 5], 2, key, String)).toEqual({ items: ['3', '5'], nextCursor: null });
    expect(pageOf([], 2, key, String)).toEqual({ items: [], nextCursor: null });
  });
});
