import type { Migration } from './migration.js';

export const access: Migration = {
  name: '0004-access',
  sql: `
    CREATE TABLE api_keys (
      id               text        CONSTRAINT api_keys_pkey PRIMARY KEY,
      name             text        NOT NULL,
      prefix           text        NOT NULL,
      digest           bytea       NOT NULL CONSTRAINT api_keys_digest_key UNIQUE,
      role             text        NOT NULL CONSTRAINT api_keys_role_check CHECK (role IN ('provider-admin', 'provider-viewer')),
      organization_id  text,
      created_at       timestamptz NOT NULL DEFAULT now(),
      last_used_at     timestamptz,
      revoked_at       timestamptz
    );
    COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the key; the key itself is kept nowhere';
    COMMENT ON COLUMN api_keys.organization_id IS 'The one organization the key is confined to; null is the provider';
  `,
};
