import { describe, expect, it } from 'vitest';
import { matchWarnings } from './check-connections.js';

const server = { id: 'urn:vcloud:vimserver:1', name: 'vc-1', href: 'https://vcd/api/admin/extension/vimServer/1', url: 'https://vc-1' };

describe('matchWarnings', () => {
  it('matches by instance UUID in any case', () => {
    expect(matchWarnings([{ ...server, instanceUuid: 'AB-1' }], [{ instanceUuid: 'ab-1', url: 'https://elsewhere' }])).toEqual([]);
  });

  it('names a vCenter only one side knows', () => {
    expect(matchWarnings([{ ...server, instanceUuid: 'ab-1' }], [{ instanceUuid: 'cd-2', url: 'https://vc-2' }])).toEqual([
      'VCD uses vCenter "vc-1" (https://vc-1, instance UUID ab-1), which is not registered: vApps with VMs there cannot be backed up.',
      'The registered vCenter https://vc-2 (instance UUID cd-2) is not used by this VCD.',
    ]);
  });
});
