import { exchangeApiToken, type Granted } from './api-tokens.js';
import type { VcdCloud } from './cloud.js';
import { VcdFault } from './faults.js';
import { type Negotiated, negotiate } from './negotiation.js';
import { ACCESS_TOKEN_SECONDS, type Session, type Sessions } from './sessions.js';

export interface OauthRequest {
  method: string;
  path: string;
  accept: string | undefined;
  contentType: string;
  body: string;
  versions: readonly string[];
}

export interface OauthReply {
  status: number;
  version: string;
  json: Record<string, unknown>;
}

/** API tokens came with VCD 10.3.1. */
const FIRST_VERSION = 36.1;

/**
 * POST /oauth/provider/token and /oauth/tenant/{organization}/token with grant_type=refresh_token.
 * A refused token is RFC 6749's 400 invalid_grant, in JSON, not the API's own error document.
 * @throws VcdFault 406 for the Accept header, 404 and 405 for the rest of the path.
 */
export function tokenGrant(request: OauthRequest, cloud: VcdCloud, sessions: Sessions): OauthReply {
  const { version, number } = negotiateLeniently(request);
  const match = /^\/oauth\/(?:provider|tenant\/([^/]+))\/token\/?$/.exec(request.path);
  if (!match || number < FIRST_VERSION) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${request.path} was not found.`);
  if (request.method !== 'POST')
    throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${request.method} is not allowed for ${request.path}.`);
  const refused = (error: string, description: string): OauthReply => ({
    status: 400,
    version,
    json: { error, error_description: description },
  });
  if (request.contentType !== 'application/x-www-form-urlencoded') return refused('invalid_request', 'The body is no form.');
  const form = new URLSearchParams(request.body);
  if (form.get('grant_type') !== 'refresh_token')
    return refused('unsupported_grant_type', `The grant type "${form.get('grant_type') ?? ''}" is not supported.`);
  const organization = match[1] === undefined ? 'System' : decoded(match[1]);
  const isRightDoor = (match[1] === undefined) === (organization === 'System');
  const granted = isRightDoor ? exchangeApiToken(cloud, organization, form.get('refresh_token') ?? '') : undefined;
  if (!granted) return refused('invalid_grant', 'The refresh token is invalid, expired or revoked.');
  return { status: 200, version, json: grantJson(granted, sessions.open(granted.user, granted.organization)) };
}

/** No session, no version: go-vcloud-director sends no Accept header here, VMware's own examples one without a version. */
function negotiateLeniently({ accept, versions }: OauthRequest): Negotiated {
  if (accept !== undefined && /;\s*version=/i.test(accept)) return negotiate(accept, 'any', versions);
  const version = [...versions].sort((a, b) => Number(a) - Number(b)).at(-1) ?? '';
  return { version, number: Number(version) };
}

function grantJson(granted: Granted, session: Session): Record<string, unknown> {
  return {
    access_token: session.token,
    token_type: 'Bearer',
    expires_in: ACCESS_TOKEN_SECONDS,
    refresh_token: granted.refreshToken,
  };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new VcdFault(400, 'BAD_REQUEST', `The path segment "${segment}" is not valid percent-encoding.`);
  }
}
