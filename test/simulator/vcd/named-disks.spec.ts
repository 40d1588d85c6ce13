import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB } from '../../../src/common/index.js';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import type { NamedDisk, Vm } from './state.js';
import { startTestCell, type CallResult, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';

describe('named disks and affinity rules', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))));
  });
  afterAll(() => test.close());

  const vmNamed = (name: string): Vm => test.cloud.state.vms.find((vm) => vm.name === name) as Vm;
  const shopVms = (): Vm[] => {
    const shop = test.cloud.state.vapps.find((vapp) => vapp.name === 'shop');
    return test.cloud.state.vms.filter((vm) => vm.vappId === shop?.id);
  };
  const vdcId = (): string => test.cloud.vappOf(shopVms()[0] as Vm).vdcId;
  const create = async (name: string, attributes = 'sizeMb="2" busType="6" busSubType="VirtualSCSI"', user = 'acme-admin') => {
    const body = `<DiskCreateParams ${VCLOUD}><Disk name="${name}" ${attributes}><Description>d</Description></Disk></DiskCreateParams>`;
    return test.call(user, 'POST', `/api/vdc/${vdcId()}/disk`, { body, type: MEDIA.diskCreateParams });
  };
  const made = async (name: string): Promise<NamedDisk> => {
    const result = await create(name);
    expect(result.status).toBe(201);
    expect(await test.finished(result)).toBe('success');
    return test.cloud.state.disks.find((disk) => disk.name === name) as NamedDisk;
  };
  const place = (vm: Vm, disk: NamedDisk, action: 'attach' | 'detach', more = ''): Promise<CallResult> =>
    test.call('acme-admin', 'POST', `/api/vApp/vm-${vm.id}/disk/action/${action}`, {
      body: `<DiskAttachOrDetachParams ${VCLOUD}><Disk href="${test.cell.url}/api/disk/${disk.id}"/>${more}</DiskAttachOrDetachParams>`,
      type: MEDIA.diskAttachOrDetachParams,
    });
  const fileOf = (path: string): string => {
    const [, datastore, file = ''] = /^\[(.+)\] (.+)$/.exec(path) ?? [];
    return join(test.vsphere.datastores().find(({ name }) => name === datastore)?.directory ?? '', file);
  };

  it('makes a disk with a file of its own and refuses what is no disk', async () => {
    const disk = await made('made');
    expect(existsSync(fileOf(disk.path))).toBe(true);
    const shown = await test.call('acme-admin', 'GET', `/api/disk/${disk.id}`);
    expect(shown.xml.attribute('status', '')).toBe('1');
    expect(shown.xml.attribute('sizeMb', '')).toBe('2');
    expect((await create('', 'sizeMb="1"')).status).toBe(400);
    expect((await create('none', 'sizeMb="0"')).status).toBe(400);
    expect((await create('ide', 'sizeMb="1" busType="5" busSubType="ide"')).status).toBe(400);
    expect((await test.call('globex-admin', 'GET', `/api/disk/${disk.id}`)).status).toBe(403);
    const gone = await test.call('acme-admin', 'DELETE', `/api/disk/${disk.id}`);
    expect([gone.status, await test.finished(gone)]).toEqual([202, 'success']);
    expect(existsSync(fileOf(disk.path))).toBe(false);
    expect((await test.call('acme-admin', 'GET', `/api/disk/${disk.id}`)).status).toBe(403);
  });

  it('attaches it where it is told to, as a disk of the VM, and keeps its bytes over detach and another attach', async () => {
    const [first, second] = shopVms() as [Vm, Vm];
    const disk = await made('moving');
    const attached = await place(first, disk, 'attach', '<BusNumber>0</BusNumber><UnitNumber>9</UnitNumber>');
    expect([attached.status, await test.finished(attached)]).toEqual([202, 'success']);
    const device = test.cloud.hardware(first)?.disks.find((candidate) => candidate.unitNumber === 9);
    expect(device).toMatchObject({ busNumber: 0, capacityBytes: 2 * MIB, uuid: disk.uuid });
    const vm = await test.call('acme-admin', 'GET', `/api/vApp/vm-${first.id}`);
    const settings = vm.xml.find('VmSpecSection', 'DiskSection')?.childrenNamed('DiskSettings') ?? [];
    const shown = settings.find((setting) => setting.textAt('UnitNumber') === '9');
    expect(shown?.child('Disk')?.attribute('href', '')).toBe(`${test.cell.url}/api/disk/${disk.id}`);
    expect((await test.call('acme-admin', 'GET', `/api/disk/${disk.id}/attachedVms`)).text).toContain(`vm-${first.id}`);

    expect((await place(second, disk, 'attach')).text).toContain('is attached to VM');
    expect((await test.call('acme-admin', 'DELETE', `/api/disk/${disk.id}`)).status).toBe(400);
    const other = await made('other');
    expect((await place(first, other, 'attach', '<BusNumber>0</BusNumber><UnitNumber>9</UnitNumber>')).status).toBe(400);

    await test.vsphere.guest.write(first.moRef, device?.key ?? 0, 4096, Buffer.from('kept'));
    expect(await test.finished(await place(first, disk, 'detach'))).toBe('success');
    expect(test.cloud.hardware(first)?.disks.some((candidate) => candidate.unitNumber === 9)).toBe(false);
    expect(await test.finished(await place(second, disk, 'attach'))).toBe('success');
    const key = second.disks.find((record) => record.namedDiskId === disk.id)?.deviceKey ?? 0;
    expect((await test.vsphere.guest.read(second.moRef, key, 4096, 4)).toString()).toBe('kept');
    expect(await test.finished(await place(second, disk, 'detach'))).toBe('success');
    expect((await place(second, disk, 'detach')).status).toBe(400);
  });

  it('grows while it is attached to nothing, never shrinks, and is no shared disk', async () => {
    const disk = await made('growing');
    const put = (sizeMib: number) =>
      test.call('acme-admin', 'PUT', `/api/disk/${disk.id}`, {
        body: `<Disk ${VCLOUD} name="grown" sizeMb="${sizeMib}"><Description>larger</Description></Disk>`,
        type: MEDIA.disk,
      });
    expect((await put(1)).text).toContain('cannot shrink');
    expect(await test.finished(await put(5))).toBe('success');
    expect(disk).toMatchObject({ name: 'grown', description: 'larger', sizeBytes: 5 * MIB });
    const [vm] = shopVms() as [Vm];
    expect(await test.finished(await place(vm, disk, 'attach', '<UnitNumber>11</UnitNumber>'))).toBe('success');
    expect(test.cloud.hardware(vm)?.disks.find(({ uuid }) => uuid === disk.uuid)).toMatchObject({ unitNumber: 11, capacityBytes: 5 * MIB });
    expect((await put(6)).text).toContain('is attached to VM');
    expect(await test.finished(await place(vm, disk, 'detach'))).toBe('success');
    expect((await create('shared', 'sizeMb="1" sharingType="DiskSharing"')).status).toBe(400);
  });

  it('carries metadata and an owner', async () => {
    const disk = await made('described');
    const entry =
      '<MetadataEntry><Key>k</Key><TypedValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="MetadataNumberValue"><Value>7</Value></TypedValue></MetadataEntry>';
    const posted = await test.call('acme-admin', 'POST', `/api/disk/${disk.id}/metadata`, {
      body: `<Metadata ${VCLOUD}>${entry}</Metadata>`,
      type: MEDIA.metadata,
    });
    expect([posted.status, await test.finished(posted)]).toEqual([202, 'success']);
    expect((await test.call('acme-admin', 'GET', `/api/disk/${disk.id}/metadata/k`)).text).toContain('>7<');
    const olivia = test.cloud.state.users.find((user) => user.name === 'olivia');
    const owner = `<Owner ${VCLOUD}><User href="${test.cell.url}/api/admin/user/${olivia?.id}"/></Owner>`;
    expect((await test.call('acme-admin', 'PUT', `/api/disk/${disk.id}/owner`, { body: owner, type: MEDIA.owner })).status).toBe(204);
    expect((await test.call('olivia', 'GET', `/api/disk/${disk.id}`)).status).toBe(200);
  });

  it('keeps a rule of two VMs, and ends it when one of them is deleted; the named disk of that VM stays', async () => {
    const vms = shopVms();
    const [first, second] = vms as [Vm, Vm];
    const rule = (ids: string[], polarity = 'Anti-Affinity'): string =>
      `<VmAffinityRule ${VCLOUD}><Name>apart</Name><IsEnabled>true</IsEnabled><IsMandatory>false</IsMandatory><Polarity>${polarity}</Polarity><VmReferences>${ids
        .map((id) => `<VmReference href="${test.cell.url}/api/vApp/vm-${id}"/>`)
        .join('')}</VmReferences></VmAffinityRule>`;
    const post = (body: string): Promise<CallResult> =>
      test.call('acme-admin', 'POST', `/api/vdc/${vdcId()}/vmAffinityRules/`, { body, type: MEDIA.affinityRule });
    expect((await post(rule([first.id]))).status).toBe(400);
    expect((await post(rule([first.id, second.id], 'Both'))).status).toBe(400);
    const created = await post(rule([first.id, second.id]));
    expect([created.status, await test.finished(created)]).toEqual([202, 'success']);
    const listed = await test.call('acme-admin', 'GET', `/api/vdc/${vdcId()}/vmAffinityRules/`);
    expect(listed.xml.child('VmAffinityRule')?.textAt('Polarity')).toBe('Anti-Affinity');
    const href = listed.xml.child('VmAffinityRule')?.attribute('href', '') ?? '';
    const changed = await test.call('acme-admin', 'PUT', href, {
      body: rule([first.id, second.id]).replace('<IsEnabled>true', '<IsEnabled>false'),
      type: MEDIA.affinityRule,
    });
    expect(await test.finished(changed)).toBe('success');
    expect((await test.call('acme-admin', 'GET', href)).xml.textAt('IsEnabled')).toBe('false');

    const disk = await made('survivor');
    expect(await test.finished(await place(second, disk, 'attach'))).toBe('success');
    const off = await test.call('acme-admin', 'POST', `/api/vApp/vm-${second.id}/action/undeploy`, {
      body: `<UndeployVAppParams ${VCLOUD}/>`,
      type: MEDIA.undeploy,
    });
    expect(await test.finished(off)).toBe('success');
    const shop = second.vappId;
    const recomposed = await test.call('acme-admin', 'POST', `/api/vApp/vapp-${shop}/action/recomposeVApp`, {
      body: `<RecomposeVAppParams ${VCLOUD}><DeleteItem href="${test.cell.url}/api/vApp/vm-${second.id}"/></RecomposeVAppParams>`,
      type: MEDIA.recompose,
    });
    expect([recomposed.status, await test.finished(recomposed)]).toEqual([202, 'success']);
    expect(test.cloud.state.vapps.find((vapp) => vapp.id === shop)?.name).toBe('shop');
    expect(vmNamed(second.name)).toBeUndefined();
    expect(existsSync(fileOf(disk.path))).toBe(true);
    expect(disk.attachedVmId).toBeUndefined();
    expect((await test.call('acme-admin', 'GET', href)).status).toBe(403);
  });
});
