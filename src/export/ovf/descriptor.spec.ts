import { describe, expect, it } from 'vitest';
import { parseXml, type XmlElement } from '../../common/index.js';
import { capturedHardware } from '../../vsphere/index.js';
import { type OvfVm, ovfDescriptor } from './descriptor.js';
import { OVF, VMW } from './elements.js';
import { CONFIGURATION, vappCapture, vmCapture } from './testing.js';

const disk = (fileName: string, capacityBytes: number) => ({ fileName, sizeBytes: 70_000, capacityBytes, dataBytes: 65_536 });
const web: OvfVm = {
  captured: vmCapture('web-1'),
  hardware: capturedHardware(CONFIGURATION),
  disks: new Map([
    [2000, disk('shop-disk1.vmdk', 3 * 2 ** 40 + 512)],
    [16000, disk('shop-disk2.vmdk', 2 ** 30)],
  ]),
};

function itemsOf(system: XmlElement | undefined): Record<string, string>[] {
  const items = system?.child('VirtualHardwareSection')?.childrenNamed('Item') ?? [];
  return items.map((item) => Object.fromEntries(item.elements().map((part) => [part.local, part.text()])));
}

describe('the OVF descriptor of a vApp', () => {
  const text = ovfDescriptor(vappCapture([web.captured]), [web]);
  const envelope = parseXml(text);
  const collection = envelope.child('VirtualSystemCollection');
  const system = collection?.child('VirtualSystem');
  const items = itemsOf(system);

  it('names every file and disk, with sizes of 64 bits', () => {
    expect(envelope.elements().map(({ local }) => local)).toEqual([
      'References',
      'DiskSection',
      'NetworkSection',
      'VirtualSystemCollection',
    ]);
    expect(
      envelope
        .child('References')
        ?.childrenNamed('File')
        .map((file) => file.attribute('href')),
    ).toEqual(['shop-disk1.vmdk', 'shop-disk2.vmdk']);
    const [first] = envelope.child('DiskSection')?.childrenNamed('Disk') ?? [];
    expect(first?.attribute('capacity', OVF)).toBe(String(3 * 2 ** 40 + 512));
    expect(first?.attribute('format')).toContain('#streamOptimized');
  });

  it('hangs disks on their controllers, each by its unit', () => {
    const instance = (subType: string) => items.find((item) => item.ResourceSubType === subType)?.InstanceID;
    const disks = items.filter((item) => item.ResourceType === '17');
    expect(
      disks.map(({ ElementName, HostResource, Parent, AddressOnParent }) => [ElementName, HostResource, Parent, AddressOnParent]),
    ).toEqual([
      ['Hard disk 1', 'ovf:/disk/vmdisk1', instance('VirtualSCSI'), '1'],
      ['Hard disk 2', 'ovf:/disk/vmdisk2', instance('vmware.sata.ahci'), '0'],
    ]);
    // What carries nothing we tell of is left to who builds it.
    expect(items.filter((item) => item.ResourceType === '5')).toHaveLength(1);
    expect(items.find((item) => item.ResourceType === '15')?.Parent).toBe(items.find((item) => item.ResourceType === '5')?.InstanceID);
    const ids = items.map((item) => item.InstanceID);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has processors, memory, firmware and networks as they were', () => {
    expect(items.find((item) => item.ResourceType === '3')).toMatchObject({ VirtualQuantity: '4', CoresPerSocket: '2' });
    expect(items.find((item) => item.ResourceType === '4')).toMatchObject({ VirtualQuantity: '2048', AllocationUnits: 'byte * 2^20' });
    const configs = system?.child('VirtualHardwareSection')?.childrenNamed('Config', VMW) ?? [];
    expect(configs.map((config) => [config.attribute('key'), config.attribute('value')])).toContainEqual(['firmware', 'efi']);
    expect(
      items.filter((item) => item.ResourceType === '10').map(({ ResourceSubType, Connection }) => [ResourceSubType, Connection]),
    ).toEqual([
      ['VmxNet3', 'front'],
      ['E1000', undefined],
    ]);
    expect(
      envelope
        .child('NetworkSection')
        ?.childrenNamed('Network')
        .map((network) => network.attribute('name')),
    ).toEqual(['front']);
    expect(system?.child('OperatingSystemSection')?.attribute('osType', VMW)).toBe('debian12_64Guest');
  });

  it('writes the elements of an item in the order of the schema', () => {
    for (const item of system?.child('VirtualHardwareSection')?.childrenNamed('Item') ?? []) {
      const names = item.elements().flatMap(({ local, namespace }) => (namespace === VMW ? [] : [local]));
      expect(names).toEqual(names.toSorted());
    }
  });

  it('has start order, products and metadata, and no secret', () => {
    const startup = collection?.child('StartupSection')?.childrenNamed('Item') ?? [];
    expect(startup.map((item) => [item.attribute('id'), item.attribute('order'), item.attribute('startDelay')])).toEqual([
      ['web-1', '2', '65535'],
    ]);
    const products = collection?.childrenNamed('ProductSection') ?? [];
    expect(products.map((product) => product.attribute('class'))).toEqual(['shop', 'vcloud.metadata']);
    const metadata = products[1]?.childrenNamed('Property') ?? [];
    expect(metadata.map((property) => [property.attribute('key'), property.attribute('type'), property.attribute('value')])).toEqual([
      ['cost_center', 'string', '4711 / sales & web'],
      ['cost_center_2', 'sint64', '7'],
    ]);
    expect(metadata[0]?.textAt('Label')).toBe('cost.center');
    for (const secret of ['hunter2', 'rack 7', 'private thing', 'https://vcd']) expect(text).not.toContain(secret);
  });
});

describe('the OVF descriptor of a standalone VM', () => {
  it('is one virtual system', () => {
    const envelope = parseXml(ovfDescriptor({ ...vappCapture([web.captured]), kind: 'standalone-vm' }, [web]));
    expect(envelope.elements().at(-1)?.local).toBe('VirtualSystem');
    expect(envelope.child('VirtualSystem')?.attribute('id')).toBe('web-1');
  });
});
