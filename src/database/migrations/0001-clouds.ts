import type { Migration } from './migration.js';

export const clouds: Migration = {
  name: '0001-clouds',
  sql: `
    CREATE TABLE clouds (
      id                text        CONSTRAINT clouds_pkey PRIMARY KEY,
      name              text        NOT NULL CONSTRAINT clouds_name_key UNIQUE,
      vcd               jsonb       NOT NULL,
      vcenters          jsonb       NOT NULL,
      sealed_passwords  bytea       NOT NULL,
      warnings          jsonb       NOT NULL DEFAULT '[]',
      created_at        timestamptz NOT NULL DEFAULT now(),
      refreshed_at      timestamptz,
      refresh_error     text
    );
    COMMENT ON COLUMN clouds.vcd IS 'Where and as whom to log in; never a password';
    COMMENT ON COLUMN clouds.sealed_passwords IS 'AES-256-GCM under a key derived from the master key; the cloud id is associated data';
  `,
};
