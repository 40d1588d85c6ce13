import type { Migration } from './migration.js';

export const runQueueAndAlerts: Migration = {
  name: '0010-run-queue-and-alerts',
  sql: `
    ALTER TABLE runs
      ADD COLUMN priority     smallint NOT NULL DEFAULT 5 CONSTRAINT runs_priority_check CHECK (priority BETWEEN 0 AND 9),
      ADD COLUMN losses       integer  NOT NULL DEFAULT 0,
      ADD COLUMN retry_of     text     CONSTRAINT runs_retry_of_fkey REFERENCES runs (id),
      ADD COLUMN changed_xid  xid8     NOT NULL DEFAULT pg_current_xact_id();
    COMMENT ON COLUMN runs.losses IS 'How often a worker died with it';
    COMMENT ON COLUMN runs.changed_xid IS 'The transaction of the last change a reader could see; event streams resume by it';
    CREATE INDEX runs_waiting_idx ON runs (organization_id, priority DESC, id) WHERE state = 'queued';
    CREATE INDEX runs_running_idx ON runs (organization_id) WHERE state = 'running';
    CREATE INDEX runs_organization_idx ON runs (organization_id, id DESC);
    CREATE INDEX runs_lease_owner_idx ON runs (lease_owner) WHERE state = 'running';
    CREATE INDEX runs_changed_idx ON runs (changed_xid);
    CREATE INDEX runs_exclusive_ended_idx ON runs (exclusive_key, kind, ended_at) WHERE ended_at IS NOT NULL;
    CREATE INDEX runs_retry_of_idx ON runs (retry_of) WHERE retry_of IS NOT NULL;

    CREATE TABLE run_turns (
      organization_id  text         CONSTRAINT run_turns_pkey PRIMARY KEY,
      served_at        timestamptz  NOT NULL,
      was_urgent       boolean      NOT NULL
    );
    COMMENT ON TABLE run_turns IS 'When each organization last had a run begun: whose turn it is';

    CREATE TABLE run_totals (
      kind     text              NOT NULL,
      state    text              NOT NULL,
      runs     bigint            NOT NULL DEFAULT 0,
      seconds  double precision  NOT NULL DEFAULT 0,
      buckets  bigint[]          NOT NULL,
      CONSTRAINT run_totals_pkey PRIMARY KEY (kind, state)
    );
    CREATE TABLE service_totals (
      name   text    CONSTRAINT service_totals_pkey PRIMARY KEY,
      total  bigint  NOT NULL
    );
    COMMENT ON TABLE run_totals IS 'Of all runs that ever ended, for metrics: they only grow, whatever rows of runs are removed';

    CREATE TABLE workers (
      id          text         CONSTRAINT workers_pkey PRIMARY KEY,
      started_at  timestamptz  NOT NULL DEFAULT now(),
      expires_at  timestamptz  NOT NULL
    );
    COMMENT ON TABLE workers IS 'Processes that hold permits, each under a lease of its own';

    CREATE TABLE permits (
      id          text         CONSTRAINT permits_pkey PRIMARY KEY,
      worker_id   text         NOT NULL CONSTRAINT permits_worker_fkey REFERENCES workers (id) ON DELETE CASCADE,
      sequence    bigint       GENERATED ALWAYS AS IDENTITY,
      keys        text[]       NOT NULL,
      amounts     bigint[]     NOT NULL,
      lacking     text[]       NOT NULL DEFAULT '{}',
      asked_at    timestamptz  NOT NULL DEFAULT now(),
      granted_at  timestamptz
    );
    CREATE INDEX permits_worker_idx ON permits (worker_id);
    COMMENT ON COLUMN permits.lacking IS 'Of a permit that is waited for: the keys that had no room when it was last looked at';

    CREATE TABLE alerts (
      id               text         CONSTRAINT alerts_pkey PRIMARY KEY,
      key              text         NOT NULL,
      kind             text         NOT NULL,
      severity         text         NOT NULL CONSTRAINT alerts_severity_check CHECK (severity IN ('warning', 'critical')),
      organization_id  text         NOT NULL,
      subject          text         NOT NULL,
      message          text         NOT NULL,
      details          jsonb        NOT NULL DEFAULT '{}',
      first_at         timestamptz  NOT NULL DEFAULT now(),
      last_at          timestamptz  NOT NULL DEFAULT now(),
      resolved_at      timestamptz
    );
    CREATE UNIQUE INDEX alerts_firing_idx ON alerts (key) WHERE resolved_at IS NULL;
    CREATE INDEX alerts_organization_idx ON alerts (organization_id, id DESC);
    COMMENT ON COLUMN alerts.key IS 'What it is about: at most one alert fires for it';

    CREATE TABLE alert_messages (
      id             text         CONSTRAINT alert_messages_pkey PRIMARY KEY,
      alert_id       text         NOT NULL CONSTRAINT alert_messages_alert_fkey REFERENCES alerts (id) ON DELETE CASCADE,
      event          text         NOT NULL CONSTRAINT alert_messages_event_check CHECK (event IN ('firing', 'resolved')),
      channel        text         NOT NULL,
      body           jsonb        NOT NULL,
      created_at     timestamptz  NOT NULL DEFAULT now(),
      attempts       integer      NOT NULL DEFAULT 0,
      next_try_at    timestamptz  NOT NULL DEFAULT now(),
      last_error     text,
      sent_at        timestamptz,
      given_up_at    timestamptz
    );
    CREATE INDEX alert_messages_due_idx ON alert_messages (next_try_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
    CREATE INDEX alert_messages_alert_idx ON alert_messages (alert_id);
    COMMENT ON TABLE alert_messages IS 'What is still to be told: written with the alert, in one transaction';
  `,
};
