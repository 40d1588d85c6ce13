import { describe, expect, it } from 'vitest';
import { parseXml, type XmlElement } from '../common/index.js';
import { configToSpec, specXml, type SpecOptions } from './config-to-spec.js';
import type { NetworkChoice } from './device-spec.js';
import { VsphereError } from './errors.js';
import { typeOf } from './vim-xml.js';
import { parseConfiguration } from './vm-configuration.js';

const device = (type: string, inner: string) => `<device xsi:type="v:${type}">${inner}</device>`;
const disk = (key: number, controllerKey: number, unit: number, backing: string, capacityBytes: number) =>
  device(
    'VirtualDisk',
    `<key>${key}</key><deviceInfo><label>Hard disk ${key}</label><summary>x</summary></deviceInfo>${backing}<controllerKey>${controllerKey}</controllerKey><unitNumber>${unit}</unitNumber>
     <capacityInKB>${Math.floor(capacityBytes / 1024)}</capacityInKB><capacityInBytes>${capacityBytes}</capacityInBytes><shares><shares>1000</shares><level>normal</level></shares>`,
  );
const flat = (uuid: string, thin: boolean) =>
  `<backing xsi:type="v:VirtualDiskFlatVer2BackingInfo"><fileName>[old] shop/${uuid}-000004.vmdk</fileName><datastore type="Datastore">datastore-9</datastore><diskMode>persistent</diskMode>
   <split>false</split><writeThrough>false</writeThrough><thinProvisioned>${thin}</thinProvisioned>${thin ? '' : '<eagerlyScrub>true</eagerlyScrub>'}<uuid>${uuid}</uuid><changeId>52/1</changeId>
   <parent><fileName>[old] shop/${uuid}.vmdk</fileName><diskMode>persistent</diskMode></parent><sharing>sharingNone</sharing></backing>`;
const rdm = (mode: string) =>
  `<backing xsi:type="v:VirtualDiskRawDiskMappingVer1BackingInfo"><fileName>[old] rdm.vmdk</fileName><lunUuid>0200</lunUuid><deviceName>vml.02</deviceName><compatibilityMode>${mode}</compatibilityMode><diskMode>independent_persistent</diskMode><uuid>rdm-${mode}</uuid></backing>`;
const nic = (type: string, key: number, unit: number, backing: string, mac: string) =>
  device(
    type,
    `<key>${key}</key><deviceInfo><label>Network adapter ${unit}</label></deviceInfo>${backing}
     <connectable><migrateConnect>unset</migrateConnect><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl><connected>true</connected><status>ok</status></connectable>
     <slotInfo xsi:type="v:VirtualDevicePciBusSlotInfo"><pciSlotNumber>${150 + unit}</pciSlotNumber></slotInfo>
     <controllerKey>100</controllerKey><unitNumber>${unit}</unitNumber><addressType>assigned</addressType><macAddress>${mac}</macAddress><wakeOnLanEnabled>true</wakeOnLanEnabled><externalId>e</externalId><uptCompatibilityEnabled>true</uptCompatibilityEnabled>`,
  );

