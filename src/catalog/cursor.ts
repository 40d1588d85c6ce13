import { CatalogError } from './errors.js';

/**
 * Where the next page begins: the sort key of the last row seen. Unlike a row number it stays
 * right while rows come and go.
 */
export function encodeCursor(key: readonly [string, string]): string {
  return Buffer.from(JSON.stringify(key), 'utf8').toString('base64url');
}

/** @throws CatalogError CURSOR_INVALID when it is none of ours. */
export function decodeCursor(cursor: string): [string, string] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(key) && key.length === 2 && key.every((part) => typeof part === 'string' && !part.includes('\0')))
      return key as [string, string];
  } catch {
    // Not JSON: answered below.
  }
  throw cursorInvalid();
}

export function cursorInvalid(): CatalogError {
  return new CatalogError('CURSOR_INVALID', 'The cursor is not one this service gave out; ask for the first page again.');
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** A page from rows read with one more than asked for: the extra one only says that there is more. */
export function pageOf<R, T>(rows: readonly R[], limit: number, key: (row: R) => readonly [string, string], show: (row: R) => T): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(show), nextCursor: rows.length > limit && last !== undefined ? encodeCursor(key(last)) : null };
}
