import { describe, expect, it } from 'vitest';
import { parseXml } from '../common/index.js';
import { captureAffinityRules } from './capture-affinity-rules.js';
import { captureNamedDisks, readNamedDisk } from './capture-named-disks.js';
import { nameStorageProfiles, type Place, readPlace } from './capture-place.js';
import { captureVm, originOf } from './capture-vm.js';
import { EntityNames, type VcdContext } from './context.js';
import { EntityReader } from './entity-reader.js';
import { waitUntilIdle } from './entity-tasks.js';
import { VcdError } from './error.js';
import { disksOf, hardwareOf } from './hardware.js';
import type { MetadataEntry, VmCapture } from './types.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const DISK = 'https://vcd/api/disk/00000000-0000-4000-8000-0000000000d1';
const forbidden = (minorErrorCode: string) => new VcdError('No access.', { code: 'ACCESS_FORBIDDEN', httpStatus: 403, minorErrorCode });

/** Answers by path; what it has not is gone. */
function readerOf(answers: Record<string, string>): { reader: EntityReader; context: VcdContext; asked: string[] } {
  const asked: string[] = [];
  const get = async (href: string) => {
    asked.push(new URL(href).pathname);
    const text = answers[new URL(href).pathname];
    if (text === undefined) throw forbidden('ACCESS_TO_RESOURCE_IS_FORBIDDEN');
    return { text, root: () => parseXml(text) };
  };
  const context = { http: { get }, names: new EntityNames(), taskPollMs: 1, taskTimeoutMs: 1_000 } as unknown as VcdContext;
  const of = { subject: 'vApp "shop"', ownPath: '/vApp/', goneCode: 'VAPP_NOT_FOUND' } as const;
  return { reader: new EntityReader(context, of, undefined), context, asked };
}

function vm(id: string, more: Partial<VmCapture> = {}): VmCapture {
  return {
    ...{ href: `https://vcd/api/vApp/vm-${id}`, id: `urn:vcloud:vm:${id}`, name: id, status: 8, deployed: false },
    ...{ vim: { vimServer: { href: 'vc' }, vmMoRef: 'vm-1', diskDatastores: [] }, nics: [], disks: [], metadata: [], sections: {} },
    ...more,
  };
}
const borrowed = (busNumber: number, unitNumber: number, href = DISK) => ({
  ...{ instanceId: '1', sizeMib: 1, busNumber, unitNumber },
  namedDisk: { href },
});

describe('named disks', () => {
  const metadata = `<Metadata ${VCLOUD}/>`;

  it('that several VMs share are read once, with all their places', async () => {
    const { reader, asked } = readerOf({
      '/api/disk/00000000-0000-4000-8000-0000000000d1': `<Disk ${VCLOUD} name="shared" sizeMb="2048" busType="6" busSubType="lsilogicsas" sharingType="DiskSharing"><Owner><User href="https://vcd/u" name="ann"/></Owner></Disk>`,
      '/api/disk/00000000-0000-4000-8000-0000000000d1/metadata': metadata,
    });
    const vms = [vm('a', { disks: [borrowed(1, 0)] }), vm('b', { disks: [borrowed(0, 2)] }), vm('c')];
    expect(await captureNamedDisks(reader, vms)).toEqual([
      {
        ...{ href: DISK, id: 'urn:vcloud:disk:00000000-0000-4000-8000-0000000000d1', name: 'shared', sizeMib: 2048 },
        ...{ busType: '6', busSubType: 'lsilogicsas', sharingType: 'DiskSharing', metadata: [] },
        owner: { href: 'https://vcd/u', name: 'ann' },
        attachments: [
          { vmId: 'urn:vcloud:vm:a', busNumber: 1, unitNumber: 0 },
          { vmId: 'urn:vcloud:vm:b', busNumber: 0, unitNumber: 2 },
        ],
      },
    ]);
    expect(asked).toHaveLength(2);
    expect(Object.keys(reader.raw)).toEqual(asked);
  });

  it('are read as releases before 33.0 and 36.0 write them, the owner by its link', async () => {
    const { reader } = readerOf({
      '/api/disk/00000000-0000-4000-8000-0000000000d1': `<Disk ${VCLOUD} name="old" size="1048577" shareable="true"><Link rel="down" type="application/vnd.vmware.vcloud.owner+xml" href="https://vcd/api/disk/1/owner"/><Description>d</Description></Disk>`,
      '/api/disk/1/owner': `<Owner ${VCLOUD}><User href="https://vcd/u" name="bob"/></Owner>`,
      '/api/disk/00000000-0000-4000-8000-0000000000d1/metadata': metadata,
    });
    const [disk] = await captureNamedDisks(reader, [vm('a', { disks: [borrowed(0, 1)] })]);
    expect(disk).toMatchObject({
      name: 'old',
      description: 'd',
      sizeMib: 2,
      busType: '6',
      sharingType: 'DiskSharing',
      owner: { name: 'bob' },
    });
  });

  it('that went away meanwhile are left out: the VM tells that it changed', async () => {
    const { reader, context } = readerOf({});
    expect(await captureNamedDisks(reader, [vm('a', { disks: [borrowed(0, 1)] })])).toEqual([]);
    expect(await readNamedDisk(context, DISK)).toBeUndefined();
  });

  it('are not what the answer says they are', async () => {
    const { reader } = readerOf({ '/api/disk/00000000-0000-4000-8000-0000000000d1': `<Media ${VCLOUD}/>` });
    await expect(captureNamedDisks(reader, [vm('a', { disks: [borrowed(0, 1)] })])).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });
});

