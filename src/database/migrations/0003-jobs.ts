import type { Migration } from './migration.js';

export const jobs: Migration = {
  name: '0003-jobs',
  sql: `
    CREATE TABLE runs (
      id                   text        CONSTRAINT runs_pkey PRIMARY KEY,
      kind                 text        NOT NULL,
      state                text        NOT NULL CONSTRAINT runs_state_check
                           CHECK (state IN ('queued', 'running', 'succeeded', 'warning', 'failed', 'cancelled')),
      subject              text        NOT NULL,
      organization_id      text        NOT NULL,
      exclusive_key        text,
      payload              jsonb       NOT NULL,
      steps                jsonb       NOT NULL DEFAULT '[]',
      progress             jsonb       NOT NULL DEFAULT '{}',
      warnings             jsonb       NOT NULL DEFAULT '[]',
      error                jsonb,
      result               jsonb,
      attempt              integer     NOT NULL DEFAULT 0,
      revision             integer     NOT NULL DEFAULT 0,
      created_at           timestamptz NOT NULL DEFAULT now(),
      started_at           timestamptz,
      ended_at             timestamptz,
      cancel_requested_at  timestamptz,
      lease_owner          text,
      lease_expires_at     timestamptz,
      CONSTRAINT runs_lease_check CHECK ((state = 'running') = (lease_owner IS NOT NULL AND lease_expires_at IS NOT NULL))
    );
    CREATE INDEX runs_state_idx ON runs (state, id DESC);
    CREATE INDEX runs_lease_idx ON runs (lease_expires_at) WHERE state = 'running';
    CREATE UNIQUE INDEX runs_exclusive_idx ON runs (exclusive_key) WHERE state IN ('queued', 'running');
    COMMENT ON COLUMN runs.exclusive_key IS 'At most one unfinished run has it';
    COMMENT ON COLUMN runs.payload IS 'Settings frozen when the run was made; never a credential';
    COMMENT ON COLUMN runs.revision IS 'Grows with every change a reader could see';

    CREATE TABLE obligations (
      id             text        CONSTRAINT obligations_pkey PRIMARY KEY,
      run_id         text        NOT NULL CONSTRAINT obligations_run_fkey REFERENCES runs (id),
      sequence       bigint      GENERATED ALWAYS AS IDENTITY,
      kind           text        NOT NULL,
      terms          jsonb       NOT NULL,
      created_at     timestamptz NOT NULL DEFAULT now(),
      settled_at     timestamptz,
      attempts       integer     NOT NULL DEFAULT 0,
      last_error     text,
      next_try_at    timestamptz,
      claimed_by     text,
      claimed_until  timestamptz
    );
    CREATE INDEX obligations_open_idx ON obligations (run_id, sequence) WHERE settled_at IS NULL;
    COMMENT ON TABLE obligations IS 'What is owed to an outside system; a row is committed before the thing it names is made';
  `,
};
