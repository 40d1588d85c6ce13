import { describe, expect, it } from 'vitest';
import { parseXml, type XmlElement } from '../common/index.js';
import { captureVm } from './capture-vm.js';
import { writableNetworkConfig } from './edit-network.js';
import { reconfigureBody } from './edit-vm.js';
import { importAsVappBody, importIntoVappBody } from './imports.js';
import { metadataEntryHref, planMetadata } from './metadata.js';
import { VCLOUD, VMEXT, writeVcloudXml } from './namespaces.js';
import { networkConnections } from './network-connections.js';
import { networksOf } from './sections.js';
import type { MetadataEntry, NicConnection } from './types.js';

const NAMESPACES =
  'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vmw="http://www.vmware.com/schema/ovf"';

/** What travels: written and read again. */
function sent(root: XmlElement): XmlElement {
  return parseXml(writeVcloudXml(root));
}
const names = (parent: XmlElement | undefined) => (parent?.elements() ?? []).map((child) => child.local);

describe('import parameters', () => {
  const common = {
    vimServerHref: 'v',
    vmMoRef: 'vm-7',
    vmName: 'web',
    computerName: 'web-01',
    localId: 'local',
    storageProfileHref: 'https://vcd/sp',
  };

  it('keep the order and namespaces of ImportVmAsVAppParamsType', () => {
    const body = sent(importAsVappBody({ ...common, vdcHref: 'https://vcd/vdc', vappName: 'shop & co', vappDescription: '' }));
    expect(body.attributes.map((a) => [a.local, a.value])).toEqual([
      ['name', 'shop & co'],
      ['deploy', 'false'],
      ['powerOn', 'false'],
      ['sourceMove', 'true'],
    ]);
    expect(
      body.elements().map((child) => [child.namespace === VCLOUD ? 'vcloud' : child.namespace === VMEXT ? 'vmext' : '?', child.local]),
    ).toEqual([
      ['vcloud', 'Description'],
      ['vmext', 'VmName'],
      ['vmext', 'VAppScopedLocalId'],
      ['vmext', 'ComputerName'],
      ['vmext', 'VmMoRef'],
      ['vmext', 'VdcStorageProfile'],
      ['vmext', 'Vdc'],
    ]);
  });

  it('keep the order of ImportVmIntoExistingVAppParamsType', () => {
    const body = sent(importIntoVappBody({ ...common, vappHref: 'https://vcd/vapp', vmDescription: 'second' }));
    expect(body.attribute('name')).toBeUndefined();
    expect(names(body)).toEqual(['VmName', 'VmDescription', 'VAppScopedLocalId', 'ComputerName', 'VmMoRef', 'VdcStorageProfile', 'VApp']);
  });
});

