import { throwIfAborted } from '../common/index.js';
import { isDamage, isRepositoryError } from './errors.js';
import { ID_BYTES, PAGE_IDS, ZERO_ID, type IndexRoot } from './format.js';
import type { Healing } from './heal.js';
import { readIndexRoot } from './index-root.js';
import type { Organization } from './organization.js';
import type { Manifest } from './types.js';
import type { RollingOptions, RollingTurn } from './rolling-turn.js';
import { readManifestOf, restorePointIds } from './walk.js';
import { type PackFindings, verifyPacks } from './verify-packs.js';

const DEFAULT_SAMPLE_SHARE = 0.05;
/** A disk that is damaged all over is named with this many ranges and the number of bytes. */
const MAXIMUM_RANGES = 1000;

export interface VerifyOptions {
  /** `structure` reads no chunk, `sample` a share of them, `full` every byte, `rolling` every byte of the packs whose turn it is. */
  mode: 'structure' | 'sample' | 'full' | 'rolling';
  /** Of `rolling`: where it goes on. */
  rolling?: RollingOptions;
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
  /** Was damaged, and is stored anew from the other site. */
  healed: VerifyFinding[];
}

/**
 * Looks for damage and names it down to the byte range of a disk. What is damaged is noted in bad/,
 * so that the next backup that meets the chunk stores it anew.
 * @param healing fetches what is lost from elsewhere.
 * @param turn of `rolling`: the packs to be read.
 */
export async function verifyOrganization(
  organization: Organization,
  options: VerifyOptions,
  report: VerifyReport,
  healing?: Healing,
  turn?: RollingTurn,
): Promise<void> {
  const { signal } = options;
  await organization.index.refresh(signal);
  const packs = await verifyPacks(organization, {
    dataShare: { structure: 0, sample: options.sampleShare ?? DEFAULT_SAMPLE_SHARE, full: 1, rolling: 1 }[options.mode],
    choose: turn && ((name) => turn.has(name)),
    onPack: turn && ((name) => turn.done(name)),
    signal,
    onProgress: (donePacks, total) => options.onProgress?.({ donePacks, packs: total }),
  });
  const { organizationId } = organization.place;
  report.packs += packs.packs;
  report.records += packs.records;
  report.bytesRead += packs.bytesRead;
  for (const { name, reason } of packs.objects) {
    const finding = { organizationId, kind: 'object' as const, name, reason };
    if (healing && (await healing.pack(name, signal))) report.healed.push(finding);
    else report.findings.push(finding);
  }
  const points = new RestorePointVerification(organization, packs, undefined, signal);
  for (const restorePointId of await restorePointIds(organization, signal)) await points.verify(restorePointId);
  report.restorePoints += points.report.restorePoints;
  await lookAgain(organization, packs, points.report.findings, { report, healing }, signal);
}

/**
 * What a restore point lacks that was deleted, or shredded, while this looked is no damage, nor is what a collection has moved to other
 * packs meanwhile: before it counts it is looked for once more, with what the repository has now.
 * @param lacking what was found first, with the more precise reasons.
 */
async function lookAgain(
  organization: Organization,
  packs: PackFindings,
  lacking: readonly VerifyFinding[],
  { report, healing }: { report: VerifyReport; healing: Healing | undefined },
  signal?: AbortSignal,
): Promise<void> {
  if (lacking.length === 0) return;
  await organization.index.refreshForMissing(signal);
  const points = new RestorePointVerification(organization, packs, healing, signal);
  for (const restorePointId of new Set(lacking.map((finding) => finding.restorePointId as string))) await points.verify(restorePointId);
  await points.flush();
  const keyOf = ({ kind, restorePointId, diskId, name }: VerifyFinding) => JSON.stringify([kind, restorePointId, diskId, name]);
  const reasons = new Map(lacking.map((finding) => [keyOf(finding), finding.reason]));
  const withFirstReason = (finding: VerifyFinding) => ({ ...finding, reason: reasons.get(keyOf(finding)) ?? finding.reason });
  report.findings.push(...points.report.findings.map(withFirstReason));
  report.healed.push(...points.report.healed.map(withFirstReason));
}

class RestorePointVerification {
  readonly report: Pick<VerifyReport, 'restorePoints' | 'findings' | 'healed'> = { restorePoints: 0, findings: [], healed: [] };
  /** Pages without a bad chunk, by id: shared by many restore points, looked through once. */
  private readonly soundPages = new Set<string>();
  /** What was stored anew since the last flush: each is told whether it is durable, and so healed. */
  private readonly pending: ((durable: boolean) => void)[] = [];

  constructor(
    private readonly organization: Organization,
    private readonly packs: PackFindings,
    private readonly healing: Healing | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async verify(restorePointId: string, healed = false): Promise<void> {
    throwIfAborted(this.signal);
    let manifest: Manifest;
    try {
      manifest = await readManifestOf(this.organization, restorePointId, this.signal);
    } catch (error) {
      if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) return;
      if (!isDamage(error)) throw error;
      const finding = { kind: 'manifest', restorePointId, reason: error.message } as const;
      if (healed || !(await this.healing?.manifest(restorePointId, this.signal))) return this.find(finding);
      this.heal(finding);
      return this.verify(restorePointId, true);
    }
    this.report.restorePoints += 1;
    for (const documentId of manifest.documents) await this.verifyDocument(restorePointId, documentId);
    for (const disk of manifest.disks) await this.verifyDisk(restorePointId, disk);
  }

