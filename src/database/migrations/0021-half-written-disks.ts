import type { Migration } from './migration.js';

export const halfWrittenDisks: Migration = {
  name: '0021-half-written-disks',
  sql: `
    CREATE TABLE half_written_disks (
      disk_id   text  CONSTRAINT half_written_disks_pkey PRIMARY KEY
                      CONSTRAINT half_written_disks_disk_fkey REFERENCES disks (id) ON DELETE CASCADE,
      run_id    text  NOT NULL,
      sentence  text  NOT NULL
    );
    CREATE INDEX half_written_disks_run_idx ON half_written_disks (run_id);
    COMMENT ON TABLE half_written_disks IS 'Disks that a restore began to write over, each with the last such run; it counts as long as that run has no result';
  `,
};
