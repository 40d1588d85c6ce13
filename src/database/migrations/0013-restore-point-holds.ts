import type { Migration } from './migration.js';

export const restorePointHolds: Migration = {
  name: '0013-restore-point-holds',
  // No reference to restore_points: recording a point again replaces its row, and whoever reads it goes on.
  sql: `
    CREATE TABLE restore_point_holds (
      id uuid PRIMARY KEY,
      restore_point_id text NOT NULL,
      reader text NOT NULL,
      expires_at timestamptz NOT NULL
    );
    CREATE INDEX restore_point_holds_point_idx ON restore_point_holds (restore_point_id);
    COMMENT ON TABLE restore_point_holds IS 'Who reads a restore point outside a run (an export): it cannot be deleted meanwhile. Renewed while the reader lives';
  `,
};
