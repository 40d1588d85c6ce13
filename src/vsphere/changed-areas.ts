import type { Logger, XmlElement } from '../common/index.js';
import { BoundedExtents, type Extent } from '../disk/index.js';
import { VsphereError } from './errors.js';
import { integerOf } from './vim-xml.js';

export interface ChangedAreasQuestion {
  /** For sentences: `disk 2000 of VM "web-1"`. */
  disk: string;
  capacityBytes: number;
  /** One QueryChangedDiskAreas from that offset; resolves to its DiskChangeInfo. */
  ask: (startOffsetBytes: number) => Promise<XmlElement | undefined>;
  log: Logger;
}

/**
 * Asks until the answers cover the disk: one answer describes only part of a large disk (VDDK
 * guide, "Changed Block Tracking on Virtual Disks").
 * @returns sorted, merged, within the disk; of more than MOST_EXTENTS those with the smallest gaps are merged with the gaps.
 * @throws VsphereError CHANGE_TRACKING_LOST when vSphere cannot answer for the change id.
 */
export async function collectChangedAreas(question: ChangedAreasQuestion): Promise<Extent[]> {
  const { disk, capacityBytes, log } = question;
  const found = new BoundedExtents();
  let position = 0;
  while (position < capacityBytes) {
    const info = await askOnce(question, position);
    const start = integerOf(info?.child('startOffset'));
    const length = integerOf(info?.child('length'));
    if (info === undefined || start === undefined || length === undefined || start > position || start + length <= position) {
      // Going on would skip part of the disk, or never end.
      throw lost(disk, `the answer from offset ${position} covers nothing from there on`);
    }
    found.add(info.childrenNamed('changedArea').map((area) => readArea(area, disk, capacityBytes)));
    position = start + length;
  }
  const { extents, widenedBytes } = found.take();
  if (widenedBytes > 0) log.info({ disk, widenedBytes }, 'so many changed areas that the smallest gaps count as changed too');
  return extents;
}

async function askOnce(question: ChangedAreasQuestion, position: number): Promise<XmlElement | undefined> {
  try {
    return await question.ask(position);
  } catch (error) {
    if (error instanceof VsphereError && isLoss(error)) throw lost(question.disk, error.message, error);
    throw error;
  }
}

function readArea(area: XmlElement, disk: string, capacityBytes: number): Extent {
  const offsetBytes = integerOf(area.child('start'));
  const lengthBytes = integerOf(area.child('length'));
  if (offsetBytes === undefined || lengthBytes === undefined || offsetBytes < 0 || lengthBytes < 0 || offsetBytes > capacityBytes) {
    throw lost(disk, 'the answer names an area that is not on the disk');
  }
  // Tracking works in blocks of 64 KiB and more: the last one may reach past the end.
  return { offsetBytes, lengthBytes: Math.min(lengthBytes, capacityBytes - offsetBytes) };
}

/**
 * FileFault (and its kinds that speak of the tracking file): tracking was off at that time, or its
 * file is gone. InvalidArgument of changeId: the id is of another disk or another tracking epoch.
 */
function isLoss(error: VsphereError): boolean {
  if (error.faultType === 'InvalidArgument') return error.invalidProperty === undefined || /changeId$/i.test(error.invalidProperty);
  return LOST_FAULTS.has(error.faultType ?? '');
}

const LOST_FAULTS = new Set(['FileFault', 'FileNotFound', 'CannotAccessFile', 'InvalidDatastorePath']);

function lost(disk: string, why: string, cause?: VsphereError): VsphereError {
  return new VsphereError(`vSphere cannot tell what changed on ${disk}, so it must be copied in full: ${why.replace(/\.$/, '')}.`, {
    code: 'CHANGE_TRACKING_LOST',
    subject: disk,
    ...(cause?.faultType === undefined ? {} : { faultType: cause.faultType }),
    ...(cause === undefined ? {} : { cause, method: 'QueryChangedDiskAreas' }),
  });
}
