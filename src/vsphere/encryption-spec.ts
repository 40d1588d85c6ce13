import type { XmlElement } from '../common/index.js';
import { typed, vim } from './vim-xml.js';

/** A key of a key provider (KMS cluster, native key provider), by names that are no secrets. */
export interface CryptoKey {
  keyId: string;
  /** Undefined: the default provider. */
  providerId: string | undefined;
}

/** How a VM that was encrypted is made again. */
export interface EncryptionOptions {
  /**
   * - captured: with the captured keys and encryption.bundle, so that NVRAM and vTPM stay readable
   * - new: the storage policies alone ask for encryption, and vCenter fetches new keys
   * - none: not encrypted, without vTPM
   */
  keys: 'captured' | 'new' | 'none';
  profiles?: StorageProfiles;
}

/** Storage policies by their ids in this vCenter. */
export interface StorageProfiles {
  home?: string | undefined;
  /** By device key of the captured disk. */
  disks: ReadonlyMap<number, string>;
}

/** @param element CryptoKeyId */
export function readKeyId(element: XmlElement | undefined): CryptoKey | undefined {
  const keyId = element?.textAt('keyId');
  return keyId === undefined ? undefined : { keyId, providerId: element?.textAt('providerId', 'id') };
}

/** `crypto` of a VM or of the backing of a disk: encrypted with this very key (guide, "Recommendations for VM Home"). */
export function cryptoSpec(local: string, key: CryptoKey | undefined): XmlElement | undefined {
  if (key === undefined) return undefined;
  const provider = key.providerId === undefined ? undefined : vim('providerId', vim('id', key.providerId));
  return typed(vim(local, vim('cryptoKeyId', vim('keyId', key.keyId), provider)), 'CryptoSpecEncrypt');
}

export function profileSpec(local: string, profileId: string | undefined): XmlElement | undefined {
  return profileId === undefined ? undefined : typed(vim(local, vim('profileId', profileId)), 'VirtualMachineDefinedProfileSpec');
}
