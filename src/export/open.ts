import { type ManifestContent, readManifestContent, subjectOf } from '../catalog/index.js';
import type { DiskIndexRef, ManifestRef, RepositoryApi } from '../repository/index.js';
import type { MediaCapture } from '../vcd/index.js';
import type { Deliverable } from './deliverable.js';
import { ExportError } from './errors.js';
import { fileNamePart } from './file-names.js';
import { type DiskFormat, diskImage, mediumFile } from './formats.js';
import type { Digests } from './manifest-file.js';
import { openOva } from './ova.js';
import type { SurveyCache } from './survey-cache.js';

export type PointFormat = 'ova' | 'raw';

/** Where what is exported comes from, and what is kept from one export for the next. */
export interface ExportParts {
  repository: Pick<RepositoryApi, 'readManifest' | 'readDocument' | 'openDisk'>;
  surveys: SurveyCache;
  digests: Digests;
}

interface NamedDisk {
  disk: { diskId: string; metadata: Record<string, string> } & DiskIndexRef;
  /** `Hard disk 1 of VM "web-1"` */
  what: string;
  names: string[];
}

/** @throws ExportError DISK_NOT_FOUND, EXPORT_FORMAT_UNFIT; CatalogError MANIFEST_UNKNOWN; ImageError; RepositoryError. */
export async function openDisk(
  parts: ExportParts,
  ref: ManifestRef,
  { diskId, format }: { diskId: string; format: DiskFormat },
  signal: AbortSignal,
): Promise<Deliverable> {
  const { content } = await readPoint(parts, ref, signal);
  if (content.medium?.diskId === diskId) {
    if (format !== 'raw') throw unfit(content, format, 'raw');
    return openMedium(parts, ref, { ...content, medium: content.medium }, signal);
  }
  const disks = disksOf(content);
  const found = disks.find(({ disk }) => disk.diskId === diskId);
  if (found === undefined) throw noSuchDisk(ref, disks, diskId);
  return imageOf(parts, ref, found, format, signal);
}

/** @throws ExportError EXPORT_FORMAT_UNFIT; CatalogError MANIFEST_UNKNOWN; ImageError; VsphereError BAD_CONFIGURATION; RepositoryError. */
export async function openPoint(
  parts: ExportParts,
  ref: ManifestRef,
  format: PointFormat | undefined,
  signal: AbortSignal,
): Promise<Deliverable> {
  const point = await readPoint(parts, ref, signal);
  const { medium, sourceKind } = point.content;
  const fitting = medium !== undefined || sourceKind === 'first-class-disk' ? 'raw' : 'ova';
  if (format !== undefined && format !== fitting) throw unfit(point.content, format, fitting);
  if (medium !== undefined) return openMedium(parts, ref, { ...point.content, medium }, signal);
  const [only] = disksOf(point.content);
  if (fitting === 'raw' && only !== undefined) return imageOf(parts, ref, only, 'raw', signal);
  return openOva(parts, ref, point, signal);
}

async function readPoint({ repository }: ExportParts, ref: ManifestRef, signal: AbortSignal) {
  const { content, createdAt } = await repository.readManifest(ref, signal);
  return { content: readManifestContent(ref.restorePointId, content), createdAt };
}

async function imageOf(
  parts: ExportParts,
  ref: ManifestRef,
  named: NamedDisk,
  format: DiskFormat,
  signal: AbortSignal,
): Promise<Deliverable> {
  const { disk, what, names } = named;
  return diskImage(
    {
      disk,
      reader: await parts.repository.openDisk(ref, disk, signal),
      format,
      survey: (reader, either) => parts.surveys.survey(disk, reader, either),
      baseName: names.map(fileNamePart).join('-'),
      what,
      metadata: disk.metadata,
    },
    signal,
  );
}

async function openMedium(
  { repository }: ExportParts,
  ref: ManifestRef,
  { medium, vapp, vappCaptureDocument }: ManifestContent & Required<Pick<ManifestContent, 'medium'>>,
  signal: AbortSignal,
): Promise<Deliverable> {
  const reader = await repository.openDisk(ref, medium, signal);
  const document = await repository.readDocument(ref, vappCaptureDocument, signal);
  const { imageType } = JSON.parse(document.toString('utf8')) as Pick<MediaCapture, 'imageType'>;
  const extension = imageType === 'floppy' ? 'flp' : 'iso';
  const name = fileNamePart(vapp.name);
  const fileName = name.toLowerCase().endsWith(`.${extension}`) ? name : `${name}.${extension}`;
  return mediumFile(reader, medium, fileName, `medium "${vapp.name}"`);
}

function disksOf({ vapp, vms, firstClassDisk }: ManifestContent): NamedDisk[] {
  const ofVms = vms.flatMap((vm) =>
    vm.disks.map((disk) => ({
      disk,
      what: `${disk.label} of VM "${vm.name}"`,
      names: [vapp.name, ...(vm.name === vapp.name ? [] : [vm.name]), disk.label],
    })),
  );
  if (firstClassDisk === undefined) return ofVms;
  return [...ofVms, { disk: firstClassDisk, what: `first class disk "${vapp.name}"`, names: [vapp.name] }];
}

function noSuchDisk(ref: ManifestRef, disks: readonly NamedDisk[], diskId: string): ExportError {
  const known = disks.map(({ disk, what }) => `${disk.diskId} (${what})`);
  const has = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
  return new ExportError('DISK_NOT_FOUND', `Restore point ${ref.restorePointId} has no disk ${diskId}; ${has}.`, {
    subject: `disk ${diskId}`,
  });
}

function unfit({ sourceKind, vapp }: ManifestContent, format: string, fitting: string): ExportError {
  return new ExportError(
    'EXPORT_FORMAT_UNFIT',
    `The restore point is of ${subjectOf({ kind: sourceKind ?? 'vapp', name: vapp.name })}, which is not exported as ${format}; ask for format=${fitting}.`,
  );
}
