import { errorFromAnswer, faultFromBody, retryAfterMs, VcdError } from './error.js';
import type { Transport, TransportAnswer } from './transport.js';
import type { VcdConnection, VcdEndpoint, VcdLogin } from './types.js';
import { type ApiVersion, compareVersions, loginTargets, notAVcd } from './versions.js';

/** What a login gives: the headers that prove it, how long they do, and where it is ended. */
export interface LoggedIn {
  headers: Readonly<Record<string, string>>;
  /** Undefined where VCD does not tell: it then says 401 when it is over. */
  expiresInMs: number | undefined;
  logoutTarget: string;
}

export interface LoginDoor {
  transport: Transport;
  connection: VcdConnection;
  version: ApiVersion;
  timeoutMs: number;
}

/** API tokens and service accounts came with VCD 10.3.1. */
const TOKENS_FROM = '36.1';

/**
 * Logs in as the connection says, or as `currentLogin` says today.
 * @throws VcdError LOGIN_REFUSED; TOKEN_USED for a service account's token; VERSION_UNSUPPORTED for a token at a VCD before 10.3.1.
 */
export async function logIn(door: LoginDoor): Promise<LoggedIn> {
  const login: VcdLogin = (await door.connection.currentLogin?.()) ?? door.connection;
  switch (login.kind) {
    case 'api-token': {
      refuseOldVersion(door, 'API tokens');
      return (await exchangeToken(door, login.apiToken, 'api-token')).loggedIn;
    }
    case 'service-account': {
      refuseOldVersion(door, 'Service accounts');
      return await login.token.rotate(async (token) => {
        const { loggedIn, nextToken } = await exchangeToken(door, token, 'service-account');
        return { nextToken, value: loggedIn };
      });
    }
    default:
      return await logInWithPassword(door, login);
  }
}

export function isProvider({ organization }: Pick<VcdEndpoint, 'organization'>): boolean {
  return organization.trim().toLowerCase() === 'system';
}

async function logInWithPassword(door: LoginDoor, { userName, password }: { userName: string; password: string }): Promise<LoggedIn> {
  const { transport, connection, version, timeoutMs } = door;
  const { organization } = connection;
  const operation = `Logging in to ${transport.host} as "${userName}" of organization "${organization}"`;
  const { login: target, cloudapi } = loginTargets(version, isProvider(connection));
  // One caller's abort must not take the login away from the others: it has a time limit of its own.
  const answer = await transport.send({
    method: 'POST',
    target,
    headers: {
      accept: `application/${cloudapi ? '*' : '*+xml'};version=${version.version}`,
      authorization: `Basic ${Buffer.from(`${userName}@${organization}:${password}`, 'utf8').toString('base64')}`,
    },
    timeoutMs,
    operation,
    harmless: true,
  });
  if (answer.status === 401 || answer.status === 403) {
    throw refusal(door, answer, operation, 'LOGIN_REFUSED', [
      `${transport.host} refused the login of "${userName}" of organization "${organization}"`,
      'check user name, password and organization.',
    ]);
  }
  if (answer.status < 200 || answer.status > 299) throw failureOf(door, answer, operation);
  const headers = tokenHeaders(answer);
  if (headers === undefined) throw notAVcd(transport.host, 'it accepted the login and gave no token');
  const id = cloudapi ? textField(answer.text, 'id') : undefined;
  return { headers, expiresInMs: undefined, logoutTarget: logoutTarget(target, cloudapi, id) };
}

