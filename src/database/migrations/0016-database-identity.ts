import type { Migration } from './migration.js';

export const databaseIdentity: Migration = {
  name: '0016-database-identity',
  sql: `
    CREATE TABLE database_identity (
      only_row  boolean  CONSTRAINT database_identity_pkey PRIMARY KEY CONSTRAINT database_identity_only_row_check CHECK (only_row),
      identity  text     NOT NULL
    );
    COMMENT ON TABLE database_identity IS 'Which database a service worked with last; another one than this when it was put back from a dump, or moved';
  `,
};
