import { randomBytes, randomUUID } from 'node:crypto';
import type { VcdCloud } from './cloud.js';
import type { Organization, User } from './state.js';

/** A refresh token of a user, or of a service account, whose token is another after each use. */
export interface ApiToken {
  id: string;
  name: string;
  userId: string;
  kind: 'user' | 'service-account';
  token: string;
}

export interface TokenRequest {
  name: string;
  kind: ApiToken['kind'];
  user: string;
  organization: string;
  /** Given by a seed; else made up. */
  token?: string;
}

/** @throws RangeError when the user does not exist. */
export function createApiToken(cloud: VcdCloud, request: TokenRequest): ApiToken {
  const organization = cloud.state.organizations.find((candidate) => candidate.name === request.organization);
  const user = cloud.state.users.find((candidate) => candidate.organizationId === organization?.id && candidate.name === request.user);
  if (!user) throw new RangeError(`There is no user "${request.user}" in the organization "${request.organization}"`);
  const created: ApiToken = {
    id: randomUUID(),
    name: request.name,
    userId: user.id,
    kind: request.kind,
    token: request.token ?? newToken(),
  };
  cloud.state.apiTokens = [...(cloud.state.apiTokens ?? []), created];
  cloud.changed();
  return created;
}

/** By id or name. @returns whether there was one. */
export function revokeApiToken(cloud: VcdCloud, idOrName: string): boolean {
  const all = cloud.state.apiTokens ?? [];
  cloud.state.apiTokens = all.filter((token) => token.id !== idOrName && token.name !== idOrName);
  cloud.changed();
  return cloud.state.apiTokens.length < all.length;
}

export interface Granted {
  user: User;
  organization: Organization;
  /** The one to use next; null where the old one goes on being good. */
  refreshToken: string | null;
}

/** @param organizationName whose door it is. Undefined for a token that is not known there, used up, or of a disabled user. */
export function exchangeApiToken(cloud: VcdCloud, organizationName: string, refreshToken: string): Granted | undefined {
  const token = (cloud.state.apiTokens ?? []).find((candidate) => candidate.token === refreshToken);
  const user = token && cloud.user(token.userId);
  const organization = user && cloud.organization(user.organizationId);
  if (!token || !user?.enabled || !organization?.enabled) return undefined;
  if (organization.name.toLowerCase() !== organizationName.toLowerCase()) return undefined;
  if (token.kind === 'user') return { user, organization, refreshToken: null };
  token.token = newToken();
  cloud.changed();
  return { user, organization, refreshToken: token.token };
}

/** 32 characters, the form of a cell's tokens. */
function newToken(): string {
  return randomBytes(24).toString('base64url');
}
