import { describe, expect, it } from 'vitest';
import { parseXml } from '../common/index.js';
import { captureVm, inlineProductSections, moRefOf, PRODUCT_SECTION_LIST } from './capture-vm.js';
import { VcdError } from './error.js';
import { accessOf, leaseOf, metadataOf, networksOf, startupOf } from './sections.js';

const NAMESPACES =
  'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="urn:rasd" xmlns:vssd="urn:vssd" xmlns:vmw="http://www.vmware.com/schema/ovf"';

/** The shape of VCD 5.5: prefix ns3 for the extension, disks in the OVF items only. */
const OLD_VM = `<Vm ${NAMESPACES} xmlns:ns3="http://www.vmware.com/vcloud/extension/v1.5" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5"
    name="db" status="8" deployed="false" id="urn:vcloud:vm:00000000-0000-4000-8000-000000000001" href="https://vcd/api/vApp/vm-00000000-0000-4000-8000-000000000001">
  <VCloudExtension required="false"><ns3:Other/></VCloudExtension>
  <VCloudExtension required="false"><ns3:VmVimInfo>
    <ns3:VmVimObjectRef><ns3:VimServerRef href="https://vcd/api/admin/extension/vimServer/1" name="vc" type="application/vnd.vmware.admin.vmwvirtualcenter+xml"/><ns3:MoRef>vm-63</ns3:MoRef><ns3:VimObjectType>VIRTUAL_MACHINE</ns3:VimObjectType></ns3:VmVimObjectRef>
    <ns3:DatastoreVimObjectRef><ns3:VimServerRef href="https://vcd/api/admin/extension/vimServer/1"/><ns3:MoRef>datastore-29</ns3:MoRef><ns3:VimObjectType>DATASTORE</ns3:VimObjectType></ns3:DatastoreVimObjectRef>
    <ns3:VmDiskDatastores instanceId="2000"><ns3:VimServerRef href="https://vcd/api/admin/extension/vimServer/1"/><ns3:MoRef>datastore-30</ns3:MoRef><ns3:VimObjectType>DATASTORE</ns3:VimObjectType></ns3:VmDiskDatastores>
    <ns3:HostVimObjectRef><ns3:VimServerRef href="https://vcd/api/admin/extension/vimServer/1"/><ns3:MoRef>host-28</ns3:MoRef><ns3:VimObjectType>HOST</ns3:VimObjectType></ns3:HostVimObjectRef>
    <ns3:VirtualDisksMaxChainLength>3</ns3:VirtualDisksMaxChainLength></ns3:VmVimInfo></VCloudExtension>
  <Link rel="up" type="application/vnd.vmware.vcloud.vApp+xml" href="https://vcd/api/vApp/vapp-1"/>
  <Description>the database</Description>
  <o:VirtualHardwareSection><o:Info>hardware</o:Info>
    <o:System><vssd:VirtualSystemType>vmx-09</vssd:VirtualSystemType></o:System>
    <o:Item><rasd:Address>1</rasd:Address><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></o:Item>
    <o:Item><rasd:AddressOnParent>3</rasd:AddressOnParent><rasd:HostResource vcloud:capacity="65537" vcloud:busSubType="VirtualSCSI" vcloud:storageProfileHref="https://vcd/api/vdcStorageProfile/9"/><rasd:InstanceID>2003</rasd:InstanceID><rasd:Parent>2</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></o:Item>
    <o:Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>6</rasd:VirtualQuantity><vmw:CoresPerSocket>3</vmw:CoresPerSocket></o:Item>
    <o:Item><rasd:AllocationUnits>byte * 2^30</rasd:AllocationUnits><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>7</rasd:VirtualQuantity></o:Item>
  </o:VirtualHardwareSection>
  <NetworkConnectionSection><o:Info/><PrimaryNetworkConnectionIndex>2</PrimaryNetworkConnectionIndex>
    <NetworkConnection network="back"><NetworkConnectionIndex>2</NetworkConnectionIndex><IpAddress>10.0.0.9</IpAddress><IsConnected>true</IsConnected><MACAddress>00:50:56:00:00:02</MACAddress><IpAddressAllocationMode>MANUAL</IpAddressAllocationMode></NetworkConnection>
    <NetworkConnection network="none"><NetworkConnectionIndex>0</NetworkConnectionIndex><IsConnected>false</IsConnected><IpAddressAllocationMode>NONE</IpAddressAllocationMode><NetworkAdapterType>E1000E</NetworkAdapterType></NetworkConnection>
  </NetworkConnectionSection>
  <GuestCustomizationSection><o:Info/><Enabled>true</Enabled><ComputerName>db-01</ComputerName></GuestCustomizationSection>
  <odd:FutureSection xmlns:odd="urn:future">kept</odd:FutureSection>
  <VAppScopedLocalId>local-1</VAppScopedLocalId>
</Vm>`;

