/**
 * Disk images: raw, VMDK (monolithicSparse, streamOptimized) and qcow2, made of a disk in chunks while they are read.
 * It knows no repository, no HTTP and no file.
 *
 * It promises: what is held in memory is some windows of 4 MiB and 20 bytes for 512 MiB of disk, whatever the disk's size;
 * the same chunks make the same bytes, so that a part asked for later fits to one asked for before; sectors and bytes are
 * right up to 2^53, and what a format cannot say is refused before its first byte.
 */
export { AllocatedGrains } from './allocated-grains.js';
export { type ByteSource, concatenate, fixedBytes, padded, readAhead, zeroBytes } from './byte-source.js';
export type { ChunkReader } from './chunk-reader.js';
export { ImageError, type ImageErrorCode } from './errors.js';
export { rawImage } from './grain-data.js';
export { qcow2Image } from './qcow2.js';
export { storedStream } from './stored-stream.js';
export type { VmdkLabels } from './vmdk-header.js';
export { sparseVmdk } from './vmdk-sparse.js';
export { deflatedStream } from './vmdk-stream.js';
