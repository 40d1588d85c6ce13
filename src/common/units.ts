/**
 * Bytes and sectors. A JavaScript number is exact to 2^53, which is 8 PiB in bytes: the largest
 * VMDK (62 TiB) and every sum over a vApp fit. Nothing may pass through a 32-bit operator
 * (`|`, `>>`, `Int32Array`) on the way.
 */
export const SECTOR_BYTES = 512;
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const TIB = 1024 * GIB;

/** @throws RangeError when the byte count is not a whole, exact number of sectors. */
export function bytesToSectors(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % SECTOR_BYTES !== 0) {
    throw new RangeError(`${bytes} bytes is not a whole number of ${SECTOR_BYTES}-byte sectors`);
  }
  return bytes / SECTOR_BYTES;
}

export function sectorsToBytes(sectors: number): number {
  const bytes = sectors * SECTOR_BYTES;
  if (!Number.isSafeInteger(bytes) || sectors < 0) throw new RangeError(`${sectors} sectors are out of range`);
  return bytes;
}

/** 1536 -> "1.5 KiB". For people only. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${names[index]}`;
}
