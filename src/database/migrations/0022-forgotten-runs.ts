import type { Migration } from './migration.js';

export const forgottenRuns: Migration = {
  name: '0022-forgotten-runs',
  sql: `
    CREATE INDEX obligations_run_idx ON obligations (run_id);
    CREATE INDEX restore_points_run_idx ON restore_points (run_id);
  `,
};
