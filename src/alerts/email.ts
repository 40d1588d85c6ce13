import { createHash } from 'node:crypto';
import { createTransport, type Transporter } from 'nodemailer';
import { abortReason } from '../common/index.js';
import type { EmailSettings } from '../config/index.js';
import { AlertError } from './errors.js';
import type { AlertMessage, AlertMessages, Channel } from './types.js';
import { readSecret } from './webhook.js';

const CONNECT_TIMEOUT_MS = 15_000;
const SILENCE_TIMEOUT_MS = 20_000;

/** Nobody reads more sentences in a mail; the list has them all. */
const MOST_SENTENCES = 20;

/** One e-mail, as plain text, for what came together: an outage of a cloud must not become thousands. */
export class Email implements Channel {
  readonly name = 'email';
  readonly atOnce = 1_000;
  private readonly transport: Transporter;
  private readonly server: string;

  /** @throws AlertError ALERT_SETTINGS: a file cannot be read. */
  constructor(private readonly settings: EmailSettings) {
    const { host, port, security, userName, passwordFile, caFile } = settings;
    this.server = `${host}:${port}`;
    this.transport = createTransport({
      host,
      port,
      secure: security === 'tls',
      // Or a man in the middle takes STARTTLS out of the server's list, and all goes in the clear.
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      ...(userName !== undefined &&
        passwordFile !== undefined && { auth: { user: userName, pass: readSecret(passwordFile, 'the password of the mail server') } }),
      ...(caFile !== undefined && { tls: { ca: readSecret(caFile, 'the certificate authorities of the mail server') } }),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      greetingTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /**
   * Who is refused for good would keep those who are not from what comes after it, and have them told the same again and again: where the
   * server takes the message for one, it is delivered.
   */
  async send(messages: AlertMessages, signal: AbortSignal): Promise<string | undefined> {
    const { from, to } = this.settings;
    const sending = this.transport.sendMail({
      from,
      to: [...to],
      subject: subjectOf(messages),
      text: messages.length === 1 ? textOf(messages[0]) : textOfMany(messages),
      messageId: `<${idOf(messages)}@vapp-vault>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    // nodemailer knows no signal; its own times end the connection soon after.
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(abortReason(signal)), { once: true }));
    try {
      const { rejected = [] }: { rejected?: string[] } = await Promise.race([sending, aborted]);
      if (rejected.length === 0) return undefined;
      return `The mail server ${this.server} refused ${rejected.join(', ')} and took the message for the others; look at alerts.email.to and that server.`;
    } catch (error) {
      if (signal.aborted) sending.catch(() => undefined);
      throw this.failed(error);
    }
  }

  close(): void {
    this.transport.close();
  }

  /** The server's own words may repeat what it was told, a user name among it: only codes are passed on. */
  private failed(error: unknown): AlertError {
    const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
    const parts = [code, responseCode].filter((part) => typeof part === 'string' || typeof part === 'number');
    return new AlertError(
      `The mail server ${this.server} did not take the message (${parts.join(', ') || 'no answer'}); look at the alerts.email settings and that server.`,
      { code: 'EMAIL_FAILED', subject: this.server, retryable: true },
    );
  }
}

/** The same for the same messages: with one more among them it must not be taken for a mail that has come before. */
function idOf(messages: AlertMessages): string {
  const [{ id }] = messages;
  if (messages.length === 1) return id;
  return createHash('sha256')
    .update(messages.map((message) => message.id).join())
    .digest('hex')
    .slice(0, 32);
}

function subjectOf(messages: AlertMessages): string {
  const [{ event, alert }] = messages;
  const what = event === 'resolved' ? 'resolved' : alert.severity;
  return `[vApp Vault] ${what}: ${messages.length === 1 ? onOneLine(alert.subject) : countOf(messages)}`;
}

function countOf(messages: AlertMessages): string {
  return `${messages.length} alerts of kind ${messages[0].alert.kind}`;
}

function textOfMany(messages: AlertMessages): string {
  const [{ event, alert }] = messages;
  const state = event === 'resolved' ? 'resolved' : 'firing';
  const more = messages.length - MOST_SENTENCES;
  return [
    `${countOf(messages)}${event === 'resolved' ? ' are resolved' : ` (${alert.severity})`}:`,
    '',
    ...messages.slice(0, MOST_SENTENCES).map((message) => `- ${onOneLine(message.alert.message)}`),
    ...(more > 0 ? [`- and ${more} more`] : []),
    '',
    `All of them: GET /api/v1/alerts?state=${state}&kind=${alert.kind}`,
    '',
  ].join('\n');
}

function textOf({ event, alert }: AlertMessage): string {
  return [
    onOneLine(alert.message),
    '',
    `What: ${alert.kind} (${alert.severity})`,
    `Of: ${onOneLine(alert.subject)}`,
    `Since: ${alert.firstAt}`,
    ...(event === 'resolved' ? [`Resolved: ${alert.resolvedAt}`] : []),
    `Alert: ${alert.id}`,
    '',
  ].join('\n');
}

/** A name in the cloud may hold anything; a line of it must not look like one of ours. */
function onOneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}
