import { throwIfAborted } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { ID_BYTES, PAGE_IDS, ZERO_ID, type IndexRoot } from './format.js';
import { readIndexRoot } from './index-root.js';
import type { Organization } from './organization.js';
import type { Manifest } from './types.js';
import { readManifestOf, restorePointIds } from './walk.js';
import { type PackFindings, verifyPacks } from './verify-packs.js';

const DEFAULT_SAMPLE_SHARE = 0.05;
/** A disk that is damaged all over is named with this many ranges and the number of bytes. */
const MAXIMUM_RANGES = 1000;

export interface VerifyOptions {
  /** `structure` reads no chunk, `sample` a share of them, `full` every byte. */
  mode: 'structure' | 'sample' | 'full';
  /** Of `sample`: more than 0, at most 1; a twentieth by default. */
  sampleShare?: number;
  /** Only this organization. */
  organizationId?: string;
  onProgress?: (progress: { donePacks: number; packs: number }) => void;
  signal?: AbortSignal;
}

export interface ByteRange {
  offsetBytes: number;
  lengthBytes: number;
}

/** One thing that is bad, by the names that belong to it. */
export interface VerifyFinding {
  organizationId: string;
  /** What it is about: an object of the repository, or a part of a restore point. */
  kind: 'object' | 'manifest' | 'document' | 'disk';
  /** Below the organization's folder; of `object`. */
  name?: string;
  restorePointId?: string;
  diskId?: string;
  /** Of `disk`: what cannot be restored, ascending. */
  ranges?: ByteRange[];
  /** Of `disk`: in all ranges, those that are not listed included. */
  damagedBytes?: number;
  reason: string;
}

export interface VerifyReport {
  restorePoints: number;
  packs: number;
  records: number;
  bytesRead: number;
  findings: VerifyFinding[];
}

/**
 * Looks for damage and names it down to the byte range of a disk. What is damaged is noted in bad/,
 * so that the next backup that meets the chunk stores it anew.
 */
export async function verifyOrganization(organization: Organization, options: VerifyOptions, report: VerifyReport): Promise<void> {
  const { signal } = options;
  await organization.index.refresh(signal);
  const packs = await verifyPacks(organization, {
    dataShare: { structure: 0, sample: options.sampleShare ?? DEFAULT_SAMPLE_SHARE, full: 1 }[options.mode],
    signal,
    onProgress: (donePacks, total) => options.onProgress?.({ donePacks, packs: total }),
  });
  const { organizationId } = organization.place;
  report.packs += packs.packs;
  report.records += packs.records;
  report.bytesRead += packs.bytesRead;
  for (const { name, reason } of packs.objects) report.findings.push({ organizationId, kind: 'object', name, reason });
  const points = new RestorePointVerification(organization, packs, report, signal);
  for (const restorePointId of await restorePointIds(organization, signal)) await points.verify(restorePointId);
}

class RestorePointVerification {
  /** Pages without a bad chunk, by id: shared by many restore points, looked through once. */
  private readonly soundPages = new Set<string>();

  constructor(
    private readonly organization: Organization,
    private readonly packs: PackFindings,
    private readonly report: VerifyReport,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async verify(restorePointId: string): Promise<void> {
    throwIfAborted(this.signal);
    let manifest: Manifest;
    try {
      manifest = await readManifestOf(this.organization, restorePointId, this.signal);
    } catch (error) {
      if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) return;
      if (!isDamage(error)) throw error;
      this.find({ kind: 'manifest', restorePointId, reason: error.message });
      return;
    }
    this.report.restorePoints += 1;
    for (const documentId of manifest.documents) this.verifyDocument(restorePointId, documentId);
    for (const disk of manifest.disks) await this.verifyDisk(restorePointId, disk);
  }

  private verifyDocument(restorePointId: string, documentId: string): void {
    const id = Buffer.from(documentId, 'hex');
    if (this.organization.index.present(id)[0]) return;
    this.find({ kind: 'document', restorePointId, name: documentId, reason: this.reasonOf(id) });
  }

  private async verifyDisk(restorePointId: string, disk: Manifest['disks'][number]): Promise<void> {
    const bad = new DamagedRanges(disk.capacityBytes);
    let root: IndexRoot;
    try {
      root = await readIndexRoot(this.organization.reader, disk.diskId, disk, this.signal);
    } catch (error) {
      if (!isDamage(error)) throw error;
      bad.add(0, disk.capacityBytes, error.message);
      this.find({ kind: 'disk', restorePointId, diskId: disk.diskId, ...bad.result() });
      return;
    }
    const pageBytes = PAGE_IDS * root.chunkBytes;
    for (let number = 0; number < root.pageIds.length / ID_BYTES; number += 1) {
      const id = root.pageIds.subarray(number * ID_BYTES, (number + 1) * ID_BYTES);
      if (id.equals(ZERO_ID) || this.soundPages.has(id.toString('latin1'))) continue;
      try {
        const page = await this.organization.reader.readOne(
          'page',
          id,
          `page ${number} of the index of disk "${disk.diskId}"`,
          this.signal,
        );
        if (!this.findChunks(page, number * pageBytes, root.chunkBytes, bad)) this.soundPages.add(id.toString('latin1'));
      } catch (error) {
        if (!isDamage(error)) throw error;
        bad.add(number * pageBytes, pageBytes, error.message);
      }
    }
    if (bad.bytes > 0) this.find({ kind: 'disk', restorePointId, diskId: disk.diskId, ...bad.result() });
  }

  /** @returns whether there is a bad one. */
  private findChunks(page: Buffer, pageOffsetBytes: number, chunkBytes: number, bad: DamagedRanges): boolean {
    let found = false;
    this.organization.index.present(page).forEach((present, i) => {
      const id = page.subarray(i * ID_BYTES, (i + 1) * ID_BYTES);
      if (present || id.equals(ZERO_ID)) return;
      found = true;
      bad.add(pageOffsetBytes + i * chunkBytes, chunkBytes, this.reasonOf(id));
    });
    return found;
  }

  private reasonOf(id: Buffer): string {
    return this.packs.damaged.get(id.toString('hex')) ?? 'no pack holds it, or its damage was found before';
  }

  private find(finding: Omit<VerifyFinding, 'organizationId'>): void {
    this.report.findings.push({ organizationId: this.organization.place.organizationId, ...finding });
  }
}

/** Neighbours joined, cut at the end of the disk. */
class DamagedRanges {
  private readonly ranges: ByteRange[] = [];
  private reason = '';
  bytes = 0;

  constructor(private readonly capacityBytes: number) {}

  add(offsetBytes: number, wantedBytes: number, reason: string): void {
    const lengthBytes = Math.min(wantedBytes, this.capacityBytes - offsetBytes);
    this.bytes += lengthBytes;
    if (this.reason === '') this.reason = reason;
    const last = this.ranges.at(-1);
    if (last && last.offsetBytes + last.lengthBytes === offsetBytes) last.lengthBytes += lengthBytes;
    else if (this.ranges.length < MAXIMUM_RANGES) this.ranges.push({ offsetBytes, lengthBytes });
  }

  result(): { ranges: ByteRange[]; damagedBytes: number; reason: string } {
    return { ranges: this.ranges, damagedBytes: this.bytes, reason: this.reason };
  }
}

function isDamage(error: unknown): error is RepositoryError {
  return error instanceof RepositoryError && !error.retryable && /_(DAMAGED|MISSING|TRUNCATED)$|^INVALID_ARGUMENT$/.test(error.code);
}
