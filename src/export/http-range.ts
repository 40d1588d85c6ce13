export interface ByteRange {
  startBytes: number;
  /** Exclusive. */
  endBytes: number;
}

/**
 * What of a file an HTTP request asks for (RFC 9110, section 14).
 * @param ifRange a date is never taken for a match: what an export is made of has no date, only content.
 * @returns 'whole' also for what is no range of bytes and for several ranges at once, which a server may ignore;
 * 'unsatisfiable' when not one of its bytes is there.
 */
export function requestedRange(
  range: string | undefined,
  ifRange: string | undefined,
  file: { sizeBytes: number; etag: string },
): ByteRange | 'whole' | 'unsatisfiable' {
  if (range === undefined || (ifRange !== undefined && ifRange !== file.etag)) return 'whole';
  const given = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range);
  if (given === null) return 'whole';
  const [, first, last] = given as unknown as [string, string, string];
  const { sizeBytes } = file;
  if (first === '') {
    if (last === '') return 'whole';
    const lengthBytes = Math.min(Number(last), sizeBytes);
    return lengthBytes === 0 ? 'unsatisfiable' : { startBytes: sizeBytes - lengthBytes, endBytes: sizeBytes };
  }
  // Beyond 2^53 a number is no longer exact, and past the end all the same.
  const startBytes = Number(first);
  const endBytes = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (last !== '' && Number(last) < startBytes) return 'whole';
  return startBytes >= sizeBytes ? 'unsatisfiable' : { startBytes, endBytes };
}

/** If-None-Match, compared weakly as RFC 9110 wants it for GET. */
export function isUnchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
