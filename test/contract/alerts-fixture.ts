/** An outside for alerts: a webhook, a mail server, a database, and processes that tell. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type AlertFact, AlertService, AlertsModule, type AlertsOptions } from '../../src/alerts/index.js';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { SmtpServer } from '../harness/smtp-server.js';
import { serverCertificate } from '../simulator/tls.js';

export const SECRET = 'a secret of more than sixteen characters';
export const FACT: AlertFact = {
  key: 'vapp:7',
  severity: 'warning',
  organizationId: 'urn:org:1',
  subject: 'vApp "shop"',
  message: 'The last backup of vApp "shop" failed.',
  details: { runId: 'r1' },
};

export interface Post {
  headers: IncomingHttpHeaders;
  body: string;
  json: { id: string; event: string; alert: { kind: string; severity: string; subject: string; resolvedAt: string | null } };
}

export let folder: string;
export let smtp: SmtpServer;
export const posts: Post[] = [];
/** Answers of the webhook to come; 204 when there are none. */
export const answers: number[] = [];
/** The next post is answered only when `release` is called. */
export const slow = { waits: false, release: (): void => undefined };
let database: TestDatabase;
let hook: Server;
const started: TestingModule[] = [];

export function useAlerts(): void {
  beforeAll(async () => {
    database = await startTestDatabase();
    folder = await mkdtemp(join(tmpdir(), 'vapp-vault-alerts-'));
    await writeFile(join(folder, 'hook.secret'), `${SECRET}\n`);
    await writeFile(join(folder, 'smtp.password'), 'swordfish\n');
    const { certificatePem, privateKeyPem } = await serverCertificate(join(folder, 'certificate.json'), 'mail.example.com', []);
    await writeFile(join(folder, 'ca.pem'), certificatePem);
    hook = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = Buffer.concat(parts).toString('utf8');
      if (slow.waits) {
        slow.waits = false;
        await new Promise<void>((resolve) => {
          slow.release = resolve;
        });
      }
      const status = answers.shift() ?? 204;
      if (status < 300) posts.push({ headers: request.headers, body, json: JSON.parse(body) as Post['json'] });
      response.writeHead(status, { Location: 'http://127.0.0.1:1/elsewhere' }).end();
    }).listen(0, '127.0.0.1');
    await once(hook, 'listening');
    smtp = await SmtpServer.start({ key: privateKeyPem, cert: certificatePem }, { userName: 'vault', password: 'swordfish' });
  });
  afterAll(async () => {
    hook?.close();
    await smtp?.stop();
    await database?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    posts.length = 0;
    answers.length = 0;
    smtp.mails.length = 0;
    smtp.strangers.clear();
    slow.waits = false;
    slow.release = () => undefined;
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((module) => module.close()));
    await forgetAlerts();
  });
}

export async function forgetAlerts(): Promise<void> {
  await (await database.connect([])).query('TRUNCATE alerts CASCADE');
}

export function webhook(): NonNullable<AlertsOptions['webhook']> {
  return {
    url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook?token=hunter2`,
    secretFile: join(folder, 'hook.secret'),
  };
}

export function email(more: Partial<NonNullable<AlertsOptions['email']>> = {}): NonNullable<AlertsOptions['email']> {
  return {
    ...{
      host: '127.0.0.1',
      port: smtp.port,
      security: 'starttls' as const,
      from: 'vault@example.com',
      to: ['ops@example.com', 'more@example.com'],
    },
    ...{ userName: 'vault', passwordFile: join(folder, 'smtp.password'), caFile: join(folder, 'ca.pem'), ...more },
  };
}

/** One more process that looks and tells. */
export async function start(
  options: Partial<AlertsOptions> & { sources?: Record<string, () => Promise<AlertFact[]>>; mustLast?: boolean },
) {
  const { sources = {}, times, mustLast = false, ...channels } = options;
  const defaults = { lookMs: 3_600_000, deliverMs: 50, retryBaseMs: 30, sendTimeoutMs: 10_000 };
  const module = await Test.createTestingModule({
    imports: [
      DatabaseModule.forRoot({ url: database.url, poolSize: 4 }),
      AlertsModule.forRootAsync({ useFactory: () => ({ logger: silentLogger, ...channels, times: { ...defaults, ...times } }) }),
    ],
  }).compile();
  const alerts = module.get(AlertService);
  for (const [kind, look] of Object.entries(sources)) alerts.registerSource(kind, look, { mustLast });
  await module.init();
  started.push(module);
  return { alerts, sql: (text: string) => module.get(DataSource).query(text) as Promise<Record<string, unknown>[]> };
}

/** The process that was started last ends. */
export async function stopLast(): Promise<void> {
  await started.pop()?.close();
}

export async function until<T>(what: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (const deadline = performance.now() + 10_000; ; await sleep(20)) {
    const value = await what();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`Still waiting: ${what.toString()}`);
  }
}
