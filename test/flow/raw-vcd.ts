import { request } from 'node:https';
import { sleep } from '../../src/common/index.js';
import type { Simulator } from '../simulator/index.js';

const VERSION = '37.1';
const VCLOUD = 'http://www.vmware.com/vcloud/v1.5';

/** What a tenant asks of VCD and the service never does. */
export class RawVcd {
  private constructor(private readonly token: string) {}

  static async connect({ url, userName, organization, password }: Simulator['description']['vcd']): Promise<RawVcd> {
    const authorization = `Basic ${Buffer.from(`${userName}@${organization}:${password}`).toString('base64')}`;
    const { headers } = await send('POST', `${url}/cloudapi/1.0.0/sessions/provider`, {
      authorization,
      accept: `application/json;version=${VERSION}`,
    });
    return new RawVcd(String(headers['x-vmware-vcloud-access-token']));
  }

  /** Waits until the vApp is made. */
  async instantiate(vdcHref: string, templateHref: string, name: string): Promise<void> {
    const body = `<InstantiateVAppTemplateParams xmlns="${VCLOUD}" name="${name}" deploy="false" powerOn="false"><Source href="${templateHref}"/></InstantiateVAppTemplateParams>`;
    const type = 'application/vnd.vmware.vcloud.instantiateVAppTemplateParams+xml';
    const made = await this.call('POST', `${vdcHref}/action/instantiateVAppTemplate`, type, body);
    const task = /<(?:\w+:)?Task [^>]*href="([^"]+)"/.exec(made)?.[1];
    if (task === undefined) throw new Error(`VCD did not instantiate: ${made}`);
    for (let looks = 0; looks < 600; looks += 1) {
      const status = /status="(\w+)"/.exec(await this.call('GET', task))?.[1];
      if (status === 'success') return;
      if (status !== 'running' && status !== 'queued') throw new Error(`VCD's task ended as ${status}`);
      await sleep(20);
    }
    throw new Error('VCD did not instantiate in time');
  }

  private async call(method: string, url: string, type?: string, body?: string): Promise<string> {
    const accept = `application/*+xml;version=${VERSION}`;
    return (await send(method, url, { authorization: `Bearer ${this.token}`, accept, ...(type && { 'content-type': type }) }, body)).text;
  }
}

function send(method: string, url: string, headers: Record<string, string>, body?: string) {
  return new Promise<{ headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    // The simulator's certificate is its own.
    const sent = request(url, { method, headers, rejectUnauthorized: false, timeout: 30_000 }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        if ((answer.statusCode ?? 500) < 400) resolve({ headers: answer.headers, text });
        else reject(new Error(`${method} ${url}: ${answer.statusCode} ${text}`));
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer`)));
    sent.on('error', reject);
    sent.end(body);
  });
}
