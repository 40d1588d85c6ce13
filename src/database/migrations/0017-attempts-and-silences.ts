import type { Migration } from './migration.js';

export const attemptsAndSilences: Migration = {
  name: '0017-attempts-and-silences',
  sql: `
    ALTER TABLE policy_occurrences ADD COLUMN begun_at timestamptz;
    UPDATE policy_occurrences SET begun_at = due_at;
    COMMENT ON COLUMN policy_occurrences.begun_at IS 'When its last run was made: that of a due time which is long past may be of today';
  `,
};
