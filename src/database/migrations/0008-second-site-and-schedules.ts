import type { Migration } from './migration.js';

export const secondSiteAndSchedules: Migration = {
  name: '0008-second-site-and-schedules',
  sql: `
    ALTER TABLE restore_points ADD COLUMN copied_at timestamptz, ADD COLUMN copy_requested_at timestamptz, ADD COLUMN held_until timestamptz;
    COMMENT ON COLUMN restore_points.copied_at IS 'Known to be at the second site since';
    COMMENT ON COLUMN restore_points.copy_requested_at IS 'Its own copy run was made; what that did not reach, the scheduled one does';
    COMMENT ON COLUMN restore_points.held_until IS 'The store itself was told to keep every object of it until then';
    CREATE INDEX restore_points_uncopied_idx ON restore_points (created_at) WHERE copied_at IS NULL AND copy_requested_at IS NULL;

    CREATE TABLE maintenance_schedule (
      task          text        CONSTRAINT maintenance_schedule_pkey PRIMARY KEY,
      scheduled_at  timestamptz NOT NULL,
      run_id        text
    );
    COMMENT ON TABLE maintenance_schedule IS 'The last due time of each task for which a run was made: whoever raises it makes the run, in the same transaction';

    CREATE TABLE maintenance_state (
      name        text        CONSTRAINT maintenance_state_pkey PRIMARY KEY,
      value       jsonb       NOT NULL,
      updated_at  timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE maintenance_state IS 'Where a task that does its work in parts goes on';
  `,
};
