import { bytesToSectors, SECTOR_BYTES } from '../common/index.js';
import { type AllocatedGrains, GRAIN_BYTES, TABLE_GRAINS } from './allocated-grains.js';
import { ImageError } from './errors.js';

/** VMware, "Virtual Disk Format 5.0": hosted sparse extents. All numbers are little-endian, all places are sectors. */

export const GRAIN_SECTORS = GRAIN_BYTES / SECTOR_BYTES;
export const TABLE_SECTORS = (TABLE_GRAINS * 4) / SECTOR_BYTES;
export const DESCRIPTOR_SECTOR = 1;
export const DESCRIPTOR_SECTORS = 20;
/** A grain table names sectors in 32 bits. */
const SECTORS_IN_FILE = 2 ** 32;

const MAGIC = 0x564d444b;
const VALID_NEWLINE_TEST = 1;
const REDUNDANT_TABLES = 2;
const COMPRESSED_GRAINS = 0x10000;
const MARKERS = 0x20000;
const DEFLATE = 1;
/** Of a stream's first header: the directory is at the end, and the footer says where. */
export const DIRECTORY_AT_END = Symbol('at end');

/** What an image says of its disk besides the bytes. */
export interface VmdkLabels {
  /** The name the file is delivered under. */
  fileName: string;
  /** Anything that changes with the disk's content; eight hexadecimal digits of it become the content id. */
  contentId: number;
  /** ddb entries as VDDK tells them, without "ddb."; those that hold for a disk anywhere are kept. */
  metadata?: Readonly<Record<string, string>>;
}

export interface SparseHeader {
  kind: 'monolithicSparse' | 'streamOptimized';
  capacitySectors: number;
  redundantDirectorySector: number;
  directorySector: number | typeof DIRECTORY_AT_END;
  overheadSectors: number;
}

/** SparseExtentHeader, one sector. */
export function encodeSparseHeader(header: SparseHeader): Buffer {
  const stream = header.kind === 'streamOptimized';
  const bytes = Buffer.alloc(SECTOR_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(stream ? 3 : 1, 4);
  bytes.writeUInt32LE(VALID_NEWLINE_TEST + (stream ? COMPRESSED_GRAINS + MARKERS : REDUNDANT_TABLES), 8);
  writeUInt64LE(bytes, header.capacitySectors, 12);
  writeUInt64LE(bytes, GRAIN_SECTORS, 20);
  writeUInt64LE(bytes, DESCRIPTOR_SECTOR, 28);
  writeUInt64LE(bytes, DESCRIPTOR_SECTORS, 36);
  bytes.writeUInt32LE(TABLE_GRAINS, 44);
  writeUInt64LE(bytes, header.redundantDirectorySector, 48);
  if (header.directorySector === DIRECTORY_AT_END) bytes.fill(0xff, 56, 64);
  else writeUInt64LE(bytes, header.directorySector, 56);
  writeUInt64LE(bytes, header.overheadSectors, 64);
  // Unclean shutdown: no. Then four characters that a transfer in text mode would change.
  bytes.write('\n \r\n', 73, 'latin1');
  bytes.writeUInt16LE(stream ? DEFLATE : 0, 77);
  return bytes;
}

export function writeUInt64LE(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % 2 ** 32, offset);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

const ADAPTERS = new Set(['lsilogic', 'buslogic', 'ide']);
const HEADS = 255;
const SECTORS_PER_TRACK = 63;
/** Of a disk that is too large for a geometry, ESXi tells this many cylinders times what it takes; the field is 32 bits wide. */
const MOST_CYLINDERS = 2 ** 31 - 1;

/** The text descriptor, with zeros to the end of its sectors. */
export function encodeDescriptor(kind: SparseHeader['kind'], capacitySectors: number, labels: VmdkLabels): Buffer {
  const metadata = labels.metadata ?? {};
  const adapter = (metadata.adapterType ?? '').toLowerCase();
  const number = (key: string, otherwise: number) => {
    const given = metadata[key] ?? '';
    return /^[1-9]\d{0,9}$/.test(given) ? given : String(otherwise);
  };
  const cylinders = Math.min(MOST_CYLINDERS, Math.ceil(capacitySectors / (HEADS * SECTORS_PER_TRACK)));
  const text = [
    '# Disk DescriptorFile',
    'version=1',
    `CID=${contentId(labels.contentId)}`,
    'parentCID=ffffffff',
    `createType="${kind}"`,
    '',
    '# Extent description',
    `RW ${capacitySectors} SPARSE "${labels.fileName.replace(/[^A-Za-z0-9._ -]/g, '_')}"`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    `ddb.virtualHWVersion = "${number('virtualHWVersion', 4)}"`,
    `ddb.geometry.cylinders = "${number('geometry.cylinders', Math.max(1, cylinders))}"`,
    `ddb.geometry.heads = "${number('geometry.heads', HEADS)}"`,
    `ddb.geometry.sectors = "${number('geometry.sectors', SECTORS_PER_TRACK)}"`,
    // What newer hosts have beside these is for their own disks only.
    `ddb.adapterType = "${ADAPTERS.has(adapter) ? adapter : 'lsilogic'}"`,
    '',
  ].join('\n');
  const bytes = Buffer.alloc(DESCRIPTOR_SECTORS * SECTOR_BYTES);
  bytes.write(text, 0, 'latin1');
  return bytes;
}

/** ffffffff says "no parent", and fffffffe is reserved. */
function contentId(value: number): string {
  return (value % 0xfffffffe).toString(16).padStart(8, '0');
}

/** @throws ImageError IMAGE_CAPACITY_INVALID */
export function capacitySectorsOf(capacityBytes: number, what: string): number {
  if (capacityBytes % SECTOR_BYTES !== 0 || capacityBytes === 0) {
    throw new ImageError(
      'IMAGE_CAPACITY_INVALID',
      `${what} has ${capacityBytes} bytes, which is no disk of whole sectors; export it as raw.`,
    );
  }
  return bytesToSectors(capacityBytes);
}

/** @throws ImageError IMAGE_TOO_LARGE before a byte is delivered that no table could name. */
export function assertFitsVmdk(fileSectors: number, what: string): void {
  if (fileSectors <= SECTORS_IN_FILE) return;
  throw new ImageError(
    'IMAGE_TOO_LARGE',
    `${what} holds so much data that its VMDK would be larger than the 2 TiB a sparse VMDK can have; export it as qcow2 or raw.`,
  );
}

export function tableCountOf(grains: AllocatedGrains): number {
  return Math.ceil(grains.diskGrains / TABLE_GRAINS);
}

export function directorySectorsOf(tableCount: number): number {
  return Math.ceil((tableCount * 4) / SECTOR_BYTES);
}