const CONFIG = `<v:config xmlns="urn:vim25" xmlns:v="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" xsi:type="v:VirtualMachineConfigInfo">
  <changeVersion>c</changeVersion><modified>2026-01-01T00:00:00Z</modified><name>old name</name><guestFullName>Debian</guestFullName><version>vmx-19</version><uuid>bios-uuid</uuid>
  <instanceUuid>instance-uuid</instanceUuid><template>false</template><guestId>debian11_64Guest</guestId><alternateGuestName></alternateGuestName><annotation>two &lt;lines&gt;
second</annotation><files><vmPathName>[old] shop/web.vmx</vmPathName></files>
  <tools><toolsVersion>12352</toolsVersion><toolsInstallType>guestToolsTypeOpenVMTools</toolsInstallType><afterPowerOn>true</afterPowerOn><syncTimeWithHost>false</syncTimeWithHost></tools>
  <flags><disableAcceleration>false</disableAcceleration><enableLogging>true</enableLogging><recordReplayEnabled>false</recordReplayEnabled><faultToleranceType>unset</faultToleranceType></flags>
  <defaultPowerOps><powerOffType>soft</powerOffType></defaultPowerOps>
  <hardware><numCPU>6</numCPU><numCoresPerSocket>3</numCoresPerSocket><memoryMB>3072</memoryMB>
   ${device('VirtualIDEController', '<key>200</key><busNumber>0</busNumber><device>3000</device>')}
   ${device('VirtualPS2Controller', '<key>300</key><busNumber>0</busNumber>')}
   ${device('VirtualPCIController', '<key>100</key><busNumber>0</busNumber>')}
   ${device('VirtualSIOController', '<key>400</key><busNumber>0</busNumber>')}
   ${device('VirtualKeyboard', '<key>600</key>')}${device('VirtualPointingDevice', '<key>700</key>')}
   ${device('VirtualMachineVideoCard', '<key>500</key><videoRamSizeInKB>4096</videoRamSizeInKB>')}${device('VirtualMachineVMCIDevice', '<key>12000</key>')}
   ${device('VirtualLsiLogicController', '<key>1000</key><deviceInfo><label>SCSI controller 0</label></deviceInfo><slotInfo xsi:type="v:VirtualDevicePciBusSlotInfo"><pciSlotNumber>16</pciSlotNumber></slotInfo><controllerKey>100</controllerKey><unitNumber>3</unitNumber><busNumber>0</busNumber><device>2000</device><hotAddRemove>true</hotAddRemove><sharedBus>noSharing</sharedBus><scsiCtlrUnitNumber>7</scsiCtlrUnitNumber>')}
   ${device('ParaVirtualSCSIController', '<key>1001</key><controllerKey>100</controllerKey><unitNumber>4</unitNumber><busNumber>1</busNumber><device>2016</device><device>2017</device><hotAddRemove>true</hotAddRemove><sharedBus>noSharing</sharedBus><scsiCtlrUnitNumber>7</scsiCtlrUnitNumber>')}
   ${device('VirtualNVMEController', '<key>31000</key><controllerKey>100</controllerKey><unitNumber>30</unitNumber><busNumber>0</busNumber><device>32000</device>')}
   ${device('VirtualCdrom', '<key>3000</key><deviceInfo><label>CD/DVD drive 1</label></deviceInfo><backing xsi:type="v:VirtualCdromIsoBackingInfo"><fileName>[iso] a.iso</fileName></backing><connectable><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl><connected>true</connected></connectable><controllerKey>200</controllerKey><unitNumber>0</unitNumber>')}
   ${disk(2000, 1000, 0, flat('uuid-a', true), 1_073_742_336)}
   ${disk(2016, 1001, 0, flat('uuid-b', false), 6_000_000_000_000)}
   ${disk(2017, 1001, 1, rdm('virtualMode'), 1_048_576)}
   ${disk(2018, 1001, 2, rdm('physicalMode'), 2_097_152)}
   ${disk(32000, 31000, 0, '<backing xsi:type="v:VirtualDiskSeSparseBackingInfo"><fileName>[old] c.vmdk</fileName><diskMode>persistent</diskMode><uuid>uuid-c</uuid></backing>', 4_194_304)}
   ${nic('VirtualVmxnet3', 4000, 7, '<backing xsi:type="v:VirtualEthernetCardDistributedVirtualPortBackingInfo"><port><switchUuid>50 11</switchUuid><portgroupKey>dvportgroup-20</portgroupKey><portKey>17</portKey><connectionCookie>123</connectionCookie></port></backing>', '00:50:56:01:02:03')}
   ${nic('VirtualE1000e', 4001, 8, '<backing xsi:type="v:VirtualEthernetCardNetworkBackingInfo"><deviceName>gone network</deviceName><network type="Network">network-99</network></backing>', '00:50:56:9a:02:03')}
   ${device('VirtualTPM', '<key>11000</key><deviceInfo><label>Virtual TPM</label></deviceInfo>')}
  </hardware>
  <cpuAllocation><reservation>500</reservation><limit>-1</limit></cpuAllocation><memoryAllocation><reservation>0</reservation><overheadLimit>41</overheadLimit></memoryAllocation>
  <memoryHotAddEnabled>true</memoryHotAddEnabled><cpuHotAddEnabled>false</cpuHotAddEnabled>
  ${['nvram', 'scsi0:0.ctkEnabled', 'ctkEnabled', 'sched.swap.derivedName', 'vmware.log.rotate', 'uuid.location', 'migrate.hostLog', 'guestinfo.vmtools.versionString', 'disk.EnableUUID', 'ethernet0.pciSlotNumber', 'guestinfo.role'].map((key) => `<extraConfig xsi:type="v:OptionValue"><key>${key}</key><value xsi:type="x:string">1 &amp; 2</value></extraConfig>`).join('')}
  <cpuFeatureMask><level>1</level><ecx>H---</ecx></cpuFeatureMask>
  <bootOptions><bootDelay>5000</bootDelay><efiSecureBootEnabled>true</efiSecureBootEnabled><bootOrder xsi:type="v:VirtualMachineBootOptionsBootableDiskDevice"><deviceKey>2000</deviceKey></bootOrder></bootOptions>
  <changeTrackingEnabled>true</changeTrackingEnabled><firmware>efi</firmware><managedBy><extensionKey>com.vmware.vcloud</extensionKey><type>vm</type></managedBy><nestedHVEnabled>true</nestedHVEnabled>
</v:config>`;

