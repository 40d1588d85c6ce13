import type { VixRequest } from './vix-door.js';
import { VIX, VixFault } from './vix-fault.js';

/** [startSector, count] pairs, in bytes. @throws VixFault */
export function readExtents(value: unknown): { offsetBytes: number; lengthBytes: number }[] {
  if (!Array.isArray(value)) throw new VixFault(VIX.invalidArgument, 'written needs extents.');
  return value.map((pair: unknown) => {
    const [start, count] = Array.isArray(pair) ? pair.map(Number) : [];
    if (start === undefined || count === undefined || !Number.isSafeInteger(start * 512) || !Number.isSafeInteger(count * 512))
      throw new VixFault(VIX.invalidArgument, 'An extent is [startSector, count].');
    return { offsetBytes: start * 512, lengthBytes: count * 512 };
  });
}

/** A field of a request; "" where it is not there. @throws VixFault */
export function text(request: VixRequest, field: string): string {
  const value = request[field];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new VixFault(VIX.invalidArgument, `${field} is not a string.`);
  return value;
}