describe('networkConnections', () => {
  const present = parseXml(
    `<NetworkConnectionSection ${NAMESPACES}><ovf:Info/><PrimaryNetworkConnectionIndex>0</PrimaryNetworkConnectionIndex>
      <NetworkConnection network="VM Network" needsCustomization="true"><NetworkConnectionIndex>0</NetworkConnectionIndex><IpType>IPV4</IpType><ExternalIpAddress>192.0.2.1</ExternalIpAddress><IsConnected>true</IsConnected><MACAddress>00:50:56:00:00:0B</MACAddress><IpAddressAllocationMode>DHCP</IpAddressAllocationMode><NetworkAdapterType>VMXNET3</NetworkAdapterType></NetworkConnection>
      <NetworkConnection network="VM Network"><NetworkConnectionIndex>1</NetworkConnectionIndex><IsConnected>true</IsConnected><MACAddress>00:50:56:00:00:0C</MACAddress><IpAddressAllocationMode>DHCP</IpAddressAllocationMode></NetworkConnection>
      <Link rel="edit" href="x"/></NetworkConnectionSection>`,
  );
  const nics: NicConnection[] = [
    {
      index: 2,
      network: 'back',
      connected: false,
      macAddress: '00:50:56:00:00:0b',
      allocationMode: 'POOL',
      ipAddress: '10.0.0.2',
      primary: true,
    },
    {
      index: 0,
      network: 'front',
      connected: true,
      macAddress: '00:50:56:00:00:0a',
      allocationMode: 'DHCP',
      ipAddress: '10.9.9.9',
      adapterType: 'E1000E',
      primary: false,
    },
  ];

  it('gives NICs back by MAC address, in order, with the primary index', () => {
    const section = sent(networkConnections(present, nics, { keepMacAddresses: true }));
    expect(names(section)).toEqual(['Info', 'PrimaryNetworkConnectionIndex', 'NetworkConnection', 'NetworkConnection']);
    expect(section.textAt('PrimaryNetworkConnectionIndex')).toBe('2');
    const [first, second] = section.childrenNamed('NetworkConnection');
    expect(names(first)).toEqual(['NetworkConnectionIndex', 'IsConnected', 'MACAddress', 'IpAddressAllocationMode', 'NetworkAdapterType']);
    expect([first?.attribute('network'), first?.textAt('MACAddress')]).toEqual(['front', '00:50:56:00:00:0a']);
    expect(names(second)).toEqual([
      'NetworkConnectionIndex',
      'IpAddress',
      'IpType',
      'IsConnected',
      'MACAddress',
      'IpAddressAllocationMode',
      'NetworkAdapterType',
    ]);
    expect([second?.attribute('network'), second?.attribute('needsCustomization'), second?.textAt('IpAddress')]).toEqual([
      'back',
      'true',
      '10.0.0.2',
    ]);
  });

  it('lets VCD make new addresses, and keeps those that are new already', () => {
    const section = sent(networkConnections(present, nics, { keepMacAddresses: false }));
    // The first took the NIC of index 1 or none; the second had the captured address and gets no more.
    expect(section.childrenNamed('NetworkConnection').map((nic) => nic.textAt('MACAddress'))).toEqual([undefined, undefined]);
    const renewed = nics.map((nic) => ({ ...nic, index: nic.index === 2 ? 1 : 0, macAddress: `00:50:56:00:01:0${nic.index}` }));
    const kept = sent(networkConnections(present, renewed, { keepMacAddresses: false }));
    expect(kept.childrenNamed('NetworkConnection').map((nic) => nic.textAt('MACAddress'))).toEqual([
      '00:50:56:00:00:0B',
      '00:50:56:00:00:0C',
    ]);
  });
});

describe('writableNetworkConfig', () => {
  const PARENT = 'https://vcd/api/admin/network/00000000-0000-4000-8000-000000000005';
  const section = parseXml(
    `<NetworkConfigSection ${NAMESPACES}><ovf:Info/><NetworkConfig networkName="front" href="https://vcd/n" type="t"><Link rel="repair" href="r"/><Description>dmz</Description><Configuration>
      <IpScopes><IpScope><IsInherited>true</IsInherited><Gateway>10.0.0.1</Gateway><AllocatedIpAddresses><IpAddress>10.0.0.9</IpAddress></AllocatedIpAddresses></IpScope></IpScopes>
      <ParentNetwork href="${PARENT}" id="5" name="org"/><FenceMode>natRouted</FenceMode>
      <Features><DhcpService><IsEnabled>true</IsEnabled></DhcpService><NatService><NatRule><Id>65537</Id><OneToOneVmRule><MappingMode>automatic</MappingMode><ExternalIpAddress>192.0.2.7</ExternalIpAddress><VAppScopedVmId>local-1</VAppScopedVmId><VmNicId>0</VmNicId></OneToOneVmRule></NatRule></NatService></Features>
      <RouterInfo><ExternalIp>192.0.2.9</ExternalIp></RouterInfo></Configuration><IsDeployed>true</IsDeployed></NetworkConfig></NetworkConfigSection>`,
  );
  const [network] = networksOf(section);
  if (network === undefined) throw new Error('the fixture has a network');

  it('maps the parent through either view and drops what is read-only', () => {
    const config = sent(writableNetworkConfig(network, new Map([[PARENT.replace('/admin', ''), 'https://vcd/today']])));
    expect(names(config)).toEqual(['Description', 'Configuration']);
    expect(config.attributes.map((a) => a.local)).toEqual(['networkName']);
    const configuration = config.child('Configuration');
    expect(names(configuration)).toEqual(['IpScopes', 'ParentNetwork', 'FenceMode', 'Features']);
    expect(configuration?.child('ParentNetwork')?.attributes.map((a) => [a.local, a.value])).toEqual([['href', 'https://vcd/today']]);
    expect(configuration?.find('IpScopes', 'IpScope', 'AllocatedIpAddresses')).toBeUndefined();
    const rule = configuration?.find('Features', 'NatService', 'NatRule', 'OneToOneVmRule');
    expect([names(rule), rule?.textAt('VAppScopedVmId')]).toEqual([['MappingMode', 'VAppScopedVmId', 'VmNicId'], 'local-1']);
  });

  it('isolates a network whose parent is gone', () => {
    const configuration = sent(writableNetworkConfig(network, new Map())).child('Configuration');
    expect(names(configuration)).toEqual(['IpScopes', 'FenceMode', 'Features']);
    expect([configuration?.textAt('FenceMode'), configuration?.textAt('IpScopes', 'IpScope', 'IsInherited')]).toEqual([
      'isolated',
      'false',
    ]);
    expect(names(configuration?.child('Features'))).toEqual(['DhcpService']);
  });
});

