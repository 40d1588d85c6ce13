import type { Migration } from './migration.js';

export const alertMessageOrder: Migration = {
  name: '0018-alert-message-order',
  sql: `
    ALTER TABLE alert_messages ADD COLUMN sequence bigint;
    UPDATE alert_messages m SET sequence = numbered.place
      FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM alert_messages) numbered WHERE numbered.id = m.id;
    ALTER TABLE alert_messages ALTER COLUMN sequence SET NOT NULL, ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY;
    SELECT setval(pg_get_serial_sequence('alert_messages', 'sequence'), (SELECT COALESCE(max(sequence), 0) + 1 FROM alert_messages), false);
    COMMENT ON COLUMN alert_messages.sequence IS 'In the order they were written, whatever the clocks of those who wrote them said';
    CREATE INDEX alert_messages_unsent_idx ON alert_messages (channel, sequence) WHERE sent_at IS NULL AND given_up_at IS NULL;
    DROP INDEX alert_messages_due_idx;
  `,
};
