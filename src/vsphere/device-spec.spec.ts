import { describe, expect, it } from 'vitest';
import { parseXml, type XmlElement } from '../common/index.js';
import { configToSpec, type SpecOptions, specXml } from './config-to-spec.js';
import { typeOf } from './vim-xml.js';
import { parseConfiguration } from './vm-configuration.js';

const KEY = (id: string) => `<keyId>${id}</keyId><providerId><id>kms-1</id></providerId>`;

function specOf(devices: string, more = '', change: Partial<SpecOptions> = {}) {
  const config = `<config xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <name>web</name><version>vmx-21</version><hardware><numCPU>1</numCPU><memoryMB>64</memoryMB>
    <device xsi:type="VirtualPCIController"><key>100</key><busNumber>0</busNumber></device>
    <device xsi:type="VirtualSIOController"><key>400</key><busNumber>0</busNumber></device>${devices}</hardware>${more}</config>`;
  const networks = [{ network: { type: 'Network', value: 'network-5' }, name: 'VM Network' }];
  const options = { name: 'web', datastoreName: 'ds', keepIdentity: true, networks, ...change };
  const spec = configToSpec(parseConfiguration(config), options);
  const root = parseXml(`<config xmlns="urn:vim25">${specXml(spec)}</config>`);
  return { root, changes: root.childrenNamed('deviceChange'), omitted: spec.omitted };
}

const device = (type: string, backing = '', fields = '') =>
  `<device xsi:type="${type}"><key>9000</key><deviceInfo><label>it</label><summary>s</summary></deviceInfo>${
    backing === '' ? '' : `<backing xsi:type="${backing.split(' ')[0]}">${backing.slice(backing.indexOf(' ') + 1)}</backing>`
  }<connectable><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl><connected>true</connected><status>ok</status></connectable>
   <controllerKey>400</controllerKey><unitNumber>2</unitNumber>${fields}</device>`;

