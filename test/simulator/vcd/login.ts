import type { IncomingMessage } from 'node:http';
import type { VcdCloud } from './cloud.js';
import type { Exchange } from './exchange.js';
import { VcdFault } from './faults.js';
import { Hrefs } from './hrefs.js';
import { type Negotiated, negotiate } from './negotiation.js';
import { tokenGrant } from './oauth.js';
import { contentTypeOf, jsonReply, type Reply, xmlReply } from './replies.js';
import type { Session, Sessions } from './sessions.js';
import { sessionJson, sessionView } from './views/session-view.js';
import { MEDIA } from './xml-names.js';

const TOKEN_HEADER = 'x-vmware-vcloud-access-token';

/** How a cell knows who asks: logins by password and by token, and the sessions they open. */
export class LoginDoor {
  constructor(
    private readonly cloud: VcdCloud,
    private readonly sessions: Sessions,
    private readonly versions: readonly string[],
  ) {}

  /** @throws VcdFault 401 without a session that lives; 403 where the cell says it so. */
  authenticate(request: IncomingMessage): Session {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const token = bearer ?? request.headers[TOKEN_HEADER] ?? request.headers['x-vcloud-authorization'];
    const session = typeof token === 'string' ? this.sessions.find(token) : undefined;
    if (!session && typeof token === 'string' && this.cloud.variants.expiredSession === '403')
      throw new VcdFault(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'This operation is denied: the session has expired.');
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'This operation is denied: the session is missing or has expired.');
    return session;
  }

  /** /oauth/provider/token and /oauth/tenant/…/token. */
  grant(request: IncomingMessage, method: string, path: string, body: string): Reply {
    const { accept } = request.headers;
    const asked = { method, path, accept, contentType: contentTypeOf(request), body, versions: this.versions };
    const grant = tokenGrant(asked, this.cloud, this.sessions);
    return jsonReply(grant.status, grant.json, grant.version, { 'Cache-Control': 'no-store' });
  }

  /** /cloudapi/1.0.0/sessions, with /provider or /current after it. */
  cloudapiSession(request: IncomingMessage, method: string, path: string): Reply {
    const { version } = negotiate(request.headers.accept, method === 'DELETE' ? 'any' : 'json', this.versions);
    if (method === 'POST') {
      if (!/\/sessions(\/provider)?\/?$/.test(path)) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${path} was not found.`);
      const session = this.basicLogin(request, path.includes('/provider') ? 'provider' : 'tenant');
      return jsonReply(200, sessionJson(session), version, loginHeaders(session));
    }
    const session = this.authenticate(request);
    if (method === 'GET') return jsonReply(200, sessionJson(session), version);
    if (method !== 'DELETE') throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${method} is not allowed for ${path}.`);
    this.sessions.end(session);
    return { status: 204, headers: {}, body: '' };
  }

  /** POST /api/sessions, removed from the API in 38.0. */
  oldLogin(request: IncomingMessage, negotiated: Negotiated, baseUrl: string): Reply {
    if (negotiated.number >= 38) throw new VcdFault(404, 'NOT_FOUND', 'The requested resource /api/sessions was not found.');
    const session = this.basicLogin(request, 'any');
    const { cloud } = this;
    const viewer = { cloud, session, hrefs: new Hrefs(baseUrl, session.isProvider), apiVersion: negotiated.number };
    const headers = { ...loginHeaders(session), 'x-vcloud-authorization': session.token };
    return xmlReply(200, sessionView(viewer), MEDIA.session, negotiated.version, headers, cloud.variants);
  }

  /** /api/session, which is the asker's own. */
  sessionResource(exchange: Exchange, negotiated: Negotiated): Reply {
    if (exchange.method === 'GET') return xmlReply(200, sessionView(exchange), MEDIA.session, negotiated.version, {}, this.cloud.variants);
    if (exchange.method !== 'DELETE')
      throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${exchange.method} is not allowed for /session.`);
    this.sessions.end(exchange.session);
    return { status: 204, headers: {}, body: '' };
  }

  private basicLogin(request: IncomingMessage, door: 'provider' | 'tenant' | 'any'): Session {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const session = encoded === undefined ? undefined : this.sessions.logIn(Buffer.from(encoded, 'base64').toString('utf8'), door);
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'Unauthorized: the user name, organization or password is not right.');
    this.cloud.events.add({
      type: 'com/vmware/vcloud/event/session/login',
      succeeded: true,
      entity: { kind: 'user', id: session.user.id, name: session.user.name },
      userId: session.user.id,
      organizationId: session.organization.id,
      description: `login ${session.user.name}`,
    });
    return session;
  }
}

function loginHeaders(session: Session): Record<string, string> {
  return { 'X-VMWARE-VCLOUD-ACCESS-TOKEN': session.token, 'X-VMWARE-VCLOUD-TOKEN-TYPE': 'Bearer' };
}
