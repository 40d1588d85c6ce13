import type { Migration } from './migration.js';

export const policies: Migration = {
  name: '0009-policies',
  sql: `
    ALTER TABLE runs ADD COLUMN cancel_reason text;
    COMMENT ON COLUMN runs.cancel_reason IS 'A sentence for people, where it was not a person who asked';

    ALTER TABLE clouds ADD COLUMN refresh_tried_at timestamptz;
    COMMENT ON COLUMN clouds.refresh_tried_at IS 'When the service last began to refresh the inventory by itself, whatever came of it';

    ALTER TABLE restore_points
      ADD COLUMN complete      boolean NOT NULL DEFAULT true,
      ADD COLUMN locked_until  timestamptz;
    COMMENT ON COLUMN restore_points.complete IS 'False where a VM that was to be backed up is not in it';
    COMMENT ON COLUMN restore_points.locked_until IS 'Until then nobody can delete it';
    CREATE INDEX restore_points_complete_idx ON restore_points (vapp_id, created_at DESC) WHERE complete;

    CREATE TABLE legal_holds (
      id                text        CONSTRAINT legal_holds_pkey PRIMARY KEY,
      restore_point_id  text        NOT NULL,
      reason            text        NOT NULL,
      placed_at         timestamptz NOT NULL DEFAULT now(),
      placed_by         text        NOT NULL,
      released_at       timestamptz,
      released_by       text,
      release_reason    text,
      CONSTRAINT legal_holds_release_check CHECK ((released_at IS NULL) = (released_by IS NULL))
    );
    CREATE INDEX legal_holds_point_idx ON legal_holds (restore_point_id, placed_at);
    COMMENT ON TABLE legal_holds IS 'Legal holds, released ones too; without a foreign key, because a row of a restore point may be written anew';

    CREATE TABLE policies (
      id          text        CONSTRAINT policies_pkey PRIMARY KEY,
      name        text        NOT NULL,
      scope       jsonb       NOT NULL,
      enabled     boolean     NOT NULL,
      offered     boolean     NOT NULL,
      rules       jsonb       NOT NULL,
      revision    integer     NOT NULL DEFAULT 1,
      created_at  timestamptz NOT NULL,
      updated_at  timestamptz NOT NULL
    );
    CREATE UNIQUE INDEX policies_name_idx ON policies (lower(name));

    CREATE TABLE policy_objects (
      vapp_id           text        CONSTRAINT policy_objects_pkey PRIMARY KEY,
      cloud_id          text        NOT NULL,
      chosen            text,
      carried           text[]      NOT NULL DEFAULT '{}',
      schedule_key      text,
      schedule_policy   text,
      since_at          timestamptz,
      held_by           text,
      rpo_missed_since  timestamptz
    );
    CREATE INDEX policy_objects_missed_idx ON policy_objects (rpo_missed_since) WHERE rpo_missed_since IS NOT NULL;
    COMMENT ON TABLE policy_objects IS 'What is known of each object for policies, and nowhere else';
    COMMENT ON COLUMN policy_objects.chosen IS 'Metadata of the object that chooses a policy, as last read';
    COMMENT ON COLUMN policy_objects.carried IS 'Ids of policies whose metadata conditions it met when last asked';
    COMMENT ON COLUMN policy_objects.since_at IS 'Since when the schedule of that key holds; nothing before is owed';

    CREATE TABLE policy_occurrences (
      vapp_id      text        NOT NULL,
      due_at       timestamptz NOT NULL,
      policy_id    text        NOT NULL,
      policy_name  text        NOT NULL,
      state        text        NOT NULL CONSTRAINT policy_occurrences_state_check
                   CHECK (state IN ('made', 'waiting', 'done', 'failed', 'cancelled', 'superseded')),
      run_id       text        NOT NULL,
      attempt      integer     NOT NULL DEFAULT 1,
      not_before   timestamptz,
      stop_reason  text,
      duration_ms  bigint,
      CONSTRAINT policy_occurrences_pkey PRIMARY KEY (vapp_id, due_at)
    );
    CREATE INDEX policy_occurrences_open_idx ON policy_occurrences (vapp_id) WHERE state IN ('made', 'waiting');
    CREATE INDEX policy_occurrences_run_idx ON policy_occurrences (run_id);
    COMMENT ON TABLE policy_occurrences IS 'One row for each due time of an object, written with its run in one transaction: so there is one run, however many services look';

    CREATE TABLE policy_clock (
      only_row      boolean     CONSTRAINT policy_clock_pkey PRIMARY KEY CONSTRAINT policy_clock_only_row_check CHECK (only_row),
      ticked_at     timestamptz NOT NULL,
      resumed_at    timestamptz NOT NULL,
      paused_ms     bigint      NOT NULL,
      metadata_at   timestamptz,
      retention_at  timestamptz
    );
    COMMENT ON COLUMN policy_clock.resumed_at IS 'When a service looked again after none had for paused_ms';

    CREATE TABLE vanished_objects (
      id           text        CONSTRAINT vanished_objects_pkey PRIMARY KEY,
      vapp_id      text        NOT NULL,
      kind         text        NOT NULL CONSTRAINT vanished_objects_kind_check CHECK (kind IN ('vapp', 'vm')),
      name         text        NOT NULL,
      vanished_at  timestamptz NOT NULL
    );
    CREATE INDEX vanished_objects_vapp_idx ON vanished_objects (vapp_id);
    COMMENT ON TABLE vanished_objects IS 'Objects with restore points that an inventory did not show any more, and since when';
  `,
};
