import { describe, expect, it } from 'vitest';
import { parseXml } from '../common/index.js';
import { classifyFault, errorFromAnswer, faultFromBody, retryAfterMs } from './error.js';
import { linkHref, sameEntity, sameMediaType, under, urnOf } from './links.js';
import { filterValue } from './query.js';
import { chooseVersion, compareVersions, parseVersions } from './versions.js';

const UUID = '12345678-1234-4234-8234-123456789abc';

describe('versions', () => {
  const offer = (...list: [string, boolean][]) =>
    list.map(([version, deprecated]) => ({ version, deprecated, loginUrl: undefined, providerLoginUrl: undefined }));

  it('orders by number, not by text', () => {
    expect(compareVersions('9.0', '33.0')).toBeLessThan(0);
    expect(compareVersions('37.10', '37.2')).toBeGreaterThan(0);
  });

  it('takes the highest of 33.0 to 39.x, a deprecated one only for want of another', () => {
    expect(chooseVersion(offer(['32.0', false], ['36.0', true], ['35.2', false], ['40.0', false]), undefined, 'vcd').version).toBe('35.2');
    expect(chooseVersion(offer(['32.0', false], ['33.0', true], ['34.0', true]), undefined, 'vcd').version).toBe('34.0');
    expect(() => chooseVersion(offer(['29.0', false], ['40.0', false]), undefined, 'vcd')).toThrow(/29.0, 40.0/);
  });

  it('leaves alpha versions out', () => {
    const text =
      '<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions"><VersionInfo><Version>39.0.0-alpha</Version></VersionInfo><VersionInfo><Version>38.1</Version></VersionInfo></SupportedVersions>';
    expect(parseVersions(text, 'vcd').map((entry) => entry.version)).toEqual(['38.1']);
  });
});

describe('links', () => {
  const entity = parseXml(
    '<Vdc xmlns="http://www.vmware.com/vcloud/v1.5"><Link rel="up" type="application/vnd.vmware.vcloud.org+json" href="j"/><Link rel="up" type="application/vnd.vmware.vcloud.ORG+xml;version=37.0" href="x"/><Link rel="enter" href="e"/></Vdc>',
  );

  it('takes the xml twin, by type without case or version', () => {
    expect(linkHref(entity, 'up', 'application/vnd.vmware.vcloud.org+xml')).toBe('x');
    expect(linkHref(entity, 'up')).toBe('x');
    expect(linkHref(entity, 'enter')).toBe('e');
    expect(linkHref(entity, 'down')).toBeUndefined();
    expect(sameMediaType('application/vnd.vmware.vcloud.vapp+xml;version=5.1', 'application/vnd.vmware.vcloud.vApp+xml')).toBe(true);
  });

  it('knows one object through both views of it', () => {
    expect(sameEntity(`https://a/api/admin/vdc/${UUID}`, `https://b/api/vdc/${UUID.toUpperCase()}`)).toBe(true);
    expect(urnOf('vapp', `https://a/api/vApp/vapp-${UUID}`)).toBe(`urn:vcloud:vapp:${UUID}`);
    expect(under('https://a/vapp-1/', 'action', 'x')).toBe('https://a/vapp-1/action/x');
  });
});

describe('filters', () => {
  it('escapes reserved characters from 35.0 on, and percent-encodes before', () => {
    expect(filterValue('a(b),c;d\\', '35.0')).toBe('a\\(b\\)\\,c\\;d\\\\');
    expect(filterValue('a b;(c)', '34.0')).toBe('a%20b%3B%28c%29');
  });
});

