import type { Migration } from './migration.js';

export const cloudAccounts: Migration = {
  name: '0006-cloud-accounts',
  sql: `
    ALTER TABLE clouds
      ADD COLUMN revision       integer NOT NULL DEFAULT 1,
      ADD COLUMN vim_server_ids jsonb   NOT NULL DEFAULT '[]';
    COMMENT ON COLUMN clouds.revision IS 'Grows with every change of a login: sessions opened for an older one are not handed out any more';
    COMMENT ON COLUMN clouds.vim_server_ids IS 'The ids VCD gave its vCenters: by them a VCD is known under another host name';

    CREATE TABLE service_account_tokens (
      id            text        CONSTRAINT service_account_tokens_pkey PRIMARY KEY,
      sealed_token  bytea       NOT NULL,
      created_at    timestamptz NOT NULL DEFAULT now(),
      used_at       timestamptz
    );
    COMMENT ON TABLE service_account_tokens IS 'Of each service account the one token that is still good; its row is locked while the token is exchanged';
    COMMENT ON COLUMN service_account_tokens.id IS 'HMAC of the token the account was entered with, under a key derived from the master key';
    COMMENT ON COLUMN service_account_tokens.sealed_token IS 'AES-256-GCM under a key derived from the master key; the id is associated data';
  `,
};