  /** @returns whether everything that was stored anew is durable. */
  async flush(): Promise<boolean> {
    const durable = (await this.healing?.flush(this.signal)) ?? false;
    for (const settle of this.pending.splice(0)) settle(durable);
    return durable;
  }

  private async verifyDocument(restorePointId: string, documentId: string): Promise<void> {
    const id = Buffer.from(documentId, 'hex');
    if (this.organization.index.present(id)[0]) return;
    const finding = { kind: 'document', restorePointId, name: documentId, reason: this.reasonOf(id) } as const;
    if (!(await this.healing?.record('document', id, this.signal))) return this.find(finding);
    this.pending.push((durable) => (durable ? this.heal(finding) : this.find(finding)));
  }

  private async verifyDisk(restorePointId: string, disk: Manifest['disks'][number]): Promise<void> {
    const none = () => new DamagedRanges(disk.capacityBytes);
    const ranges = { bad: none(), healed: none(), stored: none() };
    const { bad, healed, stored } = ranges;
    const whole = { offsetBytes: 0, lengthBytes: disk.capacityBytes };
    const rootId = Buffer.from(disk.indexId, 'hex');
    const read = () => readIndexRoot(this.organization.reader, disk.diskId, disk, this.signal);
    const root = await this.readOrHeal('root', rootId, whole, read, ranges);
    if (root) await this.verifyPages(disk.diskId, root, ranges);
    const findingOf = (some: DamagedRanges) => ({ kind: 'disk' as const, restorePointId, diskId: disk.diskId, ...some.result() });
    if (bad.bytes > 0) this.find(findingOf(bad));
    const settle = (durable: boolean) => {
      if (durable) healed.take(stored);
      if (healed.bytes > 0) this.heal(findingOf(healed));
      if (stored.bytes > 0) this.find(findingOf(stored));
    };
    if (stored.bytes > 0) this.pending.push(settle);
    else settle(true);
  }

  private async verifyPages(diskId: string, root: IndexRoot, ranges: Ranges): Promise<void> {
    const pageBytes = PAGE_IDS * root.chunkBytes;
    for (let number = 0; number < root.pageIds.length / ID_BYTES; number += 1) {
      const id = root.pageIds.subarray(number * ID_BYTES, (number + 1) * ID_BYTES);
      if (id.equals(ZERO_ID) || this.soundPages.has(id.toString('latin1'))) continue;
      const read = () => this.organization.reader.readOne('page', id, `page ${number} of the index of disk "${diskId}"`, this.signal);
      const range = { offsetBytes: number * pageBytes, lengthBytes: pageBytes };
      const page = await this.readOrHeal('page', id, range, read, ranges);
      if (page && !(await this.findChunks(page, number * pageBytes, root.chunkBytes, ranges))) this.soundPages.add(id.toString('latin1'));
    }
  }

  /** @returns undefined when it is lost; then its range is among the bad ones. */
  private async readOrHeal<T>(
    kind: 'root' | 'page',
    id: Buffer,
    range: ByteRange,
    read: () => Promise<T>,
    { bad, healed, stored }: Ranges,
  ): Promise<T | undefined> {
    let reason: string;
    try {
      return await read();
    } catch (error) {
      if (!isDamage(error)) throw error;
      reason = error.message;
    }
    if (!(await this.healing?.record(kind, id, this.signal)) || !(await this.flush())) {
      bad.add(range.offsetBytes, range.lengthBytes, reason);
      return undefined;
    }
    healed.take(stored);
    healed.add(range.offsetBytes, range.lengthBytes, reason);
    return read();
  }

  /** @returns whether there is one that was not well. */
  private async findChunks(page: Buffer, pageOffsetBytes: number, chunkBytes: number, { bad, stored }: Ranges): Promise<boolean> {
    let found = false;
    for (const [i, present] of this.organization.index.present(page).entries()) {
      const id = page.subarray(i * ID_BYTES, (i + 1) * ID_BYTES);
      if (present || id.equals(ZERO_ID)) continue;
      found = true;
      const ranges = (await this.healing?.record('data', id, this.signal)) ? stored : bad;
      ranges.add(pageOffsetBytes + i * chunkBytes, chunkBytes, this.reasonOf(id));
    }
    return found;
  }

  private reasonOf(id: Buffer): string {
    return this.packs.damaged.get(id.toString('hex')) ?? 'no pack holds it, or its damage was found before';
  }

  private heal(finding: Omit<VerifyFinding, 'organizationId'>): void {
    this.report.healed.push({ organizationId: this.organization.place.organizationId, ...finding });
  }

  private find(finding: Omit<VerifyFinding, 'organizationId'>): void {
    this.report.findings.push({ organizationId: this.organization.place.organizationId, ...finding });
  }
}

interface Ranges {
  bad: DamagedRanges;
  healed: DamagedRanges;
  /** Stored anew, and healed with the next flush. */
  stored: DamagedRanges;
}

/** Neighbours joined, cut at the end of the disk. */
class DamagedRanges {
  private ranges: ByteRange[] = [];
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

  /** All of another, which is empty then. */
  take(other: DamagedRanges): void {
    const bytes = this.bytes + other.bytes;
    for (const { offsetBytes, lengthBytes } of other.ranges) this.add(offsetBytes, lengthBytes, other.reason);
    this.bytes = bytes;
    other.ranges = [];
    other.bytes = 0;
  }

  result(): { ranges: ByteRange[]; damagedBytes: number; reason: string } {
    return { ranges: this.ranges, damagedBytes: this.bytes, reason: this.reason };
  }
}
