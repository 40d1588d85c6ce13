import { createHash } from 'node:crypto';
import { AllocatedGrains, type ByteSource, deflatedStream, qcow2Image, rawImage, sparseVmdk, type VmdkLabels } from '../image/index.js';
import type { DiskIndexRef, DiskReader } from '../repository/index.js';
import { type Deliverable, LAYOUT_VERSION } from './deliverable.js';
import { plainName } from './file-names.js';

export const DISK_FORMATS = ['raw', 'vmdk', 'vmdk-stream-optimized', 'qcow2'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

const EXTENSIONS: Record<DiskFormat, string> = {
  raw: 'raw',
  vmdk: 'vmdk',
  'vmdk-stream-optimized': 'vmdk',
  qcow2: 'qcow2',
};

export interface ImageRequest {
  disk: { diskId: string } & DiskIndexRef;
  reader: DiskReader;
  /** Kept from an earlier export of the same index, or made now. */
  survey: (reader: DiskReader, signal: AbortSignal) => Promise<AllocatedGrains>;
  format: DiskFormat;
  /** Of the file, without its ending. */
  baseName: string;
  what: string;
  /** VDDK's disk database entries. */
  metadata: Readonly<Record<string, string>>;
}

/** A disk as a file. @throws ImageError; RepositoryError of the disk's index. */
export async function diskImage(request: ImageRequest, signal: AbortSignal): Promise<Deliverable> {
  const { disk, format, what } = request;
  const fileName = `${request.baseName}.${EXTENSIONS[format]}`;
  const labels: VmdkLabels = { fileName: plainName(fileName), contentId: contentIdOf(disk), metadata: request.metadata };
  return { fileName, what, etag: etagOf(disk, format, JSON.stringify(labels)), content: await contentOf(request, labels, signal) };
}

async function contentOf(request: ImageRequest, labels: VmdkLabels, signal: AbortSignal): Promise<Deliverable['content']> {
  const { reader, format, what } = request;
  if (format === 'raw') return rawImage(reader);
  const grains = await request.survey(reader, signal);
  if (format === 'vmdk') return sparseVmdk(grains, labels, what);
  if (format === 'qcow2') return qcow2Image(grains, what);
  return { stream: (either) => deflatedStream(grains, labels, what, either) };
}

/** A medium is its bytes; those that fill its last sector are ours. */
export function mediumFile(reader: DiskReader, medium: DiskIndexRef & { sizeBytes: number }, fileName: string, what: string): Deliverable {
  const content: ByteSource = rawImage(reader, medium.sizeBytes);
  return { fileName, what, etag: etagOf(medium, 'medium', String(medium.sizeBytes)), content };
}

export function contentIdOf({ indexId }: DiskIndexRef): number {
  return createHash('sha256').update(indexId).digest().readUInt32BE(0);
}

/** The same index is the same content (repository-format.md), and the same content makes the same file. */
export function etagOf(disk: DiskIndexRef, ...form: string[]): string {
  const facts = [LAYOUT_VERSION, disk.indexId, disk.capacityBytes, disk.chunkBytes, ...form];
  return `"${createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32)}"`;
}
