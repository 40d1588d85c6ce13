import { describe, expect, it } from 'vitest';
import type { VcdClient } from '../../src/vcd/index.js';
import { errorXml, TOKEN } from './scripted-vcd.js';
import { client, connect, failure, useScriptedVcd, VCLOUD, vcd } from './vcd-client-fixture.js';

useScriptedVcd();

describe('transfers', () => {
  const MEDIUM = '/api/media/00000000-0000-4000-8000-000000000091';
  const medium = (link: string) =>
    `<Media ${VCLOUD} name="disc" imageType="iso" size="5" status="1" href="${vcd.href(MEDIUM)}"><Files><File name="file" size="5">${link}</File></Files></Media>`;

  it('fetch bytes from the registered host, whatever host the link names', async () => {
    await connect();
    vcd.on(`GET ${MEDIUM}`, { body: medium('<Link rel="download:default" href="https://public.example/transfer/7/file"/>') });
    vcd.on('GET /transfer/7/file', { body: 'bytes' });
    const { sizeBytes, body } = await (client as VcdClient).downloadMedia(vcd.href(MEDIUM));
    const read: string[] = [];
    for await (const bytes of body) read.push(bytes.toString());
    expect([sizeBytes, read.join('')]).toEqual([5, 'bytes']);
    expect(vcd.requests('GET /transfer').map(({ headers }) => headers.authorization)).toEqual([`Bearer ${TOKEN}`]);
  });

  it('tell a file that is not the one that was announced, and one that VCD no longer has', async () => {
    await connect();
    vcd.on(`GET ${MEDIUM}`, { body: medium('<Link rel="download:default" href="/transfer/7/file"/>') });
    vcd.on('GET /transfer/7/file', { body: 'more bytes' });
    const read = async () => {
      for await (const _ of (await (client as VcdClient).downloadMedia(vcd.href(MEDIUM))).body);
    };
    expect((await failure(read())).code).toBe('BAD_ANSWER');
    vcd.on('GET /transfer/7/file', { status: 404, body: errorXml(404, 'NOT_FOUND', 'The transfer has expired') });
    const error = await failure(read());
    expect([error.code, error.message]).toEqual(['NOT_FOUND', 'Downloading medium "disc" failed: The transfer has expired.']);
  });
});
