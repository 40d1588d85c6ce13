import type { Migration } from './migration.js';

export const secondLook: Migration = {
  name: '0007-second-look',
  sql: `
    ALTER TABLE obligations ADD COLUMN look_again_at timestamptz;
    CREATE INDEX obligations_look_again_idx ON obligations (look_again_at) WHERE look_again_at IS NOT NULL;
    COMMENT ON COLUMN obligations.look_again_at IS 'Of a run that did not end well: when no request of its can still arrive, and what was paid for without being seen is looked for once more';
  `,
};