/** The shape of 10.x: doubled links, VmSpecSection, compute policies, a default prefix on everything. */
const NEW_VM = `<q:Vm xmlns:q="http://www.vmware.com/vcloud/v1.5" xmlns:vmext="http://www.vmware.com/vcloud/extension/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" name="web" status="4" deployed="true" href="https://vcd/api/vApp/vm-00000000-0000-4000-8000-000000000002">
  <q:VCloudExtension required="false"><vmext:VmVimInfo><vmext:VmVimObjectRef><vmext:VimServerRef href="https://vcd/v"/><vmext:MoRef>vm-64</vmext:MoRef></vmext:VmVimObjectRef></vmext:VmVimInfo></q:VCloudExtension>
  <q:Link rel="down" type="application/vnd.vmware.vcloud.metadata+xml" href="https://vcd/m"/><q:Link rel="down" type="application/vnd.vmware.vcloud.metadata+json" href="https://vcd/m"/>
  <q:Description/>
  <q:VmSpecSection Modified="false"><ovf:Info/><q:DiskSection>
    <q:DiskSettings><q:DiskId>2016</q:DiskId><q:SizeMb>2048</q:SizeMb><q:UnitNumber>0</q:UnitNumber><q:BusNumber>1</q:BusNumber><q:AdapterType>5</q:AdapterType><q:StorageProfile href="https://vcd/api/vdcStorageProfile/1" name="gold"/></q:DiskSettings>
    <q:DiskSettings><q:DiskId>2000</q:DiskId><q:SizeMb>1025</q:SizeMb><q:UnitNumber>0</q:UnitNumber><q:BusNumber>0</q:BusNumber><q:AdapterType>3</q:AdapterType></q:DiskSettings></q:DiskSection></q:VmSpecSection>
  <ovf:ProductSection ovf:class="a"><ovf:Info/><ovf:Product>one</ovf:Product></ovf:ProductSection>
  <ovf:ProductSection ovf:class="b"><ovf:Info/><ovf:Product>two</ovf:Product></ovf:ProductSection>
  <q:VmCapabilities><q:MemoryHotAddEnabled>true</q:MemoryHotAddEnabled></q:VmCapabilities>
  <q:StorageProfile href="https://vcd/api/vdcStorageProfile/1" name="gold"/>
  <q:ComputePolicy><q:VmPlacementPolicy href="https://vcd/p" name="rack 1"/><q:VmSizingPolicy href="https://vcd/s" name="small"/></q:ComputePolicy>
</q:Vm>`;

describe('captureVm', () => {
  it('reads a VM as 5.5 writes it', () => {
    const vm = captureVm(parseXml(OLD_VM), [], undefined);
    expect(vm).toMatchObject({
      name: 'db',
      description: 'the database',
      localId: 'local-1',
      computerName: 'db-01',
      status: 8,
      deployed: false,
    });
    expect(vm.vim).toEqual({
      vimServer: {
        href: 'https://vcd/api/admin/extension/vimServer/1',
        name: 'vc',
        type: 'application/vnd.vmware.admin.vmwvirtualcenter+xml',
      },
      vmMoRef: 'vm-63',
      hostMoRef: 'host-28',
      datastoreMoRef: 'datastore-29',
      diskDatastores: [{ instanceId: '2000', moRef: 'datastore-30' }],
      maxChainLength: 3,
    });
    expect(vm.disks).toEqual([
      {
        instanceId: '2003',
        sizeMib: 65537,
        storageProfile: { href: 'https://vcd/api/vdcStorageProfile/9' },
        busNumber: 1,
        unitNumber: 3,
        adapterType: 'ParaVirtual',
      },
    ]);
    expect(vm.nics.map((nic) => [nic.index, nic.network, nic.primary, nic.ipAddress])).toEqual([
      [0, 'none', false, undefined],
      [2, 'back', true, '10.0.0.9'],
    ]);
    expect(Object.keys(vm.sections)).toEqual([
      'VirtualHardwareSection',
      'NetworkConnectionSection',
      'GuestCustomizationSection',
      'FutureSection',
    ]);
    expect(vm.sections.FutureSection).toContain('kept');
    expect(vm.hardware).toEqual({ cpuCount: 6, coresPerSocket: 3, memoryMib: 7168, hardwareVersion: 'vmx-09' });
  });

  it('reads a VM as 10.x writes it', () => {
    const root = parseXml(NEW_VM);
    const vm = captureVm(root, [], inlineProductSections(root));
    expect(vm.id).toBe('urn:vcloud:vm:00000000-0000-4000-8000-000000000002');
    expect(vm.description).toBeUndefined();
    expect(vm.placementPolicy?.name).toBe('rack 1');
    expect(vm.sizingPolicy?.name).toBe('small');
    expect(vm.disks.map((disk) => [disk.instanceId, disk.sizeMib, disk.busNumber, disk.adapterType, disk.storageProfile?.name])).toEqual([
      ['2000', 1025, 0, 'LsiLogic', undefined],
      ['2016', 2048, 1, 'ParaVirtual', 'gold'],
    ]);
    expect(
      parseXml(vm.sections[PRODUCT_SECTION_LIST] ?? '')
        .childrenNamed('ProductSection')
        .map((section) => section.textAt('Product')),
    ).toEqual(['one', 'two']);
    expect(moRefOf(root)).toBe('vm-64');
  });

  it('says which VM shows no vSphere object', () => {
    const tenant = parseXml('<Vm xmlns="http://www.vmware.com/vcloud/v1.5" name="web" href="https://vcd/api/vApp/vm-1"/>');
    expect(() => captureVm(tenant, [], undefined)).toThrow(VcdError);
    expect(() => captureVm(tenant, [], undefined)).toThrow(/VM "web" shows no vSphere object/);
  });
});

