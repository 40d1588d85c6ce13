export const ROLES = ['provider-admin', 'provider-viewer'] as const;
export type Role = (typeof ROLES)[number];

/** Who makes a request. */
export interface Principal {
  apiKeyId: string;
  name: string;
  role: Role;
  /** The one organization this principal may see; null is the provider, who sees all. */
  organizationId: string | null;
}
