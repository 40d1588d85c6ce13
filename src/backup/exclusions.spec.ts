import { describe, expect, it } from 'vitest';
import { EXCLUDED_BY_REQUEST, excludedByRequest, isVmExcluded } from './exclusions.js';

const vm = { id: 'urn:vcloud:vm:1', name: 'db.scratch' };

describe('isVmExcluded', () => {
  it.each([
    ['db.scratch', true],
    ['*scratch', true],
    ['db?scratch', true],
    ['dbxscratch', false],
    ['db', false],
    ['urn:vcloud:vm:1', true],
    ['urn:vcloud:vm:2', false],
    ['our-id', true],
  ])('%s: %s', (entry, excluded) => expect(isVmExcluded(vm, 'our-id', { vms: [entry], disks: [] })).toBe(excluded));

  it('knows no id of ours before the VM was found in vCenter', () => {
    expect(isVmExcluded(vm, undefined, { vms: ['our-id'], disks: [] })).toBe(false);
  });
});

describe('excludedByRequest', () => {
  it.each([
    [{ vm: 'db.*', disk: 'Hard disk 2' }, EXCLUDED_BY_REQUEST],
    [{ vm: 'our-id', disk: 'our-disk' }, EXCLUDED_BY_REQUEST],
    [{ vm: 'db.*', disk: 'Hard disk ?' }, EXCLUDED_BY_REQUEST],
    [{ vm: 'db.*', disk: 'Hard disk 1' }, undefined],
    [{ vm: 'web', disk: 'Hard disk 2' }, undefined],
  ])('%j: %s', (entry, reason) => {
    const disk = { label: 'Hard disk 2', diskId: 'our-disk' };
    expect(excludedByRequest(vm, 'our-id', disk, { vms: [], disks: [entry] })).toBe(reason);
  });

  it.each([
    ['orders', EXCLUDED_BY_REQUEST],
    ['ord*', EXCLUDED_BY_REQUEST],
    ['urn:vcloud:disk:7', EXCLUDED_BY_REQUEST],
    ['urn:vcloud:disk:8', undefined],
    ['ORDERS', undefined],
  ])('takes a named disk by its own name or id: %s', (entry, reason) => {
    const disk = { label: 'Hard disk 2', diskId: 'our-disk', namedDisk: { id: 'urn:vcloud:disk:7', name: 'orders' } };
    expect(excludedByRequest(vm, 'our-id', disk, { vms: [], disks: [{ vm: '*', disk: entry }] })).toBe(reason);
  });
});