describe('what becomes of a device', () => {
  const DEFAULTS = [
    'VirtualIDEController',
    'VirtualPS2Controller',
    'VirtualKeyboard',
    'VirtualPointingDevice',
    'VirtualMachineVMCIDevice',
    'VirtualVMCIDevice',
  ];
  it.each(DEFAULTS)('%s comes by itself', (type) => {
    expect(specOf(device(type))).toMatchObject({ changes: [], omitted: [] });
  });

  const MADE: [type: string, backing: string, fields: string, kept: string[]][] = [
    ['VirtualLsiLogicSASController', '', '<busNumber>1</busNumber><sharedBus>noSharing</sharedBus>', ['busNumber', 'sharedBus']],
    ['VirtualAHCIController', '', '<busNumber>1</busNumber><device>16000</device>', ['busNumber']],
    ['VirtualNVMEController', '', '<busNumber>1</busNumber><sharedBus>noSharing</sharedBus>', ['busNumber', 'sharedBus']],
    [
      'VirtualUSBController',
      '',
      '<busNumber>0</busNumber><autoConnectDevices>false</autoConnectDevices><ehciEnabled>true</ehciEnabled>',
      ['busNumber', 'autoConnectDevices', 'ehciEnabled'],
    ],
    [
      'VirtualUSBXHCIController',
      '',
      '<busNumber>0</busNumber><autoConnectDevices>true</autoConnectDevices>',
      ['busNumber', 'autoConnectDevices'],
    ],
    ['VirtualFloppy', 'VirtualFloppyImageBackingInfo <fileName>[iso] a.flp</fileName>', '', []],
    [
      'VirtualMachineVideoCard',
      '',
      '<videoRamSizeInKB>8192</videoRamSizeInKB><numDisplays>2</numDisplays><enable3DSupport>true</enable3DSupport>',
      ['videoRamSizeInKB', 'numDisplays', 'enable3DSupport'],
    ],
    ['VirtualHdAudioCard', 'VirtualSoundCardDeviceBackingInfo <deviceName></deviceName><useAutoDetect>true</useAutoDetect>', '', []],
    ['VirtualWDT', '', '<runOnBoot>true</runOnBoot><running>false</running>', ['runOnBoot', 'running']],
    ['VirtualPrecisionClock', 'VirtualPrecisionClockSystemClockBackingInfo <protocol>ptp</protocol>', '', []],
    [
      'VirtualSerialPort',
      'VirtualSerialPortURIBackingInfo <serviceURI>telnet://x</serviceURI><direction>server</direction>',
      '<yieldOnPoll>true</yieldOnPoll>',
      ['yieldOnPoll'],
    ],
    [
      'VirtualSerialPort',
      'VirtualSerialPortPipeBackingInfo <pipeName>p</pipeName><endpoint>client</endpoint>',
      '<yieldOnPoll>true</yieldOnPoll>',
      ['yieldOnPoll'],
    ],
    ['VirtualPCIPassthrough', 'VirtualPCIPassthroughVmiopBackingInfo <vgpu>grid_a100</vgpu>', '', []],
  ];
  it.each(MADE)('%s (%s) is made again', (type, backing, fields, kept) => {
    const { changes, omitted } = specOf(device(type, backing, fields));
    expect(omitted).toEqual([]);
    expect(changes).toHaveLength(1);
    const made = changes[0]?.child('device') as XmlElement;
    expect([typeOf(made), made.textAt('key'), made.textAt('controllerKey')]).toEqual([type, '-9000', '400']);
    const common = ['key', 'backing', 'connectable', 'controllerKey', 'unitNumber'];
    expect(made.elements().flatMap(({ local }) => (common.includes(local) ? [] : [local]))).toEqual(kept);
    // Nothing is connected before it runs, and its status is the server's to tell.
    expect([made.textAt('connectable', 'connected') ?? 'false', made.textAt('connectable', 'status')]).toEqual(['false', undefined]);
  });

  it('asks for any card of a kind, not for the one it had', () => {
    const backing = '<deviceName></deviceName><customLabel>gpu</customLabel><assignedId>0000:3b</assignedId>';
    const { changes } = specOf(device('VirtualPCIPassthrough', `VirtualPCIPassthroughDynamicBackingInfo ${backing}`));
    expect(
      changes[0]
        ?.find('device', 'backing')
        ?.elements()
        .map(({ local }) => local),
    ).toEqual(['deviceName', 'customLabel']);
  });

  const OMITTED: [type: string, backing: string, why: string][] = [
    ['VirtualUSB', 'VirtualUSBUSBBackingInfo <deviceName>1</deviceName>', 'plugged into its host'],
    ['VirtualSCSIPassthrough', 'VirtualSCSIPassthroughDeviceBackingInfo <deviceName>tape</deviceName>', 'a device of its host'],
    ['VirtualSerialPort', 'VirtualSerialPortDeviceBackingInfo <deviceName>ttyS0</deviceName>', 'a serial port of its host'],
    ['VirtualSerialPort', 'VirtualSerialPortFileBackingInfo <fileName>[ds] web/serial.txt</fileName>', 'a file of the old VM'],
    ['VirtualParallelPort', 'VirtualParallelPortDeviceBackingInfo <deviceName>lp0</deviceName>', 'a parallel port of its host'],
    ['VirtualParallelPort', 'VirtualParallelPortFileBackingInfo <fileName>[ds] web/lp.txt</fileName>', 'a file of the old VM'],
    ['VirtualPCIPassthrough', 'VirtualPCIPassthroughDeviceBackingInfo <deviceName>nic</deviceName>', 'one certain card of its host'],
    ['VirtualNVDIMM', 'VirtualNVDIMMBackingInfo <fileName>[pmem] a.vmdk</fileName>', 'persistent memory'],
    ['VirtualNVDIMMController', '', 'persistent memory'],
    ['VirtualVMIROM', '', 'VMI'],
    ['VirtualTPM', '', 'needs an encrypted VM'],
    ['VirtualPCIPassthrough', 'VirtualPCIPassthroughFutureBackingInfo <x>1</x>', 'does not know'],
    ['VirtualHologram', '', 'does not know'],
  ];
  it.each(OMITTED)('%s (%s) is left out, and said', (type, backing, why) => {
    const { changes, omitted } = specOf(device(type, backing));
    expect(changes).toEqual([]);
    expect(omitted).toEqual([expect.stringMatching(new RegExp(`^it \\(${type}\\): .*${why}`))]);
  });

  it('keeps limits of NICs and disks, and says which cache of a disk is gone', () => {
    const nic = device(
      'VirtualVmxnet3',
      'VirtualEthernetCardNetworkBackingInfo <deviceName>VM Network</deviceName>',
      '<addressType>assigned</addressType><macAddress>00:50:56:9a:02:03</macAddress><wakeOnLanEnabled>true</wakeOnLanEnabled><resourceAllocation><reservation>1</reservation></resourceAllocation><externalId>nsx</externalId><uptCompatibilityEnabled>true</uptCompatibilityEnabled><uptv2Enabled>true</uptv2Enabled>',
    );
    const disk = device(
      'VirtualDisk',
      'VirtualDiskFlatVer2BackingInfo <fileName>[old] a.vmdk</fileName><diskMode>persistent</diskMode>',
      '<capacityInKB>1024</capacityInKB><shares><shares>500</shares><level>custom</level></shares><vFlashCacheConfigInfo/><vDiskId><id>fcd</id></vDiskId>',
    ).replace('9000', '9001');
    const { changes, omitted } = specOf(nic + disk);
    const fieldsAfter = (at: number, from: string) => {
      const locals =
        changes[at]
          ?.child('device')
          ?.elements()
          .map(({ local }) => local) ?? [];
      return locals.slice(locals.indexOf(from) + 1);
    };
    expect(fieldsAfter(0, 'macAddress')).toEqual(['wakeOnLanEnabled', 'resourceAllocation', 'uptCompatibilityEnabled', 'uptv2Enabled']);
    expect(fieldsAfter(1, 'capacityInBytes')).toEqual(['storageIOAllocation']);
    expect(changes[1]?.textAt('device', 'storageIOAllocation', 'shares', 'shares')).toBe('500');
    expect(omitted.map((text) => text.split(':')[0])).toEqual(['flash read cache of it', 'it as a first class disk']);
  });
});