describe('sections', () => {
  it('reads lease, start order, networks, access', () => {
    const lease = parseXml(
      `<LeaseSettingsSection ${NAMESPACES}><o:Info/><DeploymentLeaseInSeconds>3600</DeploymentLeaseInSeconds><StorageLeaseInSeconds>0</StorageLeaseInSeconds></LeaseSettingsSection>`,
    );
    expect(leaseOf(lease)).toEqual({ deploymentSeconds: 3600, storageSeconds: 0 });
    const startup = parseXml(
      `<o:StartupSection ${NAMESPACES}><o:Info/><o:Item o:id="db" o:order="1" o:startAction="powerOn" o:startDelay="30" o:stopAction="guestShutdown" o:stopDelay="40"/></o:StartupSection>`,
    );
    expect(startupOf(startup)).toEqual([
      { vmName: 'db', order: 1, startAction: 'powerOn', startDelaySeconds: 30, stopAction: 'guestShutdown', stopDelaySeconds: 40 },
    ]);
    const networks = parseXml(
      `<NetworkConfigSection ${NAMESPACES}><o:Info/><NetworkConfig networkName="none"/><NetworkConfig networkName="front"><Description>dmz</Description><Configuration><ParentNetwork href="https://vcd/api/admin/network/5" name="org"/><FenceMode>natRouted</FenceMode></Configuration></NetworkConfig></NetworkConfigSection>`,
    );
    expect(networksOf(networks)).toMatchObject([
      { name: 'front', description: 'dmz', fenceMode: 'natRouted', parent: { href: 'https://vcd/api/admin/network/5', name: 'org' } },
    ]);
    const access = parseXml(
      `<ControlAccessParams ${NAMESPACES}><IsSharedToEveryone>false</IsSharedToEveryone><AccessSettings><AccessSetting><Subject href="https://vcd/u" name="ann"/><AccessLevel>Change</AccessLevel></AccessSetting></AccessSettings></ControlAccessParams>`,
    );
    expect(accessOf(access)).toEqual({
      sharedToEveryone: false,
      grants: [{ subject: { href: 'https://vcd/u', name: 'ann' }, accessLevel: 'Change' }],
    });
  });

  it('reads typed metadata of both domains whatever prefix the type has', () => {
    const entry = (domain: string, key: string, type: string, value: string) =>
      `<MetadataEntry>${domain}<Key>${key}</Key><TypedValue i:type="${type}"><Value>${value}</Value></TypedValue></MetadataEntry>`;
    const metadata = parseXml(
      `<Metadata ${NAMESPACES} xmlns:v="http://www.vmware.com/vcloud/v1.5" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">` +
        entry('', 'tier', 'MetadataStringValue', ' gold ') +
        entry('<Domain visibility="PRIVATE">SYSTEM</Domain>', 'cost', 'v:MetadataNumberValue', '9007199254740993') +
        '<MetadataEntry><Key>old</Key><Value>untyped</Value></MetadataEntry></Metadata>',
    );
    expect(metadataOf(metadata)).toEqual([
      { key: 'tier', type: 'MetadataStringValue', value: ' gold ', domain: 'GENERAL', visibility: 'READWRITE' },
      { key: 'cost', type: 'MetadataNumberValue', value: '9007199254740993', domain: 'SYSTEM', visibility: 'PRIVATE' },
      { key: 'old', type: 'MetadataStringValue', value: 'untyped', domain: 'GENERAL', visibility: 'READWRITE' },
    ]);
  });
});
