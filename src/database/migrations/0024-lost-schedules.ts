import type { Migration } from './migration.js';

export const lostSchedules: Migration = {
  name: '0024-lost-schedules',
  sql: `
    ALTER TABLE policy_objects ADD COLUMN schedule_lost_at timestamptz, ADD COLUMN lost_policy text;
    COMMENT ON COLUMN policy_objects.schedule_policy IS 'Whose schedule it is; with a null schedule_key that policy is switched off';
    COMMENT ON COLUMN policy_objects.schedule_lost_at IS 'Since when no schedule holds for an object that had one, that of lost_policy';
  `,
};
