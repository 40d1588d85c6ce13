/** Longer than any id this service or VCD gives out; an answer repeats the id it was asked for. */
export const PATH_VALUE_MAX_LENGTH = 256;

/**
 * Finds text PostgreSQL cannot keep: its text and jsonb know no NUL, and jsonb no half of a
 * surrogate pair (PostgreSQL manual, 8.14 "JSON Types").
 * @returns the path to the first such value or key; undefined when there is none.
 */
export function unstorableText(value: unknown): string[] | undefined {
  if (typeof value === 'string') return isStorable(value) ? undefined : [];
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, child] of Object.entries(value)) {
    // The key itself cannot be repeated in an answer.
    if (!isStorable(key)) return [];
    const found = unstorableText(child);
    if (found !== undefined) return [key, ...found];
  }
  return undefined;
}

function isStorable(text: string): boolean {
  // A regular expression with the u flag sees a surrogate only where its other half is missing.
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}
