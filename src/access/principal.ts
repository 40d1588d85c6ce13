export const ROLES = ['provider-admin', 'provider-viewer', 'organization-admin', 'organization-viewer'] as const;
export type Role = (typeof ROLES)[number];

/** Viewers read; administrators change, too. */
export function isAdministrator(role: Role): boolean {
  return role === 'provider-admin' || role === 'organization-admin';
}

/** Whether a role is of one organization, and its key names which. */
export function isOfOrganization(role: Role): boolean {
  return role === 'organization-admin' || role === 'organization-viewer';
}

/** Who makes a request. */
export interface Principal {
  apiKeyId: string;
  name: string;
  role: Role;
  /** The one organization this principal may see; null is the provider, who sees all. */
  organizationId: string | null;
}
