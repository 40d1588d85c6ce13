import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, MIB } from '../../src/common/index.js';
import { makeDataDir } from '../harness/database.js';
import { measureMark } from '../repository/gc-material.js';
import { atMost, type BenchOptions, type BenchRow, exactly } from './bench.js';

const RESTORE_POINTS = 30;
const DISK_BYTES = 1024 * GIB;
/** 2 % of the blocks of 64 KiB, at random: so many of the chunks of 256 KiB are others. */
const CHANGED_CHUNKS_SHARE = 1 - 0.98 ** 4;
const MARK_SECONDS = 5;
/** The filter (2 bytes a record, rounded up to a power of two) and the pages in flight; it does not grow with the restore points' pages. */
const MARK_MIB = 160;

/** How long the collector takes to find out what 30 restore points of a disk of 1 TiB refer to, and in which memory. */
export async function gc({ small, say }: BenchOptions): Promise<BenchRow[]> {
  const folder = await makeDataDir();
  const capacityBytes = small ? DISK_BYTES / 64 : DISK_BYTES;
  const rows: BenchRow[] = [];
  try {
    for (const [where, changedPagesShare] of [
      ['changes in a tenth of the disk', 0.1],
      ['changes all over the disk', 1],
    ] as const) {
      say(`making the pages of ${RESTORE_POINTS} restore points of ${capacityBytes / GIB} GiB, ${where} …`);
      const material = { capacityBytes, restorePoints: RESTORE_POINTS, changedPagesShare, changedChunksShare: CHANGED_CHUNKS_SHARE };
      const { seconds, cpuSeconds, pages, peakBytes, records } = await measureMark(join(folder, 'repository'), material);
      say(
        `${pages} pages, ${Math.round((pages * 128) / 1024)} MiB, of ${records} records: ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`,
      );
      const first = capacityBytes / GIB;
      rows.push(exactly(`${where}: pages read`, pages, 'pages', first + (RESTORE_POINTS - 1) * Math.round(first * changedPagesShare)));
      rows.push(atMost(`${where}: time`, seconds, 's', MARK_SECONDS));
      rows.push(atMost(`${where}: memory`, peakBytes / MIB, 'MiB', MARK_MIB));
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
