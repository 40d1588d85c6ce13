import type { XmlElement } from '../common/index.js';
import { type CryptoKey, readKeyId } from './encryption-spec.js';
import type { DiskBacking } from './types.js';
import { integerOf, typeOf } from './vim-xml.js';
import { devicesOf, disksOf, parseConfiguration } from './vm-configuration.js';

/** What decides whether and where a captured VM can be made again. */
export interface CapturedMachine {
  /** "vmx-19" */
  hardwareVersion: string;
  disks: DiskBacking[];
  /** Undefined for a VM that was not encrypted. */
  encryption: CapturedEncryption | undefined;
}

export interface CapturedEncryption {
  /** Of the VM's home, else of its first encrypted disk. */
  key: CryptoKey;
  /** By device key. */
  diskKeys: ReadonlyMap<number, CryptoKey>;
  /** encryption.bundle is there: without it the NVRAM cannot be read. */
  hasBundle: boolean;
  hasTpm: boolean;
}

/**
 * @param configXml VirtualMachineConfigInfo
 * @throws VsphereError BAD_CONFIGURATION
 */
export function capturedMachine(configXml: string): CapturedMachine {
  const config = parseConfiguration(configXml);
  return { hardwareVersion: config.textAt('version') ?? '', disks: disksOf(config), encryption: readEncryption(config) };
}

function readEncryption(config: XmlElement): CapturedEncryption | undefined {
  const diskKeys = new Map<number, CryptoKey>();
  for (const device of devicesOf(config)) {
    const deviceKey = integerOf(device.child('key'));
    const key = typeOf(device) === 'VirtualDisk' ? readKeyId(device.find('backing', 'keyId')) : undefined;
    if (deviceKey !== undefined && key !== undefined) diskKeys.set(deviceKey, key);
  }
  const key = readKeyId(config.child('keyId')) ?? [...diskKeys.values()][0];
  if (key === undefined) return undefined;
  return {
    key,
    diskKeys,
    hasBundle: config.childrenNamed('extraConfig').some((option) => option.textAt('key') === 'encryption.bundle'),
    hasTpm: devicesOf(config).some((device) => typeOf(device) === 'VirtualTPM'),
  };
}
