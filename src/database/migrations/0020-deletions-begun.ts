import type { Migration } from './migration.js';

export const deletionsBegun: Migration = {
  name: '0020-deletions-begun',
  sql: `
    ALTER TABLE restore_points ADD COLUMN deleting_at timestamptz;
    COMMENT ON COLUMN restore_points.deleting_at IS 'Since when it is being deleted: its manifest may be gone, so it is no restore point any more';
    CREATE INDEX restore_points_deleting_idx ON restore_points (deleting_at) WHERE deleting_at IS NOT NULL;
  `,
};
