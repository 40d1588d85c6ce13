import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AlertFact, AlertService, AlertsModule, type AlertsOptions } from '../../src/alerts/index.js';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { type Mail, SmtpServer } from '../harness/smtp-server.js';
import { serverCertificate } from '../simulator/tls.js';

const SECRET = 'a secret of more than sixteen characters';
const FACT: AlertFact = {
  key: 'vapp:7',
  severity: 'warning',
  organizationId: 'urn:org:1',
  subject: 'vApp "shop"',
  message: 'The last backup of vApp "shop" failed.',
  details: { runId: 'r1' },
};

interface Post {
  headers: IncomingHttpHeaders;
  body: string;
  json: { id: string; event: string; alert: { kind: string; severity: string; subject: string; resolvedAt: string | null } };
}

describe('alerts', () => {
  let database: TestDatabase;
  let folder: string;
  let hook: Server;
  let smtp: SmtpServer;
  const posts: Post[] = [];
  /** Answers of the webhook to come; 204 when there are none. */
  const answers: number[] = [];
  /** How many posts to come are answered only when `release` is called. */
  let held = 0;
  let release: () => void = () => undefined;
  const started: TestingModule[] = [];

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
      if (held > 0) {
        held -= 1;
        await new Promise<void>((resolve) => {
          release = resolve;
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
    held = 0;
    release = () => undefined;
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((module) => module.close()));
    await (await database.connect([])).query('TRUNCATE alerts CASCADE');
  });

  const webhook = () => ({
    url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook?token=hunter2`,
    secretFile: join(folder, 'hook.secret'),
  });
  const email = (more: Partial<NonNullable<AlertsOptions['email']>> = {}) => ({
    ...{
      host: '127.0.0.1',
      port: smtp.port,
      security: 'starttls' as const,
      from: 'vault@example.com',
      to: ['ops@example.com', 'more@example.com'],
    },
    ...{ userName: 'vault', passwordFile: join(folder, 'smtp.password'), caFile: join(folder, 'ca.pem'), ...more },
  });

  async function start(options: Partial<AlertsOptions> & { sources?: Record<string, () => Promise<AlertFact[]>> }) {
    const { sources = {}, times, ...channels } = options;
    const defaults = { lookMs: 3_600_000, deliverMs: 50, retryBaseMs: 30, sendTimeoutMs: 10_000 };
    const module = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRoot({ url: database.url, poolSize: 4 }),
        AlertsModule.forRootAsync({ useFactory: () => ({ logger: silentLogger, ...channels, times: { ...defaults, ...times } }) }),
      ],
    }).compile();
    const alerts = module.get(AlertService);
    for (const [kind, look] of Object.entries(sources)) alerts.registerSource(kind, look);
    await module.init();
    started.push(module);
    return { alerts, sql: (text: string) => module.get(DataSource).query(text) as Promise<Record<string, unknown>[]> };
  }

  async function until<T>(what: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
    for (const deadline = performance.now() + 10_000; ; await sleep(20)) {
      const value = await what();
      if (value !== undefined && value !== false) return value;
      if (performance.now() > deadline) throw new Error(`Still waiting: ${what.toString()}`);
    }
  }

  it('fires once however often it is seen and by however many, is told when it gets worse, and resolves', async () => {
    let wrong: AlertFact[] = [FACT];
    const sources = { 'run-failed': async () => wrong };
    const { alerts } = await start({ webhook: webhook(), sources });
    const other = await start({ webhook: webhook(), sources });
    for (let looks = 0; looks < 3; looks += 1) await Promise.all([alerts.look(), other.alerts.look()]);
    await until(() => posts.length === 1);
    wrong = [{ ...FACT, severity: 'critical', message: 'The last three backups failed.' }];
    // A look that meets another one is none: so again, and it is told once all the same.
    const lookUntil = (told: number) =>
      until(async () => {
        await alerts.look();
        return posts.length >= told;
      });
    await lookUntil(2);
    expect((await alerts.list({ state: 'firing', limit: 10 })).items).toMatchObject([
      { kind: 'run-failed', severity: 'critical', message: 'The last three backups failed.', resolvedAt: null, details: { runId: 'r1' } },
    ]);
    wrong = [];
    await lookUntil(3);
    expect(posts.map(({ json: { event, alert } }) => [event, alert.severity, alert.resolvedAt !== null])).toEqual([
      ['firing', 'warning', false],
      ['firing', 'critical', false],
      ['resolved', 'critical', true],
    ]);
    expect((await alerts.list({ state: 'firing', limit: 10 })).items).toEqual([]);
    expect((await alerts.list({ state: 'resolved', limit: 10 })).items).toHaveLength(1);
    expect(await alerts.countFiring()).toEqual([]);
  });

  it('is listed by organization, kind and page', async () => {
    const of = (key: string, organizationId: string) => ({ ...FACT, key, organizationId, subject: key });
    const { alerts } = await start({
      sources: { a: async () => [of('1', 'one'), of('2', 'two'), of('3', 'one')], b: async () => [of('4', '')] },
    });
    // Its own first look may be under way just now, and then another one is none.
    await until(async () => (await alerts.countFiring()).reduce((sum, { count }) => sum + count, 0) === 4);
    const subjects = async (filter: object) =>
      (await alerts.list({ state: 'all', limit: 50, ...filter })).items.map(({ subject }) => subject);
    expect(await subjects({ organizationId: 'one' })).toEqual(['3', '1']);
    expect(await subjects({ kind: 'b' })).toEqual(['4']);
    const first = await alerts.list({ state: 'all', limit: 3 });
    expect(first.items).toHaveLength(3);
    expect(await subjects({ cursor: first.nextCursor })).toEqual(['1']);
    expect(await alerts.countFiring()).toEqual(expect.arrayContaining([{ kind: 'a', severity: 'warning', count: 3 }]));
  });

  it('signs what it posts, tries again what is refused or redirected, and tells no secret', async () => {
    answers.push(500, 302, 503);
    const { sql } = await start({ webhook: webhook(), sources: { 'run-failed': async () => [FACT] } });
    const [post] = await until(() => posts.length > 0 && posts);
    const [, at, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(post?.headers['x-vapp-vault-signature'])) ?? [];
    expect(signature).toBe(createHmac('sha256', SECRET).update(`${at}.${post?.body}`).digest('hex'));
    expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(120);
    const [row] = await until(async () => {
      const rows = await sql('SELECT id, attempts, last_error, sent_at FROM alert_messages');
      return rows[0]?.sent_at !== null && rows;
    });
    expect(row).toMatchObject({ id: post?.headers['x-vapp-vault-delivery'], attempts: 4, last_error: null });
    expect(posts).toHaveLength(1);
  });

  it.each([
    ['when its time has come', 'now()'],
    ['at once, where its time was written while the clock was a day ahead', `now() + interval '1 day'`],
  ])('outlives the process: what could not be told is told by the next one %s', async (_when, at) => {
    answers.push(...Array.from({ length: 50 }, () => 500));
    const first = await start({ webhook: webhook(), sources: { 'run-failed': async () => [FACT] }, times: { retryBaseMs: 60_000 } });
    const failed = await until(
      async () => (await first.sql('SELECT last_error AS error FROM alert_messages WHERE last_error IS NOT NULL'))[0],
    );
    expect(failed.error).toContain('answered with status 500');
    expect(failed.error).not.toContain('hunter2');
    await started.pop()?.close();
    answers.length = 0;
    const second = await start({ webhook: webhook() });
    await second.sql(`UPDATE alert_messages SET next_try_at = ${at}`);
    await until(() => posts.length === 1);
  });

  it('is left to the process that has just claimed it, by a clock a little ahead', async () => {
    answers.push(...Array.from({ length: 50 }, () => 500));
    const { sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => [FACT] },
      times: { retryBaseMs: 60_000, retryMaxMs: 60_000 },
    });
    const attempts = async () => (await sql('SELECT attempts FROM alert_messages WHERE last_error IS NOT NULL'))[0]?.attempts;
    await until(async () => (await attempts()) === 1);
    await sql(`UPDATE alert_messages SET next_try_at = now() + interval '62 seconds'`);
    await sleep(500);
    expect(await attempts()).toBe(1);
  });

  it('is told as over only when it was told that it began, and meanwhile holds up no other one', async () => {
    let wrong = [FACT];
    answers.push(500);
    const { alerts, sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => wrong },
      times: { retryBaseMs: 60_000 },
    });
    await until(async () => (await sql('SELECT FROM alert_messages WHERE last_error IS NOT NULL')).length > 0);
    wrong = [{ ...FACT, key: 'vapp:8', subject: 'vApp "bank"' }];
    await until(async () => {
      await alerts.look();
      return (await sql(`SELECT FROM alert_messages WHERE event = 'resolved'`)).length > 0;
    });
    await until(() => posts.length === 1);
    // As where it was written by a process whose clock is behind.
    await sql(`UPDATE alert_messages SET id = '0' || id, created_at = created_at - interval '1 hour' WHERE event = 'resolved'`);
    await sql('UPDATE alert_messages SET next_try_at = now()');
    await until(() => posts.length === 3);
    expect(posts.map(({ json: { event, alert } }) => [event, alert.subject])).toEqual([
      ['firing', 'vApp "bank"'],
      ['firing', 'vApp "shop"'],
      ['resolved', 'vApp "shop"'],
    ]);
  });

  it('is posted while the mail server takes connections and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createTcpServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
      const facts = Array.from({ length: 20 }, (_, i) => ({ ...FACT, key: `vapp:${i}` }));
      await start({
        ...{ webhook: webhook(), email: email({ port: (silent.address() as AddressInfo).port }) },
        sources: { 'run-failed': async () => facts },
      });
      await until(() => sockets.size > 0 && posts.length === 20);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });

  it('is claimed by who is about to tell it alone: what waits behind a slow one is told by another process', async () => {
    held = 1;
    const facts = Array.from({ length: 10 }, (_, i) => ({ ...FACT, key: `vapp:${i}` }));
    const { sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => facts },
      times: { sendTimeoutMs: 60_000 },
    });
    await until(async () => held === 0 && (await sql('SELECT FROM alert_messages')).length === 10);
    await start({ webhook: webhook() });
    await until(() => posts.length === 9);
    release();
    await until(() => posts.length === 10);
    await until(async () => (await sql('SELECT FROM alert_messages WHERE sent_at IS NULL')).length === 0);
    expect(new Set(posts.map(({ json }) => json.id)).size).toBe(10);
    expect(await sql('SELECT FROM alert_messages WHERE attempts <> 1')).toEqual([]);
  });

  it('is one of very many, of which each is told and each is over', async () => {
    // Nothing is sent here: what is to be is counted.
    held = 1;
    let wrong = Array.from({ length: 1_201 }, (_, i) => ({ ...FACT, key: `vapp:${i}`, subject: `vApp ${i}` }));
    const { alerts, sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => wrong },
      times: { sendTimeoutMs: 60_000 },
    });
    const told = () =>
      sql(
        `SELECT event, count(DISTINCT alert_id)::int AS alerts, count(*)::int AS messages FROM alert_messages GROUP BY event ORDER BY event`,
      );
    const countOf = async (severity: string) =>
      (await alerts.countFiring()).reduce((sum, row) => sum + (row.severity === severity ? row.count : 0), 0);
    const lookUntil = (warnings: number, criticals: number) =>
      until(async () => {
        await alerts.look();
        return (await countOf('warning')) === warnings && (await countOf('critical')) === criticals;
      });
    await lookUntil(1_201, 0);
    wrong = wrong.map((fact, i) => (i === 700 ? { ...fact, severity: 'critical', message: 'Worse.' } : fact));
    await lookUntil(1_200, 1);
    expect(await told()).toEqual([{ event: 'firing', alerts: 1_201, messages: 1_202 }]);
    const [worst] = (await alerts.list({ state: 'firing', severity: 'critical', limit: 2 })).items;
    expect(worst).toMatchObject({ subject: 'vApp 700', message: 'Worse.', details: { runId: 'r1' } });
    wrong = wrong.slice(0, 1);
    await lookUntil(1, 0);
    expect(await told()).toEqual([
      { event: 'firing', alerts: 1_201, messages: 1_202 },
      { event: 'resolved', alerts: 1_200, messages: 1_200 },
    ]);
    release();
  });

  it('is given up after a day, and the alert stays', async () => {
    answers.push(...Array.from({ length: 50 }, () => 500));
    const { alerts } = await start({ webhook: webhook(), sources: { 'run-failed': async () => [FACT] }, times: { giveUpMs: 100 } });
    await until(async () => (await alerts.countMessages()).some(({ givenUp }) => givenUp === 1));
    expect((await alerts.list({ state: 'firing', limit: 1 })).items).toHaveLength(1);
  });

  it('stays when its source cannot answer', async () => {
    let away = false;
    const { alerts } = await start({
      sources: { a: async () => (away ? Promise.reject(new Error('The repository is away')) : [FACT]), b: async () => [] },
    });
    await until(async () => (await alerts.countFiring()).length > 0);
    away = true;
    await alerts.look();
    expect(await alerts.countFiring()).toEqual([{ kind: 'a', severity: 'warning', count: 1 }]);
    expect(() => alerts.registerSource('a', async () => [])).toThrow(/already have a source/);
  });

  it('is not brought back by a look that began before it was over', async () => {
    let wrong = [FACT];
    let asked = 0;
    let answer: (() => void) | undefined;
    let hangs = false;
    const failed = async () => {
      asked += 1;
      return wrong;
    };
    const slow = () =>
      new Promise<AlertFact[]>((resolve) => {
        if (hangs) answer = () => resolve([]);
        else resolve([]);
      });
    const one = await start({ webhook: webhook(), sources: { 'run-failed': failed, slow } });
    await until(() => posts.length === 1);
    const two = await start({ sources: { 'run-failed': async () => wrong } });
    hangs = true;
    const before = asked;
    const old = one.alerts.look();
    await until(() => asked > before && answer !== undefined);
    wrong = [];
    await until(async () => {
      await two.alerts.look();
      return (await two.alerts.countFiring()).length === 0;
    });
    answer?.();
    await old;
    expect(await two.alerts.countFiring()).toEqual([]);
    await until(() => posts.length === 2);
    expect(posts.map(({ json }) => json.event)).toEqual(['firing', 'resolved']);
  });

  it('is told by a process with a channel where one without saw it first, and where that one saw its end', async () => {
    let wrong = [FACT];
    const sources = { 'run-failed': async () => wrong };
    const silent = await start({ sources });
    await until(async () => (await silent.alerts.countFiring()).length === 1);
    const telling = await start({ webhook: webhook(), sources });
    await until(async () => {
      await telling.alerts.look();
      return posts.length === 1;
    });
    const change = async (to: AlertFact[], told: number) => {
      wrong = to;
      await until(async () => {
        await silent.alerts.look();
        return posts.length === told;
      });
    };
    await change([{ ...FACT, severity: 'critical' }], 2);
    await change([], 3);
    expect(posts.map(({ json: { event, alert } }) => [event, alert.severity])).toEqual([
      ['firing', 'warning'],
      ['firing', 'critical'],
      ['resolved', 'critical'],
    ]);
  });

  it.each(['starttls', 'tls', 'none'] as const)('is mailed with %s', async (security) => {
    const port = security === 'tls' ? smtp.tlsPort : smtp.port;
    await start({ email: email({ security, port }), sources: { 'run-failed': async () => [{ ...FACT, subject: 'vApp "a\nBcc: x@y"' }] } });
    const mail: Mail = await until(() => smtp.mails[0]);
    expect(mail).toMatchObject({ secure: security !== 'none', from: 'vault@example.com', to: ['ops@example.com', 'more@example.com'] });
    expect(mail.user).toBe('vault');
    const [headers = ''] = mail.text.split('\r\n\r\n');
    expect(decoded(headers)).toContain('Subject: [vApp Vault] warning: vApp "a Bcc: x@y"');
    expect(mail.text).not.toMatch(/^Bcc/m);
    expect(mail.text).toContain('The last backup of vApp "shop" failed.');
  });

  it('is one of many in a mail that counts them and names the first, and posted by itself', async () => {
    const of = (kind: string, count: number, severity: AlertFact['severity'] = 'warning') =>
      Array.from({ length: count }, (_, i) => ({
        ...FACT,
        severity,
        key: `${kind} ${i}`,
        subject: `vApp ${i}`,
        message: `The ${kind} of vApp ${i} failed.`,
      }));
    const wrong = { backup: [...of('backup', 45), ...of('copy', 2, 'critical')], hold: of('hold', 1) };
    const { alerts, sql } = await start({
      ...{ webhook: webhook(), email: email() },
      sources: { 'run-failed': async () => wrong.backup, 'other-kind': async () => wrong.hold },
    });
    const allSent = (count: number) =>
      until(async () => {
        const messages = await sql('SELECT sent_at IS NOT NULL AS sent FROM alert_messages');
        return messages.length === count && messages.every(({ sent }) => sent);
      });
    await allSent(96);
    const subjects = () => smtp.mails.map(({ text }) => /^Subject: (.*)$/m.exec(text)?.[1]).toSorted();
    expect(subjects()).toEqual([
      '[vApp Vault] critical: 2 alerts of kind run-failed',
      '[vApp Vault] warning: 45 alerts of kind run-failed',
      '[vApp Vault] warning: vApp 0',
    ]);
    const many = smtp.mails.find(({ text }) => text.includes('45 alerts'))?.text ?? '';
    expect(many.match(/^- The backup of vApp \d+ failed\.\r$/gm)).toHaveLength(20);
    expect(many).toContain('- and 25 more');
    expect(many).toContain('GET /api/v1/alerts?state=firing&kind=run-failed');
    expect(new Set(posts.map(({ json }) => json.alert.kind))).toEqual(new Set(['run-failed', 'other-kind']));
    expect(posts).toHaveLength(48);
    wrong.backup = [];
    await until(async () => {
      await alerts.look();
      return (await alerts.countFiring()).length === 1;
    });
    await allSent(190);
    expect(subjects()).toHaveLength(5);
    expect(smtp.mails.some(({ text }) => text.includes('45 alerts of kind run-failed are resolved:'))).toBe(true);
    expect(new Set(smtp.mails.map(({ text }) => /^Message-ID: (.*)$/im.exec(text)?.[1])).size).toBe(5);
  });

  it('is not mailed in the clear, to a stranger, or with a wrong password, and says so without it', async () => {
    const wrongs = [
      { port: smtp.plainPort, security: 'starttls' as const },
      { caFile: undefined },
      { passwordFile: join(folder, 'hook.secret') },
    ];
    for (const wrong of wrongs) {
      const { sql } = await start({ email: email(wrong), sources: { 'run-failed': async () => [FACT] } });
      const row = await until(async () => (await sql('SELECT last_error AS error FROM alert_messages WHERE last_error IS NOT NULL'))[0]);
      expect(row.error).toMatch(/^The mail server 127\.0\.0\.1:\d+ did not take the message \(E?[A-Z]+.*\); look at/);
      expect(row.error).not.toContain(SECRET);
      await started.pop()?.close();
      await (await database.connect([])).query('TRUNCATE alerts CASCADE');
    }
    expect(smtp.mails).toEqual([]);
  });

  it('refuses to start with a secret that is none', async () => {
    await writeFile(join(folder, 'short.secret'), 'short\n');
    await expect(start({ webhook: { ...webhook(), secretFile: join(folder, 'short.secret') } })).rejects.toMatchObject({
      code: 'ALERT_SETTINGS',
    });
    await expect(start({ email: email({ passwordFile: join(folder, 'missing') }) })).rejects.toMatchObject({ code: 'ALERT_SETTINGS' });
  });
});

/** Encoded words of headers (RFC 2047, Q) as text. */
function decoded(headers: string): string {
  const bytes = (word: string) =>
    word.replaceAll('_', ' ').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return headers.replace(/\?=\r\n =\?UTF-8\?Q\?/g, '').replace(/=\?UTF-8\?Q\?(.*?)\?=/g, (_, word: string) => bytes(word));
}
