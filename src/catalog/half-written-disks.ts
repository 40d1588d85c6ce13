import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

/**
 * Disks that are neither what they were nor what a restore point has: writing over cannot be undone, and the process that did it
 * may be gone. Nothing takes a mark away when all went well: it counts as long as its run came to nothing, so the commit that gives
 * the run its result ends it in the same instant. A mark of a disk that nobody has any more says nothing to anybody, and goes with the disk.
 */
@Injectable()
export class HalfWrittenDisks {
  constructor(private readonly dataSource: DataSource) {}

  /** The last one that writes says what the disk is. */
  async mark(diskId: string, runId: string, sentence: string): Promise<void> {
    await this.dataSource.query('DELETE FROM half_written_disks h USING runs r WHERE r.id = h.run_id AND r.result IS NOT NULL');
    await this.dataSource.query(
      `INSERT INTO half_written_disks (disk_id, run_id, sentence) VALUES ($1, $2, $3)
       ON CONFLICT (disk_id) DO UPDATE SET run_id = EXCLUDED.run_id, sentence = EXCLUDED.sentence`,
      [diskId, runId, sentence],
    );
  }

  /** The run restores that VM by another one in its place: from its commit on nothing of it is half written, and until then all is as before. */
  async handTo(vmId: string, runId: string): Promise<void> {
    await this.dataSource.query('UPDATE half_written_disks h SET run_id = $2 FROM disks d WHERE d.id = h.disk_id AND d.vm_id = $1', [
      vmId,
      runId,
    ]);
  }

  /** By disk, the run. */
  async among(diskIds: readonly string[]): Promise<Map<string, string>> {
    const rows: { diskId: string; runId: string }[] = await this.dataSource.query(
      `SELECT h.disk_id AS "diskId", h.run_id AS "runId" FROM half_written_disks h JOIN runs r ON r.id = h.run_id
       WHERE h.disk_id = ANY($1) AND r.result IS NULL`,
      [diskIds],
    );
    return new Map(rows.map(({ diskId, runId }) => [diskId, runId]));
  }

  async by(runId: string): Promise<string[]> {
    const rows: { sentence: string }[] = await this.dataSource.query(
      'SELECT DISTINCT sentence FROM half_written_disks WHERE run_id = $1 ORDER BY sentence',
      [runId],
    );
    return rows.map(({ sentence }) => sentence);
  }

  /** Which of these runs a mark names: with its run it would lose its meaning. */
  async runsOf(runIds: readonly string[]): Promise<string[]> {
    const rows: { runId: string }[] = await this.dataSource.query(
      'SELECT DISTINCT run_id AS "runId" FROM half_written_disks WHERE run_id = ANY($1)',
      [runIds],
    );
    return rows.map(({ runId }) => runId);
  }
}