describe('reconfigureBody', () => {
  const vm = (name: string, inner: string) =>
    parseXml(
      `<Vm ${NAMESPACES} xmlns:x="urn:x" name="${name}" href="https://vcd/api/vApp/vm-00000000-0000-4000-8000-0000000000${name === 'new' ? '02' : '01'}"><VCloudExtension><x:VmVimInfo><x:VmVimObjectRef><x:VimServerRef href="v"/><x:MoRef>vm-1</x:MoRef></x:VmVimObjectRef></x:VmVimInfo></VCloudExtension>${inner}</Vm>`,
    );
  const captured = captureVm(
    vm(
      'web',
      `<Description>the web</Description>
      <ovf:OperatingSystemSection ovf:id="94" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" vcloud:href="https://vcd/old" vmw:osType="ubuntu64Guest"><ovf:Info/></ovf:OperatingSystemSection>
      <GuestCustomizationSection href="https://vcd/old"><ovf:Info/><Enabled>true</Enabled><VirtualMachineId>old-id</VirtualMachineId><AdminPasswordEnabled>true</AdminPasswordEnabled><AdminPasswordAuto>true</AdminPasswordAuto><AdminPassword>generated</AdminPassword><CustomizationScript>echo 1</CustomizationScript><ComputerName>web-01</ComputerName><Link rel="edit" href="x"/></GuestCustomizationSection>
      <VmCapabilities href="https://vcd/old"><Link rel="edit" href="x"/><MemoryHotAddEnabled>true</MemoryHotAddEnabled></VmCapabilities>
      <StorageProfile href="https://vcd/api/vdcStorageProfile/00000000-0000-4000-8000-000000000011" name="gold"/>
      <ComputePolicy><VmPlacementPolicy href="https://vcd/p" name="rack 1"/><VmSizingPolicy href="https://vcd/s" name="small"/></ComputePolicy>
      <BootOptions><BootDelay>5000</BootDelay></BootOptions>`,
    ),
    [],
    undefined,
  );

  it('writes all settings at once, in the order of VmType', () => {
    const current = vm(
      'new',
      `<GuestCustomizationSection><ovf:Info/><VirtualMachineId>new-id</VirtualMachineId></GuestCustomizationSection><StorageProfile href="https://vcd/api/vdcStorageProfile/00000000-0000-4000-8000-000000000012"/>`,
    );
    const body = sent(reconfigureBody(current, captured, { keepMacAddresses: true }));
    expect(body.attribute('name')).toBe('web');
    expect(names(body)).toEqual([
      'Description',
      'OperatingSystemSection',
      'NetworkConnectionSection',
      'GuestCustomizationSection',
      'VmCapabilities',
      'StorageProfile',
      'ComputePolicy',
      'BootOptions',
    ]);
    const customization = body.child('GuestCustomizationSection');
    expect(names(customization)).toEqual([
      'Info',
      'Enabled',
      'VirtualMachineId',
      'AdminPasswordEnabled',
      'AdminPasswordAuto',
      'CustomizationScript',
      'ComputerName',
    ]);
    expect(customization?.textAt('VirtualMachineId')).toBe('new-id');
    expect(names(body.child('VmCapabilities'))).toEqual(['MemoryHotAddEnabled']);
    expect(names(body.child('ComputePolicy'))).toEqual(['VmPlacementPolicy', 'VmSizingPolicy']);
  });

  it('keeps what a later version has put into capabilities and boot options, and no address of the captured VM', () => {
    const current = vm(
      'new',
      `<VmCapabilities href="https://vcd/new"><Link rel="edit" href="x"/><MemoryHotAddEnabled>false</MemoryHotAddEnabled><CpuHotAddEnabled>true</CpuHotAddEnabled><GpuHotAddEnabled>true</GpuHotAddEnabled></VmCapabilities><BootOptions><EnterBIOSSetup>true</EnterBIOSSetup><SecureNetworkBoot>true</SecureNetworkBoot></BootOptions>`,
    );
    const body = sent(reconfigureBody(current, captured, { keepMacAddresses: true }));
    const capabilities = body.child('VmCapabilities');
    expect([names(capabilities), capabilities?.attributes]).toEqual([['MemoryHotAddEnabled', 'GpuHotAddEnabled'], []]);
    expect(capabilities?.textAt('MemoryHotAddEnabled')).toBe('true');
    expect(names(body.child('BootOptions'))).toEqual(['BootDelay', 'SecureNetworkBoot']);
  });

  it('leaves out what is so already', () => {
    const current = vm(
      'new',
      `<ovf:OperatingSystemSection ovf:id="94" vmw:osType="ubuntu64Guest"><ovf:Info>text</ovf:Info></ovf:OperatingSystemSection>
       <StorageProfile href="https://other/api/admin/vdcStorageProfile/00000000-0000-4000-8000-000000000011"/>
       <ComputePolicy><VmPlacementPolicy href="https://vcd/p"/><VmSizingPolicy href="https://vcd/s"/></ComputePolicy>`,
    );
    expect(names(sent(reconfigureBody(current, captured, { keepMacAddresses: true })))).toEqual([
      'Description',
      'NetworkConnectionSection',
      'GuestCustomizationSection',
      'VmCapabilities',
      'BootOptions',
    ]);
  });
});