describe('an encrypted VM', () => {
  const DISK = `<device xsi:type="VirtualDisk"><key>2000</key><backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>[old] a.vmdk</fileName><diskMode>persistent</diskMode><keyId>${KEY('disk-key')}</keyId></backing><controllerKey>100</controllerKey><capacityInKB>1024</capacityInKB></device>`;
  const TPM =
    '<device xsi:type="VirtualTPM"><key>11000</key><endorsementKeyCertificate>QQ==</endorsementKeyCertificate><endorsementKeyCertificate>Qg==</endorsementKeyCertificate></device>';
  const MORE = `<extraConfig><key>encryption.bundle</key><value>sealed</value></extraConfig><extraConfig><key>guestinfo.role</key><value>web</value></extraConfig><keyId>${KEY('home-key')}</keyId>`;
  const encrypted = (encryption: SpecOptions['encryption']) => specOf(DISK + TPM, MORE, encryption && { encryption });
  const profiles = { home: 'policy-home', disks: new Map([[2000, 'policy-disk']]) };
  const has = ({ root, changes }: ReturnType<typeof specOf>) => ({
    home: [
      root.textAt('crypto', 'cryptoKeyId', 'keyId'),
      root.textAt('crypto', 'cryptoKeyId', 'providerId', 'id'),
      root.textAt('vmProfile', 'profileId'),
    ],
    disk: [changes[0]?.textAt('backing', 'crypto', 'cryptoKeyId', 'keyId'), changes[0]?.textAt('profile', 'profileId')],
    tpm: changes[1]?.child('device')?.childrenNamed('endorsementKeyCertificate').length,
    bundle: root.childrenNamed('extraConfig').some((entry) => entry.textAt('key') === 'encryption.bundle'),
  });

  it('keeps its keys, its bundle, its policies and its TPM', () => {
    const spec = encrypted({ keys: 'captured', profiles });
    expect(has(spec)).toEqual({ home: ['home-key', 'kms-1', 'policy-home'], disk: ['disk-key', 'policy-disk'], tpm: 2, bundle: true });
    expect(typeOf(spec.root.child('crypto'))).toBe('CryptoSpecEncrypt');
    expect(typeOf(spec.root.child('vmProfile'))).toBe('VirtualMachineDefinedProfileSpec');
    expect(spec.omitted).toEqual([]);
    // The schema's order: a vCenter refuses any other.
    expect(spec.changes[0]?.elements().map(({ local }) => local)).toEqual(['operation', 'fileOperation', 'device', 'profile', 'backing']);
  });

  it('gets new keys by its policies alone, and a TPM of its own', () => {
    expect(has(encrypted({ keys: 'new', profiles }))).toEqual({
      ...{ home: [undefined, undefined, 'policy-home'], disk: [undefined, 'policy-disk'] },
      ...{ tpm: 0, bundle: false },
    });
  });

  it('is made without encryption, and says so', () => {
    const spec = encrypted({ keys: 'none' });
    expect(has(spec)).toEqual({ home: [undefined, undefined, undefined], disk: [undefined, undefined], tpm: undefined, bundle: false });
    expect(spec.omitted.map((text) => text.split(':')[0])).toEqual(['device 11000 (VirtualTPM)', 'encryption']);
  });
});
