import type { VappCapture, VmCapture } from '../../vcd/index.js';

/** For specs: a captured vApp with what is difficult about OVF, and its VM's configuration. */

const OVF_NAMESPACE = 'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

export function vmCapture(name: string): VmCapture {
  return {
    href: `https://vcd/api/vApp/vm-${name}`,
    id: `urn:vcloud:vm:${name}`,
    name,
    description: 'Serves <pages> & more',
    status: 8,
    deployed: false,
    vim: { vimServer: { href: 'https://vcd/vc' }, vmMoRef: 'vm-1', diskDatastores: [] },
    nics: [
      { index: 0, network: 'front', connected: true, macAddress: '00:50:56:01:02:03', allocationMode: 'DHCP', primary: true },
      { index: 1, network: 'none', connected: false, allocationMode: 'NONE', adapterType: 'E1000', primary: false },
    ],
    disks: [],
    metadata: [],
    sections: {
      OperatingSystemSection: `<ovf:OperatingSystemSection ${OVF_NAMESPACE} xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" ovf:id="96" vcloud:href="https://vcd/api/x" vmw:osType="debian12_64Guest"><ovf:Info>i</ovf:Info><ovf:Description>Debian GNU/Linux 12 (64-bit)</ovf:Description></ovf:OperatingSystemSection>`,
    },
  };
}

export function vappCapture(vms: VmCapture[]): VappCapture {
  return {
    kind: 'vapp',
    href: 'https://vcd/api/vApp/vapp-shop',
    id: 'urn:vcloud:vapp:shop',
    name: 'shop',
    description: 'The web shop',
    status: 8,
    deployed: false,
    organization: { href: 'https://vcd/api/org/acme', name: 'acme' },
    vdc: { href: 'https://vcd/api/vdc/main', name: 'main' },
    owner: { href: 'https://vcd/api/admin/user/olivia', name: 'olivia' },
    inMaintenanceMode: false,
    lease: { deploymentSeconds: 0, storageSeconds: 0 },
    startup: ['web-1', 'left-out'].map((vmName) => ({
      vmName,
      order: 2,
      startAction: 'powerOn',
      startDelaySeconds: 100_000,
      stopAction: 'guestShutdown',
      stopDelaySeconds: 30,
    })),
    networks: [{ name: 'front', fenceMode: 'natRouted', xml: '<NetworkConfig/>' }],
    access: { sharedToEveryone: false, grants: [] },
    metadata: [
      { key: 'cost.center', type: 'MetadataStringValue', value: '4711 / sales & web', domain: 'GENERAL', visibility: 'READWRITE' },
      { key: 'cost:center', type: 'MetadataNumberValue', value: '7', domain: 'GENERAL', visibility: 'READONLY' },
      { key: 'own', type: 'MetadataStringValue', value: 'private thing', domain: 'GENERAL', visibility: 'PRIVATE' },
      { key: 'provider-note', type: 'MetadataStringValue', value: 'migrated from rack 7', domain: 'SYSTEM', visibility: 'PRIVATE' },
    ],
    vms,
    sections: {
      ProductSectionList: `<vcloud:ProductSectionList xmlns:vcloud="http://www.vmware.com/vcloud/v1.5" ${OVF_NAMESPACE} href="https://vcd/api/p"><vcloud:Link rel="edit" href="https://vcd/api/e"/><ovf:ProductSection ovf:class="shop" ovf:required="false"><ovf:Info>Product</ovf:Info><ovf:Product>Shop</ovf:Product><ovf:Property ovf:key="admin" ovf:type="string" ovf:password="true" ovf:value="hunter2"/><ovf:Property ovf:key="port" ovf:type="uint16" ovf:value="443"><ovf:Label>Port</ovf:Label></ovf:Property></ovf:ProductSection></vcloud:ProductSectionList>`,
    },
    apiVersion: '37.0',
    raw: {},
  };
}

const device = (type: string, key: number, label: string, more = '') =>
  `<device xsi:type="${type}"><key>${key}</key><deviceInfo><label>${label}</label><summary>s</summary></deviceInfo>${more}</device>`;
const on = (controllerKey: number, unitNumber: number) =>
  `<controllerKey>${controllerKey}</controllerKey><unitNumber>${unitNumber}</unitNumber>`;

/** VirtualMachineConfigInfo of a VM with disks on two kinds of controllers, a CD drive and two network adapters. */
export const CONFIGURATION = `<config xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="VirtualMachineConfigInfo">
<name>web-1</name><guestFullName>Debian</guestFullName><version>vmx-19</version><guestId>debian12_64Guest</guestId>
<cpuHotAddEnabled>true</cpuHotAddEnabled><firmware>efi</firmware><bootOptions><efiSecureBootEnabled>true</efiSecureBootEnabled></bootOptions>
<hardware><numCPU>4</numCPU><numCoresPerSocket>2</numCoresPerSocket><memoryMB>2048</memoryMB>
${device('VirtualIDEController', 200, 'IDE 0', '<busNumber>0</busNumber>')}
${device('VirtualIDEController', 201, 'IDE 1', '<busNumber>1</busNumber>')}
${device('ParaVirtualSCSIController', 1000, 'SCSI controller 0', '<busNumber>0</busNumber>')}
${device('VirtualAHCIController', 15000, 'SATA controller 0', '<busNumber>0</busNumber>')}
${device('VirtualCdrom', 3000, 'CD/DVD drive 1', on(200, 0))}
${device('VirtualVmxnet3', 4000, 'Network adapter 1', `${on(100, 7)}<macAddress>00:50:56:01:02:03</macAddress>`)}
${device('VirtualDisk', 2000, 'Hard disk 1', on(1000, 1))}
${device('VirtualDisk', 16000, 'Hard disk 2', on(15000, 0))}
</hardware></config>`;
