import type { Migration } from './migration.js';

export const refusedChoices: Migration = {
  name: '0023-refused-choices',
  sql: `
    ALTER TABLE policy_objects ADD COLUMN choice_refused_at timestamptz;
    COMMENT ON COLUMN policy_objects.choice_refused_at IS 'Since when no policy of the name in chosen is offered for it';
  `,
};
