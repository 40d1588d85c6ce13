import type { Migration } from './migration.js';

export const looksThatFail: Migration = {
  name: '0025-looks-that-fail',
  sql: `
    ALTER TABLE clouds
      ADD COLUMN refresh_unended   integer NOT NULL DEFAULT 0,
      ADD COLUMN unlisted_vcenters jsonb   NOT NULL DEFAULT '{}';
    ALTER TABLE policy_clock
      ADD COLUMN done_at timestamptz NOT NULL DEFAULT now(),
      ADD COLUMN failure text;
    UPDATE policy_clock SET done_at = looked_at;
    COMMENT ON COLUMN policy_clock.done_at IS 'When a look at the policies last went well, by the clock of the database: looked_at grows with those that fail or hang, too';
    COMMENT ON COLUMN policy_clock.failure IS 'Why the looks since failed';
    CREATE TABLE metadata_reads (
      cloud_id  text         CONSTRAINT metadata_reads_pkey PRIMARY KEY,
      asked_at  timestamptz  NOT NULL DEFAULT now(),
      read_at   timestamptz,
      tries     integer      NOT NULL,
      error     text
    );
    COMMENT ON TABLE metadata_reads IS 'What came of asking each VCD for the metadata that policies depend on: since when, when it last went well, tries since, why the last failed';
    COMMENT ON COLUMN clouds.refresh_unended IS 'How often the service has begun to refresh the inventory by itself since such a try last ended, well or not';
    COMMENT ON COLUMN clouds.unlisted_vcenters IS 'By instance UUID: vCenters whose first class disks the last refreshes could not list, since when, and why';
  `,
};