describe('a VM', () => {
  it('names named disks and overridden profiles in the OVF items too', () => {
    const items = parseXml(
      `<Vm ${VCLOUD} xmlns:o="urn:o" xmlns:v="http://www.vmware.com/vcloud/v1.5"><o:VirtualHardwareSection>` +
        '<o:Item><o:Address>1</o:Address><o:InstanceID>3</o:InstanceID><o:ResourceType>6</o:ResourceType></o:Item>' +
        `<o:Item><o:AddressOnParent>2</o:AddressOnParent><o:HostResource v:capacity="10" v:disk="${DISK}" v:storageProfileHref="https://vcd/api/vdcStorageProfile/00000000-0000-4000-8000-0000000000a1" v:storageProfileOverrideVmDefault="true"/><o:InstanceID>2018</o:InstanceID><o:Parent>3</o:Parent><o:ResourceType>17</o:ResourceType></o:Item>` +
        '</o:VirtualHardwareSection></Vm>',
    );
    const [disk] = disksOf(items);
    expect(disk).toMatchObject({ busNumber: 1, unitNumber: 2, overridesVmProfile: true, namedDisk: { href: DISK } });
    const vdc = parseXml(
      `<Vdc ${VCLOUD}><VdcStorageProfiles><VdcStorageProfile href="https://vcd/api/admin/vdcStorageProfile/00000000-0000-4000-8000-0000000000A1" name="gold"/></VdcStorageProfiles></Vdc>`,
    );
    const [named] = nameStorageProfiles([vm('a', { disks: disksOf(items) })], vdc);
    expect(named?.disks[0]?.storageProfile?.name).toBe('gold');
  });

  it('has the hardware VmSpecSection says, with the rest from the OVF items', () => {
    const root = parseXml(
      `<Vm ${VCLOUD} xmlns:o="urn:o" nestedHypervisorEnabled="true"><VmSpecSection><Firmware>efi</Firmware><NumCpus>8</NumCpus><NumCoresPerSocket>4</NumCoresPerSocket><MemoryResourceMb><Configured>4096</Configured></MemoryResourceMb><HardwareVersion>vmx-20</HardwareVersion></VmSpecSection>` +
        '<o:VirtualHardwareSection><o:Item><o:ResourceType>3</o:ResourceType><o:VirtualQuantity>2</o:VirtualQuantity></o:Item></o:VirtualHardwareSection>' +
        '<VmCapabilities><MemoryHotAddEnabled>true</MemoryHotAddEnabled><CpuHotAddEnabled>false</CpuHotAddEnabled></VmCapabilities></Vm>',
    );
    expect(hardwareOf(root)).toEqual({
      ...{ cpuCount: 8, coresPerSocket: 4, memoryMib: 4096, hardwareVersion: 'vmx-20', firmware: 'efi' },
      ...{ nestedHypervisor: true, cpuHotAdd: false, memoryHotAdd: true },
    });
    expect(hardwareOf(parseXml(`<Vm ${VCLOUD}/>`))).toEqual({});
  });

  it('of a template has its storage profile as a link, whose name may be any', () => {
    const template = (profile: string) =>
      captureVm(
        parseXml(
          `<Vm ${VCLOUD} xmlns:e="http://www.vmware.com/vcloud/extension/v1.5" name="a" href="https://vcd/api/vAppTemplate/vm-1"><VCloudExtension><e:VmVimInfo><e:VmVimObjectRef><e:VimServerRef href="https://vcd/v"/><e:MoRef>vm-1</e:MoRef></e:VmVimObjectRef></e:VmVimInfo></VCloudExtension>` +
            `<Link rel="storageProfile" type="application/vnd.vmware.vcloud.vdcStorageProfile+xml" href="https://vcd/api/vdcStorageProfile/1"/><DefaultStorageProfile>${profile}</DefaultStorageProfile></Vm>`,
        ),
        [],
        undefined,
      ).storageProfile;
    expect(template('gold')).toEqual({ href: 'https://vcd/api/vdcStorageProfile/1', name: 'gold' });
    expect(template('*')).toEqual({ href: 'https://vcd/api/vdcStorageProfile/1' });
  });

  it('tells its origin from SYSTEM metadata alone: a tenant may write the key in GENERAL', () => {
    const entry = (domain: 'SYSTEM' | 'GENERAL', key: string, value: string): MetadataEntry => ({
      ...{ key, value, domain, type: 'MetadataStringValue' },
      visibility: 'READONLY',
    });
    expect(originOf('vm', [entry('GENERAL', 'vm.origin.id', 'forged')])).toEqual({});
    expect(originOf('vm', [entry('SYSTEM', 'vm.origin.id', '7'), entry('SYSTEM', 'vapp.origin.name', 'x')])).toEqual({
      origin: { id: '7' },
    });
  });
});

