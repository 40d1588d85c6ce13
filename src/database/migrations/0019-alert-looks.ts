import type { Migration } from './migration.js';

export const alertLooks: Migration = {
  name: '0019-alert-looks',
  sql: `
    CREATE TABLE alert_looks (
      only_row  boolean  CONSTRAINT alert_looks_pkey PRIMARY KEY CONSTRAINT alert_looks_only_row_check CHECK (only_row),
      kept      bigint   NOT NULL
    );
    COMMENT ON TABLE alert_looks IS 'How many looks for what is wrong were kept: one that began before the last of them has seen what is old';
    INSERT INTO alert_looks VALUES (true, 0);
  `,
};
