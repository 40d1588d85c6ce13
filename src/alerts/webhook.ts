import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import axios from 'axios';
import { describeError } from '../common/index.js';
import type { WebhookSettings } from '../config/index.js';
import { AlertError } from './errors.js';
import type { AlertMessages, Channel } from './types.js';

const LARGEST_ANSWER_BYTES = 64 * 1024;

/**
 * `v1=` and the HMAC-SHA-256 of the time and the body: with the time in it, an old message cannot be sent again as a new one.
 * @param atSeconds Unix time of this try.
 */
export function signatureOf(secret: string, atSeconds: number, body: string): string {
  return `t=${atSeconds},v1=${createHmac('sha256', secret).update(`${atSeconds}.${body}`).digest('hex')}`;
}

/** One POST of JSON for each message. Any 2xx is taken for delivered; a redirect is not followed. */
export class Webhook implements Channel {
  readonly name = 'webhook';
  readonly atOnce = 1;
  private readonly secret: string;
  private readonly agent: Agent;
  private readonly host: string;

  /** @throws AlertError ALERT_SETTINGS: a file cannot be read, or the secret is too short to be one. */
  constructor(private readonly settings: WebhookSettings) {
    this.host = new URL(settings.url).host;
    this.secret = readSecret(settings.secretFile, 'the secret of the webhook');
    if (this.secret.length < 16) {
      throw new AlertError(`The secret of the webhook in ${settings.secretFile} has fewer than 16 characters; make a longer one.`, {
        code: 'ALERT_SETTINGS',
        subject: settings.secretFile,
      });
    }
    const { caFile } = settings;
    this.agent = new Agent({ ...(caFile !== undefined && { ca: readSecret(caFile, 'the certificate authorities of the webhook') }) });
  }

  async send([message]: AlertMessages, signal: AbortSignal): Promise<undefined> {
    const body = JSON.stringify(message);
    const atSeconds = Math.floor(Date.now() / 1000);
    let status: number;
    try {
      const answer = await axios.post(this.settings.url, body, {
        headers: {
          'Content-Type': 'application/json',
          'User-Agent': 'vApp-Vault',
          'X-Vapp-Vault-Delivery': message.id,
          'X-Vapp-Vault-Signature': signatureOf(this.secret, atSeconds, body),
        },
        ...{ signal, httpsAgent: this.agent, proxy: false, maxRedirects: 0, maxContentLength: LARGEST_ANSWER_BYTES },
        ...{ responseType: 'text', validateStatus: () => true },
      });
      status = answer.status;
    } catch (error) {
      // An axios error carries the address and the headers; its cause says enough.
      const cause = axios.isAxiosError(error) ? (error.code ?? 'no answer') : describeError(error);
      throw this.failed(`could not be reached (${cause})`);
    }
    if (status < 200 || status > 299) throw this.failed(`answered with status ${status}`);
    return undefined;
  }

  close(): void {
    this.agent.destroy();
  }

  private failed(what: string): AlertError {
    return new AlertError(`The webhook at ${this.host} ${what}; look at that service, or at alerts.webhook.url.`, {
      code: 'WEBHOOK_FAILED',
      subject: this.host,
      retryable: true,
    });
  }
}

/** @throws AlertError ALERT_SETTINGS. */
export function readSecret(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new AlertError(`${path}, ${what}, cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`, {
      code: 'ALERT_SETTINGS',
      subject: path,
    });
  }
}
