import { nounOf } from '../catalog/index.js';
import { owe } from '../clouds/index.js';
import type { MediaCapture, MetadataEntry } from '../vcd/index.js';
import type { BackupSource, CopiedData, VcdBackupWork } from './backup-source.js';
import { storeMedium } from './store-medium.js';
import { BackupError } from './errors.js';

/** A medium (ISO or floppy image) has neither VMs nor a maintenance mode: its bytes are downloaded from VCD. */
export function mediumSource(work: VcdBackupWork): BackupSource<MediaCapture> {
  const { vapp, vcd, run } = work;
  return {
    noun: nounOf(vapp.kind),
    waitForTasks: (timeoutMs) => vcd.waitForEntityTasks(vapp.href, timeoutMs, run.signal),
    capture: () => vcd.captureMedia(vapp.href, run.signal),
    fingerprint,
    // VCD lets nobody write into a medium that is uploaded: other bytes are another medium.
    sameData: (one, other) => one.id === other.id && one.sizeBytes === other.sizeBytes,
    hold: async (capture) => ({
      frozen: false,
      copy: () => run.step('Copy the medium', () => downloadMedium(capture, work)),
      release: async () => {},
    }),
  };
}

/** All that is told of it; VCD lists metadata in no order. */
function fingerprint({ raw: _raw, metadata, catalogEntry, ...told }: MediaCapture): string {
  return JSON.stringify([told, sorted(metadata), { ...catalogEntry, metadata: sorted(catalogEntry.metadata) }]);
}

function sorted(metadata: readonly MetadataEntry[]): string[] {
  return metadata.map((entry) => JSON.stringify(entry)).sort();
}

/** @throws BackupError MEDIUM_EMPTY, MEDIUM_INCOMPLETE. */
async function downloadMedium(capture: MediaCapture, work: VcdBackupWork): Promise<CopiedData> {
  const { vapp, cloud, vcd, session, run, parts } = work;
  const { name, href, sizeBytes } = capture;
  if (sizeBytes === 0) {
    throw new BackupError('MEDIUM_EMPTY', `Medium "${name}" has no bytes; its upload is not finished, or has failed.`, true);
  }
  const startedAt = new Date().toISOString();
  const debt = await owe(run.obligations, 'vcd.download', { cloudId: cloud.cloudId, mediaHref: href, mediaName: name });
  const { body, alreadyEnabled } = await vcd.downloadMedia(href, run.signal);
  // Whoever else fetches it now is not to be cut off.
  if (alreadyEnabled) await debt.settle();
  const medium = await storeMedium({
    // A medium has one content, and keeps its id here through restores: that is its disk's identity.
    diskId: vapp.id,
    name,
    body,
    sizeBytes,
    session,
    chunkBytes: parts.repository.defaultChunkBytes,
    onProgress: (doneBytes) => run.progress(name, { doneBytes, totalBytes: sizeBytes }),
    signal: run.signal,
  });
  if (!alreadyEnabled) await debt.pay();
  return { vms: [], medium, snapshots: { firstAt: startedAt, lastAt: startedAt, spreadMs: 0 } };
}
