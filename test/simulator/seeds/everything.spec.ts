import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestCell, type TestCell } from '../vcd/testing.js';
import { everythingSeed } from './everything.js';

describe('the seed of everything', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(everythingSeed());
  });
  afterAll(() => test.close());

  it('has one of everything', () => {
    const { state } = test.cloud;
    expect(state.vapps.map((vapp) => [vapp.name, vapp.autoNature, test.cloud.vmsOf(vapp).length])).toEqual([
      ['shop', false, 2],
      ['golden', false, 2],
      ['lone', true, 1],
      ['erp', false, 1],
      ['from-template', false, 2],
    ]);
    expect(state.vappTemplates.map((template) => [template.name, test.cloud.templateVmsOf(template.id).length])).toEqual([
      ['pair', 2],
      ['single', 1],
    ]);
    expect(state.media.map((media) => [media.name, media.status])).toEqual([['installer', 1]]);
    expect(state.disks.map((disk) => [disk.name, disk.attachedVmId !== undefined])).toEqual([
      ['orders', true],
      ['spare', false],
    ]);
    expect(state.affinityRules.map((rule) => rule.name)).toEqual(['together', 'apart']);
    const db = state.vms.find((vm) => vm.name === 'db');
    expect(test.vsphere.vm(db?.moRef ?? '')?.disks.map((disk) => disk.unitNumber)).toEqual([0, 3]);
    const golden = state.vms.find((vm) => vm.name === 'golden-b');
    expect(test.vsphere.vm(golden?.moRef ?? '')?.snapshots.map((snapshot) => snapshot.name)).toEqual(['before the upgrade']);
  });
});