describe('affinity rules', () => {
  const place = { vdc: { href: 'https://vcd/api/vdc/1' }, vdcEntity: parseXml(`<Vdc ${VCLOUD}/>`) } as unknown as Place;
  const member = vm('00000000-0000-4000-8000-0000000000b1');

  it('take what an old answer leaves out as not said', async () => {
    const { reader } = readerOf({
      '/api/vdc/1/vmAffinityRules': `<VmAffinityRules ${VCLOUD}><VmAffinityRule href="https://vcd/r"><Name>r</Name><Polarity>Affinity</Polarity><VmReferences><VmReference href="https://other-host/api/vApp/vm-00000000-0000-4000-8000-0000000000b1"/></VmReferences></VmAffinityRule></VmAffinityRules>`,
    });
    const rules = await captureAffinityRules(reader, place, [member]);
    expect(rules).toMatchObject([{ name: 'r', polarity: 'Affinity', enabled: true, mandatory: true, vms: [{ id: member.id }] }]);
  });

  it('are unknown, not none, where the answer is another resource', async () => {
    expect(
      await captureAffinityRules(readerOf({ '/api/vdc/1/vmAffinityRules': `<Vdc ${VCLOUD}/>` }).reader, place, [member]),
    ).toBeUndefined();
    expect(await captureAffinityRules(readerOf({}).reader, place, [member])).toBeUndefined();
  });
});

describe('the place of an entity', () => {
  const link = (rel: string, type: string, href: string) =>
    `<Link rel="${rel}" type="application/vnd.vmware.${type}+xml" href="https://vcd${href}"/>`;
  const vapp = parseXml(`<VApp ${VCLOUD}>${link('up', 'vcloud.vdc', '/api/vdc/1')}</VApp>`);

  it('goes without a resource pool for a login that sees none', async () => {
    const vdc = `<Vdc ${VCLOUD} name="v">${link('up', 'vcloud.org', '/api/org/1')}${link('alternate', 'admin.vdc', '/api/admin/vdc/1')}</Vdc>`;
    const { reader } = readerOf({ '/api/vdc/1': vdc, '/api/org/1': `<Org ${VCLOUD} name="o"/>` });
    const place = await readPlace(reader, vapp);
    expect([place.vdc.name, place.organization.name, place.resourcePool]).toEqual(['v', 'o', undefined]);
  });

  it('is not made up', async () => {
    const { reader } = readerOf({ '/api/vdc/1': `<Vdc ${VCLOUD}/>` });
    await expect(readPlace(reader, vapp)).rejects.toThrow('Reading the organization of vApp "shop" failed: its VDC has no link to it.');
    await expect(readPlace(reader, parseXml(`<VApp ${VCLOUD}/>`))).rejects.toThrow('Reading the VDC of vApp "shop" failed');
  });
});

describe('waiting until nothing runs', () => {
  const busy = parseXml(`<Media ${VCLOUD}><Tasks><Task status="running" operationName="mediaUpload"/></Tasks></Media>`);
  const idle = parseXml(`<Media ${VCLOUD}><Tasks><Task status="success"/></Tasks></Media>`);

  it('asks again while a task runs', async () => {
    const answers = [busy, busy, idle];
    const read = async () => ({ root: answers.shift() ?? idle });
    expect(await waitUntilIdle(readerOf({}).context, DISK, read, 10_000)).toBe(idle);
    expect(answers).toEqual([]);
  });

  it('ends at its deadline, and when it is aborted', async () => {
    const read = async () => ({ root: busy });
    const { context } = readerOf({});
    await expect(waitUntilIdle(context, DISK, read, 5)).rejects.toMatchObject({
      code: 'TASK_TIMEOUT',
      message: expect.stringContaining('mediaUpload'),
    });
    await expect(waitUntilIdle(context, DISK, read, 60_000, AbortSignal.abort())).rejects.toThrow();
  });
});