const GROUP: NetworkChoice = {
  network: { type: 'DistributedVirtualPortgroup', value: 'dvportgroup-20' },
  name: 'shop-net',
  portgroupKey: 'dvportgroup-20',
  switchUuid: '50 22',
};
const PLAIN: NetworkChoice = { network: { type: 'Network', value: 'network-5' }, name: 'VM Network' };

const OPTIONS: SpecOptions = { name: 'shop/web', datastoreName: 'ds 1', keepIdentity: true, networks: [GROUP, PLAIN] };

function build(change: Partial<SpecOptions> = {}) {
  const spec = configToSpec(parseConfiguration(CONFIG), { ...OPTIONS, ...change });
  const root = parseXml(`<config xmlns="urn:vim25">${specXml(spec)}</config>`);
  const changes = root.childrenNamed('deviceChange');
  const byKey = (key: number) => changes.map((c) => c.child('device')).find((d) => d?.textAt('key') === String(key)) as XmlElement;
  return { root, changes, byKey, omitted: spec.omitted };
}

describe('configToSpec', () => {
  it('keeps the order of VirtualMachineConfigSpec', () => {
    const order = build()
      .root.elements()
      .map((e) => e.local);
    expect(order.filter((local, at) => local !== order[at - 1])).toEqual([
      'name',
      'version',
      'uuid',
      'instanceUuid',
      'guestId',
      'alternateGuestName',
      'annotation',
      'files',
      'tools',
      'flags',
      'powerOpInfo',
      'numCPUs',
      'numCoresPerSocket',
      'memoryMB',
      'memoryHotAddEnabled',
      'cpuHotAddEnabled',
      'deviceChange',
      'cpuAllocation',
      'memoryAllocation',
      'cpuFeatureMask',
      'extraConfig',
      'bootOptions',
      'firmware',
      'nestedHVEnabled',
    ]);
  });

  it('leaves out disks that somebody else attaches, and keeps their controller', () => {
    const { changes } = build({ withoutDisks: [2016, 4000] });
    const keys = changes.map((change) => change.textAt('device', 'key'));
    expect(keys).not.toContain('-2016');
    // A NIC's key is not a disk's.
    for (const key of ['-2000', '-2017', '-1001', '-4000']) expect(keys).toContain(key);
  });

  it('carries names, texts and figures over, and leaves out what belongs to the old place', () => {
    const { root } = build();
    expect(root.textAt('name')).toBe('shop%2fweb');
    expect(root.textAt('annotation')).toBe('two <lines>\nsecond');
    expect(root.textAt('files', 'vmPathName')).toBe('[ds 1]');
    expect([root.textAt('numCPUs'), root.textAt('numCoresPerSocket'), root.textAt('memoryMB'), root.textAt('firmware')]).toEqual([
      '6',
      '3',
      '3072',
      'efi',
    ]);
    expect(
      root
        .child('tools')
        ?.elements()
        .map((e) => e.local),
    ).toEqual(['afterPowerOn', 'syncTimeWithHost']);
    expect(
      root
        .child('flags')
        ?.elements()
        .map((e) => e.local),
    ).toEqual(['disableAcceleration', 'enableLogging']);
    expect(
      root
        .child('bootOptions')
        ?.elements()
        .map((e) => e.local),
    ).toEqual(['bootDelay', 'efiSecureBootEnabled']);
    expect(
      root
        .child('memoryAllocation')
        ?.elements()
        .map((e) => e.local),
    ).toEqual(['reservation']);
    expect(
      root
        .child('cpuFeatureMask')
        ?.elements()
        .map((e) => e.local),
    ).toEqual(['operation', 'info']);
    expect(root.childrenNamed('extraConfig').map((e) => e.textAt('key'))).toEqual([
      'disk.EnableUUID',
      'ethernet0.pciSlotNumber',
      'guestinfo.role',
    ]);
    const value = root.childrenNamed('extraConfig')[0]?.child('value');
    expect([value?.text(), typeOf(value)]).toEqual(['1 & 2', 'string']);
    expect(
      specXml(configToSpec(parseConfiguration(CONFIG), { name: 'a', datastoreName: 'd', keepIdentity: false, networks: [PLAIN] })),
    ).toContain('xsi:type="xsd:string"');
  });

  it('makes every device but the default ones, referring to each other by negative keys', () => {
    const { changes, omitted } = build();
    expect(
      changes.map((c) => [
        c.textAt('operation'),
        c.textAt('fileOperation'),
        typeOf(c.child('device')),
        c.textAt('device', 'key'),
        c.textAt('device', 'controllerKey'),
        c.textAt('device', 'unitNumber'),
      ]),
    ).toEqual([
      ['add', undefined, 'VirtualMachineVideoCard', '-500', undefined, undefined],
      ['add', undefined, 'VirtualLsiLogicController', '-1000', '100', undefined],
      ['add', undefined, 'ParaVirtualSCSIController', '-1001', '100', undefined],
      ['add', undefined, 'VirtualNVMEController', '-31000', '100', undefined],
      ['add', undefined, 'VirtualCdrom', '-3000', '200', '0'],
      ['add', 'create', 'VirtualDisk', '-2000', '-1000', '0'],
      ['add', 'create', 'VirtualDisk', '-2016', '-1001', '0'],
      ['add', 'create', 'VirtualDisk', '-2017', '-1001', '1'],
      ['add', 'create', 'VirtualDisk', '-32000', '-31000', '0'],
      ['add', undefined, 'VirtualVmxnet3', '-4000', '100', '7'],
      ['add', undefined, 'VirtualE1000e', '-4001', '100', '8'],
    ]);
    expect(omitted.map((text) => text.split(':')[0])).toEqual(['Hard disk 2018 (VirtualDisk)', 'Virtual TPM (VirtualTPM)']);
  });

  it('gives controllers their bus and slot, and no list of devices', () => {
    const controller = build().byKey(-1000);
    expect(controller.elements().map((e) => e.local)).toEqual([
      'key',
      'slotInfo',
      'controllerKey',
      'busNumber',
      'hotAddRemove',
      'sharedBus',
    ]);
    expect(controller.textAt('slotInfo', 'pciSlotNumber')).toBe('16');
  });

  it('makes new disk files of the captured size, kind and uuid', () => {
    const { byKey } = build();
    const backing = (key: number) =>
      byKey(key)
        .child('backing')
        ?.elements()
        .map((e) => `${e.local}=${e.text()}`);
    expect(backing(-2000)).toEqual([
      'fileName=[ds 1]',
      'diskMode=persistent',
      'split=false',
      'writeThrough=false',
      'thinProvisioned=true',
      'uuid=uuid-a',
      'sharing=sharingNone',
    ]);
    expect(backing(-2016)).toEqual([
      'fileName=[ds 1]',
      'diskMode=persistent',
      'split=false',
      'writeThrough=false',
      'thinProvisioned=false',
      'eagerlyScrub=true',
      'uuid=uuid-b',
      'sharing=sharingNone',
    ]);
    expect(backing(-2017)).toEqual(['fileName=[ds 1]', 'diskMode=independent_persistent', 'thinProvisioned=false', 'uuid=rdm-virtualMode']);
    expect(backing(-32000)).toContain('thinProvisioned=true');
    expect(typeOf(byKey(-2017).child('backing'))).toBe('VirtualDiskFlatVer2BackingInfo');
    expect([byKey(-2000).textAt('capacityInKB'), byKey(-2000).textAt('capacityInBytes')]).toEqual(['1048576', '1073742336']);
    expect(byKey(-2016).textAt('capacityInBytes')).toBe('6000000000000');
  });

  it('puts a NIC on its network where that exists, else on another, disconnected', () => {
    const { byKey } = build();
    const kept = byKey(-4000);
    expect([
      kept.textAt('backing', 'port', 'switchUuid'),
      kept.textAt('backing', 'port', 'portgroupKey'),
      kept.textAt('backing', 'port', 'portKey'),
    ]).toEqual(['50 22', 'dvportgroup-20', undefined]);
    expect([
      kept.textAt('connectable', 'startConnected'),
      kept.textAt('connectable', 'connected'),
      kept.textAt('slotInfo', 'pciSlotNumber'),
    ]).toEqual(['true', 'false', '157']);
    const moved = byKey(-4001);
    expect([
      moved.textAt('backing', 'deviceName'),
      moved.textAt('backing', 'network'),
      moved.textAt('connectable', 'startConnected'),
    ]).toEqual(['VM Network', 'network-5', 'false']);
  });

  it('keeps a port group on its captured switch where the server does not tell the switch', () => {
    const { switchUuid: _untold, ...untold } = GROUP;
    expect(
      build({ networks: [untold, PLAIN] })
        .byKey(-4000)
        .textAt('backing', 'port', 'switchUuid'),
    ).toBe('50 11');
    expect(() => build({ networks: [untold] })).toThrow(expect.objectContaining({ code: 'NO_NETWORK' }));
  });

  it('keeps or drops the identity', () => {
    const kept = build();
    expect([-4000, -4001].map((key) => [kept.byKey(key).textAt('addressType'), kept.byKey(key).textAt('macAddress')])).toEqual([
      ['manual', '00:50:56:01:02:03'],
      ['assigned', '00:50:56:9a:02:03'],
    ]);
    const dropped = build({ keepIdentity: false });
    expect([dropped.root.child('uuid'), dropped.root.child('instanceUuid'), dropped.byKey(-4000).child('macAddress')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(dropped.byKey(-4000).textAt('addressType')).toBe('generated');
  });

  it('empties the CD drive', () => {
    const drive = build().byKey(-3000);
    expect(typeOf(drive.child('backing'))).toBe('VirtualCdromRemotePassthroughBackingInfo');
    expect(
      drive
        .find('backing')
        ?.elements()
        .map((e) => [e.local, e.text()]),
    ).toEqual([
      ['deviceName', ''],
      ['exclusive', 'false'],
    ]);
    expect(drive.textAt('connectable', 'startConnected')).toBe('false');
  });

  it('turns lists of what the VM has into additions, and keeps what somebody set', () => {
    const more = `<vAppConfig><product><key>1</key><name>Shop</name></product><property><key>2</key><id>role</id><value>web</value></property>
      <ipAssignment><ipAllocationPolicy>fixedPolicy</ipAllocationPolicy></ipAssignment><eula>Read me</eula><ovfSection><key>3</key><contents>x</contents></ovfSection>
      <ovfEnvironmentTransport>com.vmware.guestInfo</ovfEnvironmentTransport><installBootRequired>false</installBootRequired><installBootStopDelay>0</installBootStopDelay></vAppConfig>
      <cpuAffinity><affinitySet>2</affinitySet></cpuAffinity><memoryAffinity/><messageBusTunnelEnabled>true</messageBusTunnelEnabled>
      <scheduledHardwareUpgradeInfo><upgradePolicy>onSoftPowerOff</upgradePolicy><scheduledHardwareUpgradeStatus>pending</scheduledHardwareUpgradeStatus></scheduledHardwareUpgradeInfo>
      <numaInfo><coresPerNumaNode>4</coresPerNumaNode><autoCoresPerNumaNode>true</autoCoresPerNumaNode><vnumaOnCpuHotaddExposed>true</vnumaOnCpuHotaddExposed></numaInfo><sevEnabled>true</sevEnabled>`;
    const config = parseConfiguration(CONFIG.replace('</v:config>', `${more}</v:config>`));
    const specOf = (apiVersion?: string) => {
      const spec = configToSpec(config, { ...OPTIONS, ...(apiVersion !== undefined && { apiVersion }) });
      return { ...spec, root: parseXml(`<config xmlns="urn:vim25">${specXml(spec)}</config>`) };
    };
    const { root } = specOf();
    const vapp = root.child('vAppConfig');
    expect(vapp?.elements().map((element) => [element.local, element.textAt('operation')])).toEqual([
      ['product', 'add'],
      ['property', 'add'],
      ['ipAssignment', undefined],
      ['eula', undefined],
      ['ovfSection', 'add'],
      ['ovfEnvironmentTransport', undefined],
      ['installBootRequired', undefined],
      ['installBootStopDelay', undefined],
    ]);
    expect(vapp?.textAt('property', 'info', 'id')).toBe('role');
    expect([root.textAt('cpuAffinity', 'affinitySet'), root.child('memoryAffinity')]).toEqual(['2', undefined]);
    expect(
      root
        .child('scheduledHardwareUpgradeInfo')
        ?.elements()
        .map((element) => element.local),
    ).toEqual(['upgradePolicy']);
    expect(
      root
        .child('virtualNuma')
        ?.elements()
        .map((element) => element.local),
    ).toEqual(['exposeVnumaOnCpuHotadd']);
    expect(root.child('managedBy')).toBeUndefined();

    const older = specOf('7.0.3.0');
    expect([older.root.textAt('sevEnabled'), older.root.child('virtualNuma')]).toEqual(['true', undefined]);
    expect(older.omitted).toContain("virtualNuma: the target's vSphere 7.0.3.0 does not have it");
  });

  it('says what belonged to the VM that was', () => {
    const more = '<npivNodeWorldWideName>1</npivNodeWorldWideName><ftInfo/><repConfig/><keyId><keyId>k</keyId></keyId>';
    const config = parseConfiguration(
      CONFIG.replace('com.vmware.vcloud', 'com.example.appliances').replace('</v:config>', `${more}</v:config>`),
    );
    const { omitted } = configToSpec(config, OPTIONS);
    expect(omitted.map((text) => text.split(':')[0])).toEqual([
      'Hard disk 2018 (VirtualDisk)',
      'Virtual TPM (VirtualTPM)',
      'managedBy com.example.appliances',
      'NPIV world wide names',
      'fault tolerance',
      'vSphere Replication',
      'encryption',
    ]);
  });

  it('gives the VM the hardware version that the target takes', () => {
    expect(build({ hardwareVersion: 'vmx-17' }).root.textAt('version')).toBe('vmx-17');
  });

  it('refuses what no VM can be built from', () => {
    expect(() => build({ networks: [] })).toThrow(expect.objectContaining({ code: 'NO_NETWORK' }));
    for (const text of ['', '<config/>', 'x']) expect(() => parseConfiguration(text)).toThrow(VsphereError);
  });
});
