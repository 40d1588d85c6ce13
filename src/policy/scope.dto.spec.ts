import { describe, expect, it } from 'vitest';
import { previewRequestSchema, scopeSchema } from './scope.dto.js';

const metadata = (type: string, value: string) => ({ cloudId: 'c', metadata: [{ key: 'k', type, value }] });

describe('scope', () => {
  it.each<[string, unknown, string]>([
    ['no cloud', {}, 'cloudId'],
    ['an unknown field', { cloudId: 'c', vapps: ['x'] }, ''],
    ['an empty list', { cloudId: 'c', organizations: [] }, 'organizations'],
    ['an empty name', { cloudId: 'c', vappNames: [''] }, 'vappNames.0'],
    ['a name that is a number', { cloudId: 'c', vappNames: [7] }, 'vappNames.0'],
    ['a list too long', { cloudId: 'c', ids: Array.from({ length: 1001 }, String) }, 'ids'],
    ['an unknown kind', { cloudId: 'c', kinds: ['catalog'] }, 'kinds.0'],
    ['an exclusion of what cannot be excluded', { cloudId: 'c', exclude: { owners: ['x'] } }, 'exclude'],
    ['a disk without its VM', { cloudId: 'c', exclude: { disks: [{ disk: 'Hard disk 1' }] } }, 'exclude.disks.0.vm'],
    [
      'an unknown domain',
      { cloudId: 'c', metadata: [{ key: 'k', type: 'MetadataStringValue', value: 'v', domain: 'PRIVATE' }] },
      'metadata.0.domain',
    ],
    ['an unknown type', metadata('String', 'v'), 'metadata.0.type'],
    ['text for a number', metadata('MetadataNumberValue', 'seven'), 'metadata.0.value'],
    ['text for a boolean', metadata('MetadataBooleanValue', 'yes'), 'metadata.0.value'],
    ['a date without time', metadata('MetadataDateTimeValue', '2026-11-21'), 'metadata.0.value'],
    ['no date', metadata('MetadataDateTimeValue', '2026-99-99T00:00:00Z'), 'metadata.0.value'],
  ])('refuses %s', (_what, scope, path) => {
    const { error } = scopeSchema.safeParse(scope);
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });

  it.each([
    metadata('MetadataStringValue', ''),
    metadata('MetadataNumberValue', '-7.5'),
    metadata('MetadataBooleanValue', 'TRUE'),
    metadata('MetadataDateTimeValue', '2026-11-21T10:00:00+02:00'),
  ])('takes %j, of domain GENERAL where nothing is said', (scope) => {
    expect(scopeSchema.parse(scope).metadata?.[0]?.domain).toBe('GENERAL');
  });

  it('shows a thousand objects where nothing is said', () => {
    expect(previewRequestSchema.parse({ scope: { cloudId: 'c' } }).limit).toBe(1000);
    expect(previewRequestSchema.safeParse({ scope: { cloudId: 'c' }, limit: 0 }).success).toBe(false);
  });
});
