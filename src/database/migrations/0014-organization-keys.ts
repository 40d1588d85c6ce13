import type { Migration } from './migration.js';

export const organizationKeys: Migration = {
  name: '0014-organization-keys',
  sql: `
    ALTER TABLE api_keys DROP CONSTRAINT api_keys_role_check;
    UPDATE api_keys SET role = replace(role, 'provider-', 'organization-') WHERE organization_id IS NOT NULL;
    ALTER TABLE api_keys ADD CONSTRAINT api_keys_role_check CHECK (
      role IN ('provider-admin', 'provider-viewer') AND organization_id IS NULL
      OR role IN ('organization-admin', 'organization-viewer') AND organization_id IS NOT NULL
    );
  `,
};
