import { describe, expect, it } from 'vitest';
import { compareAttributes } from './attributes.js';

describe('compareAttributes', () => {
  const expected = { name: 'shop', vms: { 'web-1': { nics: { '0': { macAddress: 'a', network: 'n' } } }, 'db-1': { cpuCount: 2 } } };

  it('names every leaf that differs, and what is missing', () => {
    const actual = { name: 'copy', vms: { 'web-1': { nics: { '0': { macAddress: 'b', network: 'n' } } } } };
    expect(compareAttributes(expected, actual, [])).toEqual([
      { path: 'name', expected: 'shop', actual: 'copy' },
      { path: 'vms/web-1/nics/0/macAddress', expected: 'a', actual: 'b' },
      { path: 'vms/db-1', expected: { cpuCount: 2 }, actual: undefined },
    ]);
  });

  it('leaves out what is told to be left out, and only that', () => {
    const actual = { name: 'copy', vms: { 'web-1': { nics: { '0': { macAddress: 'b', network: 'other' } } }, 'db-1': { cpuCount: 2 } } };
    expect(compareAttributes(expected, actual, ['name', 'vms/*/nics/*/macAddress'])).toEqual([
      { path: 'vms/web-1/nics/0/network', expected: 'n', actual: 'other' },
    ]);
  });
});
