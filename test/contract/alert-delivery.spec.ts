import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AlertFact } from '../../src/alerts/index.js';
import { sleep } from '../../src/common/index.js';
import type { Mail } from '../harness/smtp-server.js';
import {
  answers,
  email,
  FACT,
  folder,
  forgetAlerts,
  posts,
  SECRET,
  slow,
  smtp,
  start,
  stopLast,
  until,
  useAlerts,
  webhook,
} from './alerts-fixture.js';

describe('the message of an alert', () => {
  useAlerts();

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
    await stopLast();
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
    const silent = createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
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
    slow.waits = true;
    const facts = Array.from({ length: 10 }, (_, i) => ({ ...FACT, key: `vapp:${i}` }));
    const { sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => facts },
      times: { sendTimeoutMs: 60_000 },
    });
    await until(async () => !slow.waits && (await sql('SELECT FROM alert_messages')).length === 10);
    await start({ webhook: webhook() });
    await until(() => posts.length === 9);
    slow.release();
    await until(() => posts.length === 10);
    await until(async () => (await sql('SELECT FROM alert_messages WHERE sent_at IS NULL')).length === 0);
    expect(new Set(posts.map(({ json }) => json.id)).size).toBe(10);
    expect(await sql('SELECT FROM alert_messages WHERE attempts <> 1')).toEqual([]);
  });

  it('is given up after a day, and told again where the alert fires still', async () => {
    answers.push(...Array.from({ length: 50 }, () => 500));
    let wrong = [FACT, { ...FACT, key: 'vapp:8', subject: 'vApp "bank"' }];
    const { alerts, sql } = await start({ webhook: webhook(), sources: { 'run-failed': async () => wrong }, times: { giveUpMs: 100 } });
    const givenUp = async () => (await alerts.countMessages()).reduce((sum, row) => sum + row.givenUp, 0);
    await until(async () => (await givenUp()) === 2);
    expect((await alerts.list({ state: 'firing', limit: 5 })).items).toHaveLength(2);
    wrong = [FACT];
    answers.length = 0;
    await until(async () => {
      await alerts.look();
      return posts.some(({ json: { event, alert } }) => event === 'firing' && alert.subject === 'vApp "shop"');
    });
    // Of the one that is over, nobody needs to hear any more that it began.
    await until(async () => (await givenUp()) === 0);
    expect(posts.filter(({ json: { event, alert } }) => event === 'firing' && alert.subject === 'vApp "bank"')).toEqual([]);
    await until(async () => (await sql('SELECT FROM alert_messages WHERE sent_at IS NULL AND given_up_at IS NULL')).length === 0);
    await alerts.look();
    expect(await sql(`SELECT FROM alert_messages WHERE sent_at IS NOT NULL AND event = 'firing'`)).toHaveLength(1);
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

  it('is mailed to those whom the server takes, and says whom it refused', async () => {
    smtp.strangers.add('more@example.com');
    const { alerts, sql } = await start({ email: email(), sources: { 'run-failed': async () => [FACT] } });
    const mail = await until(() => smtp.mails[0]);
    expect(mail.to).toEqual(['ops@example.com']);
    await until(async () => (await sql('SELECT FROM alert_messages WHERE sent_at IS NOT NULL')).length === 1);
    expect(await alerts.countMessages()).toEqual([{ channel: 'email', waiting: 0, givenUp: 0, refused: 1 }]);
    expect((await sql('SELECT last_error AS error FROM alert_messages'))[0]?.error).toMatch(
      /^The mail server 127\.0\.0\.1:\d+ refused more@example\.com and took the message for the others; /,
    );
    await sql(`UPDATE alert_messages SET sent_at = sent_at - interval '25 hours'`);
    expect(await alerts.countMessages()).toEqual([]);
  });

  it('is tried again where the server takes none of those who are to be told', async () => {
    for (const address of ['ops@example.com', 'more@example.com']) smtp.strangers.add(address);
    const { sql } = await start({ email: email(), sources: { 'run-failed': async () => [FACT] } });
    await until(async () => (await sql('SELECT FROM alert_messages WHERE attempts > 1')).length === 1);
    smtp.strangers.clear();
    expect((await until(() => smtp.mails[0])).to).toEqual(['ops@example.com', 'more@example.com']);
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
      await stopLast();
      await forgetAlerts();
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
