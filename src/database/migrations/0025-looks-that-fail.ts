import type { Migration } from './migration.js';

export const looksThatFail: Migration = {
  name: '0025-looks-that-fail',
  sql: `
    ALTER TABLE clouds
      ADD COLUMN refresh_unended   integer NOT NULL DEFAULT 0,
      ADD COLUMN unlisted_vcenters jsonb   NOT NULL DEFAULT '{}';
    COMMENT ON COLUMN clouds.refresh_unended IS 'How often the service has begun to refresh the inventory by itself since such a try last ended, well or not';
    COMMENT ON COLUMN clouds.unlisted_vcenters IS 'By instance UUID: vCenters whose first class disks the last refreshes could not list, since when, and why';
  `,
};
