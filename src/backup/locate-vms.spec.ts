import { describe, expect, it } from 'vitest';
import type { VappCapture } from '../vcd/index.js';
import { VsphereError } from '../vsphere/index.js';
import { locateVms } from './locate-vms.js';

const SERVER = { href: 'https://vcd/api/admin/extension/vimServer/1', instanceUuid: 'vc', name: 'vcenter-1' };

/** @param inventory MoRef -> instance UUID, in vCenter. @param known what the catalog knows the VM by. */
async function locate(inventory: Record<string, string>, known: string[], moRef = 'vm-1') {
  const asked: string[] = [];
  const vcenter = {
    instanceUuid: 'vc',
    readVm: async (wanted: string) => {
      asked.push(wanted);
      if (inventory[wanted] === undefined) throw new VsphereError(`There is no ${wanted}.`, { code: 'NOT_FOUND' });
      return { moRef: wanted, instanceUuid: inventory[wanted] };
    },
    findVmByInstanceUuid: async (uuid: string) => Object.keys(inventory).find((each) => inventory[each] === uuid),
  };
  const vm = { id: 'urn:vcloud:vm:1', name: 'web', vim: { vimServer: { href: SERVER.href }, vmMoRef: moRef } };
  const { vms } = await locateVms({ name: 'shop', vms: [vm] } as unknown as VappCapture, {
    cloud: { cloudId: 'c', vcenter: async () => vcenter } as never,
    vcd: { vimServers: async () => [SERVER] } as never,
    catalog: { identifyVm: async () => 'our-id', knownInstanceUuids: async () => known },
    exclude: { vms: [], disks: [] },
    signal: new AbortController().signal,
  });
  return { moRef: vms[0]?.configuration.moRef, asked };
}

describe('a VM that VCD names by its MoRef', () => {
  it.each<[string, Record<string, string>, string[], string]>([
    ['is taken at first sight', { 'vm-1': 'uuid-a' }, [], 'vm-1'],
    ['is itself', { 'vm-1': 'uuid-a' }, ['uuid-a'], 'vm-1'],
    ['is itself under any of its instance UUIDs', { 'vm-1': 'uuid-b' }, ['uuid-a', 'uuid-b'], 'vm-1'],
    ['was registered again', { 'vm-7': 'uuid-a' }, ['uuid-a'], 'vm-7'],
    ['was registered again, and another VM has its MoRef', { 'vm-1': 'uuid-x', 'vm-7': 'uuid-a' }, ['uuid-a'], 'vm-7'],
    ['took the place of one that is gone', { 'vm-1': 'uuid-b' }, ['uuid-a'], 'vm-1'],
  ])('%s', async (_, inventory, known, expected) => {
    expect((await locate(inventory, known)).moRef).toBe(expected);
  });

  it('and that is nowhere, fails', async () => {
    await expect(locate({}, ['uuid-a'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