describe('compute policies', () => {
  const reference = (local: string, name: string) => `<${local} href="https://vcd/${name}" name="${name}"/>`;
  const base = (policies: string) =>
    parseXml(
      `<Vm ${NAMESPACES} xmlns:x="urn:x" name="web" href="h"><VCloudExtension><x:VmVimInfo><x:VmVimObjectRef><x:VimServerRef href="v"/><x:MoRef>vm-1</x:MoRef></x:VmVimObjectRef></x:VmVimInfo></VCloudExtension><ComputePolicy>${policies}</ComputePolicy></Vm>`,
    );
  const written = (today: string, captured: string) =>
    names(reconfigureBody(base(today), captureVm(base(captured), [], undefined), { keepMacAddresses: true }).child('ComputePolicy'));

  it('are sent together when one differs, and a policy too many goes', () => {
    const sizing = reference('VmSizingPolicy', 'small');
    const placement = reference('VmPlacementPolicy', 'rack');
    expect(written(sizing, placement + sizing)).toEqual(['VmPlacementPolicy', 'VmSizingPolicy']);
    expect(written(placement + sizing, sizing)).toEqual(['VmSizingPolicy']);
    expect(written(sizing, sizing)).toEqual([]);
    expect(written(sizing, '')).toEqual([]);
  });
});

describe('metadata', () => {
  const entry = (key: string, changes: Partial<MetadataEntry> = {}): MetadataEntry => ({
    key,
    type: 'MetadataStringValue',
    value: 'v',
    domain: 'GENERAL',
    visibility: 'READWRITE',
    ...changes,
  });

  it('removes, writes and leaves by domain, key, type and value', () => {
    const present = [
      entry('same'),
      entry('extra'),
      entry('typed'),
      entry('both'),
      entry('both', { domain: 'SYSTEM', visibility: 'PRIVATE' }),
    ];
    const wanted = [
      entry('same'),
      entry('typed', { type: 'MetadataNumberValue', value: '1' }),
      entry('new'),
      entry('both', { domain: 'SYSTEM', visibility: 'READONLY' }),
    ];
    const plan = planMetadata(present, wanted);
    expect(plan.remove.map((e) => [e.domain, e.key])).toEqual([
      ['GENERAL', 'extra'],
      ['GENERAL', 'both'],
    ]);
    expect(plan.write.map((e) => [e.domain, e.key])).toEqual([
      ['GENERAL', 'typed'],
      ['GENERAL', 'new'],
      ['SYSTEM', 'both'],
    ]);
  });

  it('addresses SYSTEM by name and encodes keys', () => {
    expect(metadataEntryHref('https://vcd/m', entry('a b/c'))).toBe('https://vcd/m/a%20b%2Fc');
    expect(metadataEntryHref('https://vcd/m', entry('k', { domain: 'SYSTEM' }))).toBe('https://vcd/m/SYSTEM/k');
  });
});