/** OAuth's refresh_token grant (RFC 6749, 6). A service account's answer carries the token that replaces the one given. */
async function exchangeToken(
  door: LoginDoor,
  token: string,
  kind: 'api-token' | 'service-account',
): Promise<{ loggedIn: LoggedIn; nextToken: string | undefined }> {
  const { transport, connection, version, timeoutMs } = door;
  const { organization } = connection;
  const provider = isProvider(connection);
  const whose = kind === 'api-token' ? 'the API token' : "the service account's token";
  const operation = `Logging in to ${transport.host} with ${whose} of organization "${organization}"`;
  const answer = await transport.send({
    method: 'POST',
    target: provider ? '/oauth/provider/token' : `/oauth/tenant/${encodeURIComponent(organization)}/token`,
    headers: {
      accept: `application/*;version=${version.version}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString(),
    timeoutMs,
    operation,
    // A lost answer is settled by asking again: should the token be used up by then, VCD says so.
    harmless: true,
  });
  if (answer.status < 200 || answer.status > 299) throw exchangeRefused(door, answer, operation, kind);
  const accessToken = textField(answer.text, 'access_token');
  if (accessToken === undefined) throw notAVcd(transport.host, 'it accepted the token and gave no access token');
  const { login, cloudapi } = loginTargets(version, provider);
  return {
    loggedIn: {
      headers: { authorization: `Bearer ${accessToken}` },
      expiresInMs: expiresInMs(answer.text),
      logoutTarget: logoutTarget(login, cloudapi, undefined),
    },
    nextToken: textField(answer.text, 'refresh_token'),
  };
}

function exchangeRefused(door: LoginDoor, answer: TransportAnswer, operation: string, kind: 'api-token' | 'service-account'): VcdError {
  const { transport, connection } = door;
  const ordinary = failureOf(door, answer, operation);
  if (ordinary.retryable || ![400, 401, 403].includes(answer.status)) return ordinary;
  const organization = `organization "${connection.organization}"`;
  if (kind === 'api-token') {
    return refusal(door, answer, operation, 'LOGIN_REFUSED', [
      `${transport.host} refused the API token of ${organization}`,
      'it was revoked, or belongs to another organization: make a new one and enter it for this cloud.',
    ]);
  }
  return refusal(door, answer, operation, 'TOKEN_USED', [
    `${transport.host} refused the service account's token of ${organization}`,
    'each token is good for one use, so this one was used already, by another program or a copy of this database, or the account was revoked: make a new token for the service account and enter it for this cloud.',
  ]);
}

/** @param parts what happened and what to do; OAuth's own word (invalid_grant) stands between, its description may quote the token. */
function refusal(door: LoginDoor, answer: TransportAnswer, operation: string, code: string, parts: [string, string]): VcdError {
  const word = textField(answer.text, 'error');
  const reason = word !== undefined && /^[a-z_]{1,40}$/.test(word) ? ` (${word})` : '';
  return new VcdError(`${parts[0]}${reason}; ${parts[1]}`, {
    code,
    subject: door.transport.host,
    operation,
    httpStatus: answer.status,
    minorErrorCode: faultFromBody(answer.text)?.minorErrorCode,
    requestId: answer.header('x-vmware-vcloud-request-id'),
  });
}

function refuseOldVersion({ transport, version }: LoginDoor, what: string): void {
  if (compareVersions(version.version, TOKENS_FROM) >= 0) return;
  throw new VcdError(
    `${what} need API version ${TOKENS_FROM} (VCD 10.3.1), and with ${transport.host} version ${version.version} is spoken; use a user name and password.`,
    { code: 'VERSION_UNSUPPORTED', subject: transport.host },
  );
}

function failureOf(door: LoginDoor, answer: TransportAnswer, operation: string): VcdError {
  return errorFromAnswer({
    status: answer.status,
    text: answer.text,
    operation,
    subject: door.transport.host,
    requestId: answer.header('x-vmware-vcloud-request-id'),
    retryAfterMs: retryAfterMs(answer.header('retry-after'), Date.now()),
  });
}

/** cloudapi answers with a JWT, /api/sessions with an opaque 32-character token in a header of its own. */
function tokenHeaders(answer: TransportAnswer): Record<string, string> | undefined {
  const bearer = answer.header('x-vmware-vcloud-access-token');
  if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
  const opaque = answer.header('x-vcloud-authorization');
  return opaque === undefined ? undefined : { 'x-vcloud-authorization': opaque };
}

function logoutTarget(login: string, cloudapi: boolean, sessionId: string | undefined): string {
  if (!cloudapi) return '/api/session';
  return sessionId === undefined ? login : `/cloudapi/1.0.0/sessions/${encodeURIComponent(sessionId)}`;
}

function textField(text: string, name: string): string | undefined {
  const value = jsonField(text, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function expiresInMs(text: string): number | undefined {
  const seconds = Number(jsonField(text, 'expires_in'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

function jsonField(text: string, name: string): unknown {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null)?.[name];
  } catch {
    return undefined;
  }
}
