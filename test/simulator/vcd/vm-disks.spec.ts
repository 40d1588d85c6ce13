import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../../../src/common/index.js';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import type { Vm } from './state.js';
import { startTestCell, type CallResult, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

describe('the disks of a VM by reconfigureVm', () => {
  let test: TestCell;
  let vm: Vm;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))));
    const shop = test.cloud.state.vapps.find((vapp) => vapp.name === 'shop');
    vm = test.cloud.state.vms.find((candidate) => candidate.vappId === shop?.id) as Vm;
  });
  afterAll(() => test.close());

  const disks = () => test.cloud.hardware(vm)?.disks ?? [];
  const disk = (fields: { id?: number; sizeMb: number; unit: number; adapter?: string; profile?: string }): string =>
    `<DiskSettings>${fields.id === undefined ? '' : `<DiskId>${fields.id}</DiskId>`}<SizeMb>${fields.sizeMb}</SizeMb><UnitNumber>${fields.unit}</UnitNumber><BusNumber>0</BusNumber><AdapterType>${fields.adapter ?? '5'}</AdapterType><ThinProvisioned>true</ThinProvisioned>${
      fields.profile === undefined
        ? ''
        : `<StorageProfile href="${test.cell.url}/api/vdcStorageProfile/${fields.profile}"/><overrideVmDefault>true</overrideVmDefault>`
    }</DiskSettings>`;
  const reconfigure = (settings: string): Promise<CallResult> =>
    test.call('administrator', 'POST', `/api/vApp/vm-${vm.id}/action/reconfigureVm`, {
      body: `<Vm xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" name="${vm.name}"><VmSpecSection Modified="true"><ovf:Info>i</ovf:Info><DiskSection>${settings}</DiskSection><HardwareVersion>vmx-19</HardwareVersion></VmSpecSection></Vm>`,
      type: MEDIA.vm,
    });
  const asTheyAre = (): string =>
    disks()
      .filter(({ busNumber }) => busNumber === 0)
      .map((each) =>
        disk({
          id: each.key,
          sizeMb: Math.floor(each.capacityBytes / MIB),
          unit: each.unitNumber,
          adapter: adapterNumber(each.adapterType),
        }),
      )
      .join('');
  const adapterNumber = (adapter: string): string => ({ busLogic: '2', lsiLogic: '3', lsiLogicSas: '4' })[adapter] ?? '5';

  it('adds one on a storage profile of its own, grows it, and removes it again', async () => {
    const before = asTheyAre();
    const keys = disks().map(({ key }) => key);
    const adapter = adapterNumber(disks()[0]?.adapterType ?? '');
    const profile = test.cloud.state.storageProfiles.find(
      (candidate) => candidate.vdcId === test.cloud.vappOf(vm).vdcId && candidate.id !== vm.storageProfileId,
    );
    const added = await reconfigure(before + disk({ sizeMb: 3, unit: 12, adapter, profile: profile?.id }));
    expect(added.text).not.toContain('<Error');
    expect(await test.finished(added)).toBe('success');
    const device = disks().find(({ unitNumber }) => unitNumber === 12);
    expect(device?.capacityBytes).toBe(3 * MIB);
    const shown = await test.call('administrator', 'GET', `/api/vApp/vm-${vm.id}`);
    const settings = shown.xml.find('VmSpecSection', 'DiskSection')?.childrenNamed('DiskSettings') ?? [];
    const own = settings.find((candidate) => candidate.textAt('UnitNumber') === '12');
    expect(own?.child('StorageProfile')?.attribute('name', '')).toBe(profile?.name);
    expect(own?.textAt('overrideVmDefault')).toBe('true');

    expect(await test.finished(await reconfigure(before + disk({ id: device?.key, sizeMb: 5, unit: 12, adapter })))).toBe('success');
    expect(disks().find(({ unitNumber }) => unitNumber === 12)?.capacityBytes).toBe(5 * MIB);
    expect((await reconfigure(before + disk({ id: device?.key, sizeMb: 2, unit: 12, adapter }))).text).toContain('cannot shrink');

    const running = await reconfigure(before);
    expect(running.text).toContain('while it runs');
    await test.vsphere.powerOff(vm.moRef);
    expect(await test.finished(await reconfigure(before))).toBe('success');
    expect(disks().map(({ key }) => key)).toEqual(keys);
  });

  it('refuses a disk that is not there, one that moves, and two on one unit', async () => {
    const first = disks()[0];
    const adapter = adapterNumber(first?.adapterType ?? '');
    expect((await reconfigure(asTheyAre() + disk({ id: 9999, sizeMb: 1, unit: 3, adapter }))).text).toContain('has no disk 9999');
    expect((await reconfigure(disk({ id: first?.key, sizeMb: 1, unit: 14, adapter }))).text).toContain('cannot be moved');
    expect((await reconfigure(asTheyAre() + disk({ sizeMb: 1, unit: first?.unitNumber ?? 0, adapter }))).text).toContain('Two disks');
    expect((await reconfigure(asTheyAre() + disk({ sizeMb: 1, unit: 7, adapter }))).status).toBe(400);
  });
});
