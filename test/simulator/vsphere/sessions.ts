import { randomBytes, randomUUID } from 'node:crypto';
import { vim, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import type { VcenterAccounts } from './accounts.js';
import { PropertyCollector } from './property-collector.js';

export interface VcenterSession {
  cookie: string;
  key: string;
  userName: string;
  loginTime: string;
  lastActiveMs: number;
  callCount: number;
  address: string;
  userAgent: string;
  /** Property collectors, container views and filters live and die with the session. */
  collectors: Map<string, PropertyCollector>;
  views: Map<string, { type: string; objects: () => { type: string; value: string }[]; spec: VimObject }>;
}

export class VcenterSessions {
  private readonly sessions = new Map<string, VcenterSession>();

  constructor(
    readonly accounts: VcenterAccounts,
    private readonly idleTimeoutMs: number,
  ) {}

  checkPassword(userName: string, password: string): boolean {
    return this.accounts.checkPassword(userName, password);
  }

  login(userName: string, password: string, client: { address: string; userAgent: string }): VcenterSession {
    if (!this.checkPassword(userName, password))
      throw new SimFault('InvalidLogin', 'Cannot complete login due to an incorrect user name or password.');
    const session: VcenterSession = {
      cookie: randomBytes(20).toString('hex'),
      key: randomUUID(),
      userName,
      loginTime: new Date().toISOString(),
      lastActiveMs: Date.now(),
      callCount: 0,
      ...client,
      collectors: new Map(),
      views: new Map(),
    };
    this.sessions.set(session.cookie, session);
    return session;
  }

  /** The session of a cookie, kept alive by being asked for; undefined when expired or unknown. */
  find(cookie: string | undefined): VcenterSession | undefined {
    const session = cookie === undefined ? undefined : this.sessions.get(cookie);
    if (!session) return undefined;
    if (Date.now() - session.lastActiveMs > this.idleTimeoutMs) {
      this.sessions.delete(session.cookie);
      return undefined;
    }
    session.lastActiveMs = Date.now();
    return session;
  }

  logout(session: VcenterSession): void {
    this.sessions.delete(session.cookie);
  }

  byKey(key: string): VcenterSession | undefined {
    return [...this.sessions.values()].find((session) => session.key === key);
  }

  /** As if every session had been idle for too long. */
  expireAll(): void {
    this.sessions.clear();
  }

  get count(): number {
    return this.sessions.size;
  }
}

export function userSession(session: VcenterSession): VimObject {
  return vim('UserSession', {
    key: session.key,
    userName: session.userName,
    fullName: session.userName,
    loginTime: session.loginTime,
    lastActiveTime: new Date(session.lastActiveMs).toISOString(),
    locale: 'en',
    messageLocale: 'en',
    extensionSession: false,
    ipAddress: session.address,
    userAgent: session.userAgent,
    callCount: session.callCount,
  });
}
