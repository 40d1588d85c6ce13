import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import { type StoragePoliciesApi, VsphereError } from '../vsphere/index.js';
import { storagePoliciesOf } from './storage-policies.js';

describe('the storage policies of a restore point', () => {
  const read = (policies: Partial<StoragePoliciesApi>, isEncrypted = false) => {
    const warnings: string[] = [];
    const vm = { vcenter: { storagePolicies: policies }, configuration: { moRef: 'vm-7' }, captured: { name: 'web' } };
    const options = { warn: (message: string) => warnings.push(message), log: silentLogger, signal: new AbortController().signal };
    const answer = storagePoliciesOf(vm as never, [{ deviceKey: 2000 }, { deviceKey: 2001 }], isEncrypted, options);
    return { answer, warnings };
  };
  const down = async () => {
    throw new VsphereError('The policies cannot be asked for.', { code: 'PBM_UNAVAILABLE' });
  };

  it('are named, and by their ids where nobody names them', async () => {
    const asked: unknown[] = [];
    const ofVm: StoragePoliciesApi['ofVm'] = async (...args) => {
      asked.push(args.slice(0, 2));
      return { home: 'p1', disks: new Map([[2001, 'p9']]) };
    };
    const { answer } = read({ ofVm, list: async () => [{ id: 'p1', name: 'gold' }] });
    expect(await answer).toEqual({ home: { id: 'p1', name: 'gold' }, disks: new Map([[2001, { id: 'p9', name: 'p9' }]]) });
    expect(asked).toEqual([['vm-7', [2000, 2001]]]);
  });

  it('are none where vCenter names none', async () => {
    const { answer, warnings } = read({ ofVm: async () => ({ home: undefined, disks: new Map() }) });
    expect(await answer).toEqual({ home: undefined, disks: new Map() });
    expect(warnings).toEqual([]);
  });

  it('are missed aloud only where they are needed', async () => {
    for (const isEncrypted of [false, true]) {
      const { answer, warnings } = read({ ofVm: down }, isEncrypted);
      expect(await answer).toEqual({ home: undefined, disks: new Map() });
      expect(warnings).toHaveLength(isEncrypted ? 1 : 0);
    }
    const broken = read({ ofVm: async () => Promise.reject(new TypeError('ours')) });
    await expect(broken.answer).rejects.toThrow('ours');
  });
});
