import type { Migration } from './migration.js';

export const deletionsAndHolds: Migration = {
  name: '0020-deletions-and-holds',
  sql: `
    ALTER TABLE restore_points ADD COLUMN deleting_at timestamptz;
    COMMENT ON COLUMN restore_points.deleting_at IS 'Since when it is being deleted: its manifest may be gone, so it is no restore point any more';
    CREATE INDEX restore_points_deleting_idx ON restore_points (deleting_at) WHERE deleting_at IS NOT NULL;

    UPDATE restore_points SET held_until = NULL WHERE held_until IS NOT NULL AND
      (SELECT r.state FROM runs r WHERE r.kind = 'hold' AND r.exclusive_key = 'repository:hold:' || restore_points.id
       ORDER BY r.created_at DESC, r.id DESC LIMIT 1) <> 'succeeded';
  `,
};
