import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** A cloud whose metadata could not be read for long, though policies depend on them. */
export interface StaleMetadata {
  cloudId: string;
  /** Of the first try. */
  askedAt: Date;
  readAt: Date | null;
  /** Since it was read. */
  tries: number;
  /** Of the last try that ended. */
  error: string | null;
  minutes: number;
  /** Whether a policy was made or changed since: whom it means is not known, and nothing of the cloud is deleted. */
  retentionWaits: boolean;
}

/** Of policy `p`: whom it means in cloud `r` is VCD's to say. */
const DEPENDS = `p.scope->>'cloudId' = r.cloud_id AND (p.offered OR p.scope ? 'metadata')`;

/** What came of asking VCD for the metadata that policies depend on, by the database's clock. */
@Injectable()
export class MetadataReadStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Before it is asked: a process that dies meanwhile has tried, too. */
  async begin(cloudId: string): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO metadata_reads AS r (cloud_id, tries) VALUES ($1, 1) ON CONFLICT (cloud_id) DO UPDATE SET tries = r.tries + 1`,
      [cloudId],
    );
  }

  async succeeded(cloudId: string): Promise<void> {
    await this.dataSource.query('UPDATE metadata_reads SET read_at = now(), tries = 0, error = NULL WHERE cloud_id = $1', [cloudId]);
  }

  async failed(cloudId: string, error: string): Promise<void> {
    await this.dataSource.query('UPDATE metadata_reads SET error = $2 WHERE cloud_id = $1', [cloudId, error]);
  }

  async stale(tries: number, afterMinutes: number): Promise<StaleMetadata[]> {
    return await this.dataSource.query(
      `SELECT * FROM (
         SELECT r.cloud_id AS "cloudId", r.asked_at AS "askedAt", r.read_at AS "readAt", r.tries, r.error,
           (EXTRACT(EPOCH FROM now() - COALESCE(r.read_at, r.asked_at)) / 60)::float8 AS minutes,
           EXISTS (SELECT FROM policies p WHERE ${DEPENDS} AND p.read_revision < p.revision) AS "retentionWaits"
         FROM metadata_reads r WHERE r.tries >= $1 AND EXISTS (SELECT FROM policies p WHERE ${DEPENDS})) failed
       WHERE minutes > $2 ORDER BY "cloudId"`,
      [tries, afterMinutes],
    );
  }
}