describe('errors', () => {
  const xml = (minor: string, message: string) =>
    `<e:Error xmlns:e="http://www.vmware.com/vcloud/v1.5" majorErrorCode="400" minorErrorCode="${minor}" message="${message}"/>`;

  it.each([
    [400, 'BUSY_ENTITY', 'The entity is busy', 'BUSY_ENTITY', true],
    [500, 'INTERNAL_SERVER_ERROR', 'The vCenter is currently busy', 'BUSY_ENTITY', true],
    [500, 'INTERNAL_SERVER_ERROR', 'Unable to perform this action. Contact your cloud administrator.', 'INTERNAL_SERVER_ERROR', false],
    [400, 'BAD_REQUEST', 'The maximum number of simultaneous operations for user has been reached', 'OPERATION_LIMIT', true],
    [400, 'BAD_REQUEST', 'The vApp is running. Stop the vApp and try again.', 'BAD_REQUEST', false],
    [429, '', '', 'OVERLOADED', true],
    [503, '', '', 'OVERLOADED', true],
    [504, '', '', 'GATEWAY_FAILED', true],
    [403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'No access', 'ACCESS_FORBIDDEN', false],
    [406, 'NOT_ACCEPTABLE', 'invalid accept header', 'VERSION_UNSUPPORTED', false],
    [400, 'DUPLICATE_NAME', 'exists', 'DUPLICATE_NAME', false],
    [418, '400', 'odd', 'BAD_REQUEST', false],
  ])('%i %s is %s', (status, minor, message, code, retryable) => {
    expect(classifyFault(status, faultFromBody(xml(minor, message)))).toMatchObject({ code, retryable });
  });

  it('repeats busy entities, operation limits, 429, 503 and broken gateways, and nothing else', () => {
    const statuses = [400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 423, 429, 500, 501, 502, 503, 504, 507];
    const minors = [
      'ACCESS_TO_RESOURCE_IS_FORBIDDEN',
      'BAD_REQUEST',
      'BUSY_ENTITY',
      'CONFLICT',
      'DUPLICATE_NAME',
      'EULA_NOT_ACCEPTED',
      'INTERNAL_SERVER_ERROR',
      'INVALID_REFERENCE',
      'METHOD_NOT_ALLOWED',
      'NOT_ACCEPTABLE',
      'OPERATION_LIMIT_EXCEEDED',
      'UNAUTHORIZED',
      '',
    ];
    const repeated = statuses.flatMap((status) =>
      minors
        .filter((minor) => classifyFault(status, faultFromBody(xml(minor, 'It did not work.'))).retryable)
        .map((minor) => `${status} ${minor}`),
    );
    const always = [429, 502, 503, 504];
    const expected = statuses.flatMap((status) =>
      minors
        .filter((minor) => always.includes(status) || minor === 'BUSY_ENTITY' || minor === 'OPERATION_LIMIT_EXCEEDED')
        .map((minor) => `${status} ${minor}`),
    );
    expect(repeated).toEqual(expected);
  });

  it('reads Retry-After in seconds and as a date', () => {
    const now = Date.parse('Sat, 21 Nov 2026 14:00:00 GMT');
    expect(retryAfterMs('90', now)).toBe(90_000);
    expect(retryAfterMs('Sat, 21 Nov 2026 14:00:30 GMT', now)).toBe(30_000);
    for (const text of [undefined, '', '-1', '0', 'soon', 'Sat, 21 Nov 2026 13:00:00 GMT']) expect(retryAfterMs(text, now)).toBeUndefined();
  });

  it('makes one sentence, of XML, JSON or nothing', () => {
    const operation = 'Reading vApp "shop"';
    expect(errorFromAnswer({ status: 400, text: xml('X_Y', 'Bad\n  thing.'), operation }).message).toBe(
      'Reading vApp "shop" failed: Bad thing.',
    );
    expect(errorFromAnswer({ status: 400, text: '{"minorErrorCode":"A_B","message":"json"}', operation })).toMatchObject({ code: 'A_B' });
    expect(errorFromAnswer({ status: 400, text: '{"minorErrorCode":null,"message":null}', operation })).toMatchObject({
      ...{ code: 'BAD_REQUEST', minorErrorCode: undefined },
      message: expect.stringContaining('answered HTTP 400 without an explanation'),
    });
    expect(errorFromAnswer({ status: 502, text: '<html>', operation }).message).toContain('HTTP 502');
  });
});
