import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RequestLog } from './request-log.js';

const directory = mkdtempSync(join(tmpdir(), 'request-log-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('RequestLog', () => {
  it('keeps each body in a file of its own, as it was but for the secrets', () => {
    new RequestLog(directory).add({
      door: 'vcenter',
      method: 'Login',
      path: '/sdk',
      status: 200,
      requestHeaders: { cookie: 'vmware_soap_session="S3cret"', soapaction: 'urn:vim25' },
      requestBody: '<Login xmlns="urn:vim25"><userName>a &amp; b</userName><password>S3cret</password></Login>',
      responseHeaders: { 'set-cookie': 'vmware_soap_session="S3cret"' },
      responseBody: '',
    });
    expect(readdirSync(directory).sort()).toEqual(['000001-vcenter-Login_sdk.request.xml', 'index.jsonl']);
    expect(readFileSync(join(directory, '000001-vcenter-Login_sdk.request.xml'), 'utf8')).toBe(
      '<Login xmlns="urn:vim25"><userName>a &amp; b</userName><password>[removed]</password></Login>',
    );
    const index = readFileSync(join(directory, 'index.jsonl'), 'utf8');
    expect(index).not.toContain('S3cret');
    expect(JSON.parse(index)).toMatchObject({ method: 'Login', path: '/sdk', status: 200, response: null });
  });
});
