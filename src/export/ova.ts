import { createHash } from 'node:crypto';
import type { ManifestContent, ManifestVm } from '../catalog/index.js';
import { fixedBytes, storedStream } from '../image/index.js';
import type { ManifestRef } from '../repository/index.js';
import type { VappCapture } from '../vcd/index.js';
import { capturedHardware } from '../vsphere/index.js';
import type { Deliverable } from './deliverable.js';
import { ExportError } from './errors.js';
import { fileNamePart, plainName } from './file-names.js';
import { contentIdOf, etagOf } from './formats.js';
import { type DigestedFile, manifestFile } from './manifest-file.js';
import type { ExportParts } from './open.js';
import { type OvfDisk, type OvfVm, ovfDescriptor } from './ovf/descriptor.js';
import { type TarEntry, tarArchive } from './tar.js';

/** So that names of disks fit a tar header. */
const LONGEST_BASE_NAME = 60;

interface PackagedDisk {
  file: DigestedFile;
  described: OvfDisk;
}

/**
 * A vApp, VM or template as one file: the descriptor first, then the disks in the order it names them, the manifest last,
 * because their digests are known only then (DSP0243 1.1.0, 5.4, which allows this place).
 * @throws ImageError; VsphereError BAD_CONFIGURATION; RepositoryError; ExportError EXPORT_FORMAT_UNFIT.
 */
export async function openOva(
  parts: ExportParts,
  ref: ManifestRef,
  { content, createdAt }: { content: ManifestContent; createdAt: string },
  signal: AbortSignal,
): Promise<Deliverable> {
  const document = async (id: string) => (await parts.repository.readDocument(ref, id, signal)).toString('utf8');
  const captured = JSON.parse(await document(content.vappCaptureDocument)) as VappCapture;
  const baseName = plainName(content.vapp.name).slice(0, LONGEST_BASE_NAME) || 'vapp';
  const vms: OvfVm[] = [];
  const disks: PackagedDisk[] = [];
  for (const vm of content.vms) {
    const ofVm = new Map<number, OvfDisk>();
    for (const disk of vm.disks) {
      const packaged = await packageDisk(parts, ref, { vm, disk, fileName: `${baseName}-disk${disks.length + 1}.vmdk` }, signal);
      disks.push(packaged);
      ofVm.set(disk.deviceKey, packaged.described);
    }
    vms.push({ captured: capturedVm(captured, vm), hardware: capturedHardware(await document(vm.configurationDocument)), disks: ofVm });
  }
  // VMs that were left out of the backup are not in the package, and in no section of it.
  const described = { ...captured, vms: vms.map((vm) => vm.captured) };
  const descriptor = Buffer.from(ovfDescriptor(described, vms), 'utf8');
  const digest = createHash('sha256').update(descriptor).digest('hex');
  const files: DigestedFile[] = [
    { name: `${baseName}.ovf`, etag: `"${digest}"`, content: fixedBytes(descriptor) },
    ...disks.map(({ file }) => file),
  ];
  const modifiedAt = new Date(createdAt);
  const entries: TarEntry[] = files.map((file) => ({ name: file.name, content: parts.digests.tee(file), modifiedAt }));
  entries.push({ name: `${baseName}.mf`, content: manifestFile(files, parts.digests), modifiedAt });
  const facts = ['ova', createdAt, ...files.map(({ name, etag }) => name + etag)];
  return {
    fileName: `${fileNamePart(content.vapp.name)}.ova`,
    what: `"${content.vapp.name}"`,
    etag: `"${createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32)}"`,
    content: tarArchive(entries),
  };
}

async function packageDisk(
  { repository, surveys }: ExportParts,
  ref: ManifestRef,
  { vm, disk, fileName }: { vm: ManifestVm; disk: ManifestVm['disks'][number]; fileName: string },
  signal: AbortSignal,
): Promise<PackagedDisk> {
  const reader = await repository.openDisk(ref, disk, signal);
  const grains = await surveys.survey(disk, reader, signal);
  const labels = { fileName, contentId: contentIdOf(disk), metadata: disk.metadata };
  const content = storedStream(grains, labels, `${disk.label} of VM "${vm.name}"`);
  return {
    file: { name: fileName, etag: etagOf(disk, 'stored-stream', JSON.stringify(labels)), content },
    described: {
      fileName,
      sizeBytes: content.sizeBytes,
      capacityBytes: disk.capacityBytes,
      dataBytes: Math.min(disk.capacityBytes, grains.allocatedBytes),
    },
  };
}

/** @throws ExportError EXPORT_FORMAT_UNFIT: a restore point that does not know its own VM. */
function capturedVm(captured: VappCapture, vm: ManifestVm): VappCapture['vms'][number] {
  const found = captured.vms.find(({ id }) => id === vm.vcloudId);
  if (found !== undefined) return found;
  throw new ExportError(
    'EXPORT_FORMAT_UNFIT',
    `The restore point's capture does not describe VM "${vm.name}", so there is no descriptor to be made; export its disks one by one.`,
    { subject: `VM "${vm.name}"` },
  );
}
