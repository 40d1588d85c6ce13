import { describe, expect, it } from 'vitest';
import type { CapturedEncryption } from '../../vsphere/index.js';
import type { RestoreRequest } from '../restore-request.js';
import type { MachineSupport } from './examine-machines.js';
import { assertCanStart } from './plan-view.js';
import { ruleMachine } from './rule-machine.js';
import { manifestDisk, manifestVm } from './testing.js';

const SUPPORT: MachineSupport = {
  hardwareVersions: ['vmx-19', 'vmx-08', 'vmx-17', 'vmx-21'],
  keyProviders: [{ id: 'kms-1', isDefault: true }],
  lostKeys: new Set(),
  policies: [{ id: 'p1', name: 'VM Encryption Policy' }],
  datastoresOf: new Map(),
};
const POLICY = { id: 'p1', name: 'VM Encryption Policy' };
const ENCRYPTION: CapturedEncryption = { key: { keyId: 'k', providerId: 'kms-1' }, diskKeys: new Map(), hasBundle: true, hasTpm: true };

interface Given {
  hardwareVersion?: string;
  encryption?: CapturedEncryption;
  support?: Partial<MachineSupport>;
  choice?: RestoreRequest['choices']['encryption'];
  policy?: typeof POLICY;
}
function ruled({ hardwareVersion = 'vmx-19', encryption, support = {}, choice, policy }: Given) {
  return ruleMachine({
    name: 'web',
    manifest: { ...manifestVm('web', [manifestDisk(2000, policy && { storagePolicy: policy })]), ...(policy && { storagePolicy: policy }) },
    machine: { hardwareVersion, disks: [], encryption, configXml: '' },
    support: { ...SUPPORT, ...support },
    choices: choice === undefined ? {} : { encryption: choice },
  });
}

describe('virtual hardware', () => {
  it.each([
    ['as it was', 'vmx-19', undefined],
    ['newer than the hosts', 'vmx-22', 'vmx-21'],
    ['between two that they take', 'vmx-18', 'vmx-19'],
  ])('%s', (_, hardwareVersion, planned) => {
    const { made, items } = ruled({ hardwareVersion });
    expect(made.hardwareVersion).toBe(planned);
    expect(items.map((item) => [item.attribute, item.conformity, item.needsChoice])).toEqual(
      planned === undefined ? [] : [['vms.web.hardware.hardwareVersion', 'not-permitted', false]],
    );
  });
  it('is as it was where vCenter does not tell', () => {
    expect(ruled({ hardwareVersion: 'vmx-99', support: { hardwareVersions: [] } })).toEqual({ made: {}, items: [] });
  });
});

describe('an encrypted VM', () => {
  const profiles = { home: 'p1', disks: new Map([[2000, 'p1']]) };
  const gone = { keyProviders: [{ id: 'kms-2', isDefault: true }] };

  it('keeps its keys and policies where its key provider is there', () => {
    const { made, items } = ruled({ encryption: ENCRYPTION, policy: POLICY });
    expect(made.encryption).toEqual({ keys: 'captured', profiles });
    expect(items).toMatchObject([{ attribute: 'vms.web.encryption', conformity: 'fits', planned: 'kms-1' }]);
    const byDefault = { ...ENCRYPTION, key: { keyId: 'k', providerId: undefined } };
    expect(ruled({ encryption: byDefault, support: gone }).made.encryption).toEqual({ keys: 'captured' });
  });

  it('does not start without it, and says what there is to choose', () => {
    const { made, items } = ruled({ encryption: ENCRYPTION, support: gone, policy: POLICY });
    expect(made.encryption).toBeUndefined();
    expect(items[0]?.explanation).toContain('vCenter has no key provider "kms-1"');
    expect(items[0]?.choice?.options.map(({ value }) => value)).toEqual(['new-keys', 'none']);
    expect(() => assertCanStart({ items })).toThrow(expect.objectContaining({ code: 'CHOICE_NEEDED' }));
    const none = ruled({ encryption: ENCRYPTION, support: { keyProviders: [] }, policy: POLICY });
    expect(none.items[0]?.choice?.options.map(({ value }) => value)).toEqual(['none']);
  });

  it('does not start either where the provider is there and its key is not', () => {
    const lost = ruled({ encryption: ENCRYPTION, support: { lostKeys: new Set(['k']) }, policy: POLICY });
    expect(lost.items[0]).toMatchObject({ needsChoice: true, explanation: expect.stringContaining('its keys cannot be had') });
    expect(ruled({ encryption: ENCRYPTION, support: { lostKeys: new Set(['other']) } }).items[0]?.conformity).toBe('fits');
  });

  it('gets new keys on request, by a policy that is there', () => {
    const given: Given = { encryption: ENCRYPTION, support: gone, choice: 'new-keys' };
    expect(ruled({ ...given, policy: POLICY }).made.encryption).toEqual({ keys: 'new', profiles });
    const without = ruled(given);
    expect(without.made.encryption).toBeUndefined();
    expect(() => assertCanStart(without)).toThrow(expect.objectContaining({ code: 'CHOICE_NEEDED' }));
  });

  it('is made without encryption on request', () => {
    const { made, items } = ruled({ encryption: ENCRYPTION, support: { keyProviders: [] }, choice: 'none' });
    expect(made.encryption).toEqual({ keys: 'none' });
    expect(() => assertCanStart({ items })).not.toThrow();
  });
});

describe('storage policies', () => {
  it('are found by id, else by name, and said once where they are gone', () => {
    expect(ruled({ policy: { id: 'elsewhere', name: POLICY.name } }).made.encryption).toEqual({
      keys: 'none',
      profiles: { home: 'p1', disks: new Map([[2000, 'p1']]) },
    });
    const { made, items } = ruled({ policy: { id: 'x', name: 'gone' } });
    expect(made).toEqual({});
    expect(items.map((item) => [item.attribute, item.conformity])).toEqual([['vms.web.storagePolicy', 'missing']]);
  });
});
