import type { Migration } from './migration.js';

export const waitsAndAdoptions: Migration = {
  name: '0015-waits-and-adoptions',
  sql: `
    ALTER TABLE runs ADD COLUMN queued_at timestamptz NOT NULL DEFAULT now();
    UPDATE runs SET queued_at = created_at;
    COMMENT ON COLUMN runs.queued_at IS 'Since when it waits, or last waited: a run that lost its worker waits anew';

    ALTER TABLE restore_points ADD COLUMN adopted_at timestamptz;
    COMMENT ON COLUMN restore_points.adopted_at IS 'When a rebuild of the catalog brought it back';
    CREATE INDEX restore_points_adopted_idx ON restore_points (adopted_at) WHERE adopted_at IS NOT NULL;

    ALTER TABLE policies ADD COLUMN read_revision integer NOT NULL DEFAULT 0;
    UPDATE policies SET read_revision = revision;
    COMMENT ON COLUMN policies.read_revision IS 'The revision for which VCD has been asked what metadata its objects carry';
  `,
};
