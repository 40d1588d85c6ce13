import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { CloudState, Organization, User } from './state.js';

export interface Session {
  id: string;
  token: string;
  user: User;
  organization: Organization;
  /** A system administrator sees every organization and vSphere's names. */
  isProvider: boolean;
  lastUsedMs: number;
}

/** How long a bearer token says it is good for; an idle session dies earlier. */
export const ACCESS_TOKEN_SECONDS = 86_400;

/** Sessions of one cell: they live in memory, so a restart ends them, as it does in VCD. */
export class Sessions {
  private readonly byToken = new Map<string, Session>();
  private readonly signingKey = randomBytes(32);

  constructor(
    private readonly state: () => CloudState,
    private readonly idleLimitMs: number,
  ) {}

  /** @param credentials "user@organization:password". Undefined when any part is wrong: which one is never told. */
  logIn(credentials: string, door: 'provider' | 'tenant' | 'any'): Session | undefined {
    const colon = credentials.indexOf(':');
    const at = credentials.lastIndexOf('@', colon);
    if (colon < 0 || at < 0) return undefined;
    const [userName, organizationName, password] = [
      credentials.slice(0, at),
      credentials.slice(at + 1, colon),
      credentials.slice(colon + 1),
    ];
    const { organizations, users } = this.state();
    const organization = organizations.find((o) => o.name.toLowerCase() === organizationName.toLowerCase() && o.enabled);
    const user = users.find((u) => u.organizationId === organization?.id && u.name === userName && u.enabled);
    if (!organization || !user || !sameText(user.password, password)) return undefined;
    const isProvider = organization.name === 'System';
    if ((door === 'provider' && !isProvider) || (door === 'tenant' && isProvider)) return undefined;
    return this.open(user, organization);
  }

  /** For somebody who has proved who he is. */
  open(user: User, organization: Organization): Session {
    const isProvider = organization.name === 'System';
    const session: Session = { id: randomUUID(), token: '', user, organization, isProvider, lastUsedMs: Date.now() };
    session.token = this.sign(session);
    this.byToken.set(session.token, session);
    return session;
  }

  /** The live session of a token, its idle clock started anew. */
  find(token: string): Session | undefined {
    const session = this.byToken.get(token);
    if (!session) return undefined;
    if (Date.now() - session.lastUsedMs > this.idleLimitMs) {
      this.byToken.delete(token);
      return undefined;
    }
    session.lastUsedMs = Date.now();
    return session;
  }

  end(session: Session): void {
    this.byToken.delete(session.token);
  }

  endAll(): number {
    const count = this.byToken.size;
    this.byToken.clear();
    return count;
  }

  /** Sessions of one user, however they were opened. @returns how many ended. */
  endAllOf(userId: string): number {
    const theirs = [...this.byToken.values()].filter((session) => session.user.id === userId);
    for (const session of theirs) this.end(session);
    return theirs.length;
  }

  private sign(session: Session): string {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const nowSeconds = Math.floor(Date.now() / 1000);
    const claims = {
      sub: session.user.name,
      iss: session.organization.id,
      jti: session.id,
      iat: nowSeconds,
      exp: nowSeconds + ACCESS_TOKEN_SECONDS,
    };
    const unsigned = `${part({ alg: 'HS256' })}.${part(claims)}`;
    return `${unsigned}.${createHmac('sha256', this.signingKey).update(unsigned).digest('base64url')}`;
  }
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
