import type { Migration } from './migration.js';

export const catalogRebuild: Migration = {
  name: '0012-catalog-rebuild',
  sql: `
    CREATE INDEX restore_points_cloud_idx ON restore_points (cloud_id, organization_id);
  `,
};
