import type { Migration } from './migration.js';

export const attemptsAndSilences: Migration = {
  name: '0017-attempts-and-silences',
  sql: `
    ALTER TABLE policy_occurrences ADD COLUMN made_at timestamptz, ADD COLUMN begun_at timestamptz;
    UPDATE policy_occurrences SET made_at = due_at, begun_at = due_at;
    COMMENT ON COLUMN policy_occurrences.made_at IS 'When its last run was made: that of a due time which is long past may be of today';
    COMMENT ON COLUMN policy_occurrences.begun_at IS 'The same of the last one that is over and did not only wait until its window closed';

    ALTER TABLE policy_clock ADD COLUMN looked_at timestamptz NOT NULL DEFAULT now();
    UPDATE policy_clock SET looked_at = ticked_at;
    COMMENT ON COLUMN policy_clock.looked_at IS 'ticked_at by the clock of the database: those of services differ from each other';
  `,
};
