import { randomBytes, randomUUID } from 'node:crypto';
import type { Inventory } from './inventory.js';
import type { KeyProviderState, VmState } from './state.js';
import { listAt, objectAt, stringAt, vim, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

const BUNDLE = 'encryption.bundle';

export function keyProviders(inventory: Inventory): KeyProviderState[] {
  return inventory.state.keyProviders ?? [];
}

/** The very keys; a provider that is not in the list is gone, with its keys. */
export function setKeyProviders(
  inventory: Inventory,
  providers: readonly { id: string; isDefault?: boolean; keyIds?: readonly string[] }[],
): void {
  inventory.state.keyProviders = providers.map(({ id, isDefault = false, keyIds = [] }) => ({ id, isDefault, keyIds: [...keyIds] }));
  inventory.changed(inventory.state.rootFolderMoRef);
}

export function keyIdOf(provider: KeyProviderState, keyId: string): VimObject {
  return vim('CryptoKeyId', { keyId, providerId: vim('KeyProviderId', { id: provider.id }) });
}

/** @throws SimFault InvalidArgument for a provider vCenter does not know, or where none is the default. */
export function generateKey(inventory: Inventory, providerId: string | undefined): VimObject {
  const provider = keyProviders(inventory).find(({ id, isDefault }) => (providerId === undefined ? isDefault : id === providerId));
  if (!provider) throw invalidKey('keyProvider', `There is no key provider ${providerId ?? 'by default'}.`);
  const keyId = randomUUID();
  provider.keyIds.push(keyId);
  inventory.changed(inventory.state.rootFolderMoRef);
  return keyIdOf(provider, keyId);
}

export function isKeyAvailable(inventory: Inventory, key: VimObject): boolean {
  const providerId = stringAt(objectAt(key, 'providerId'), 'id');
  return keyProviders(inventory).some(
    ({ id, isDefault, keyIds }) =>
      (providerId === undefined ? isDefault : id === providerId) && keyIds.includes(stringAt(key, 'keyId') ?? ''),
  );
}

/**
 * `crypto` of a configuration: of the VM home, or of one disk's backing.
 * @returns the key the thing has afterwards; undefined: it is not encrypted.
 * @throws SimFault where the key cannot be had, or where the thing is not in the state that the operation needs.
 */
export function changedKey(inventory: Inventory, current: VimObject | undefined, crypto: VimObject, field: string): VimObject | undefined {
  const available = (name: string): VimObject => {
    const key = objectAt(crypto, name) as VimObject;
    if (!isKeyAvailable(inventory, key)) throw invalidKey(field, `Key ${String(key.keyId)} cannot be had from its key provider.`);
    return structuredClone(key);
  };
  switch (crypto.$type) {
    case 'CryptoSpecNoOp':
      return current;
    case 'CryptoSpecEncrypt':
      if (current) throw invalidKey(field, 'It is encrypted already.');
      return available('cryptoKeyId');
    case 'CryptoSpecRegister':
      return available('cryptoKeyId');
    case 'CryptoSpecShallowRecrypt':
    case 'CryptoSpecDeepRecrypt':
      if (!current) throw invalidKey(field, 'It is not encrypted.');
      return available('newKeyId');
    case 'CryptoSpecDecrypt':
      if (!current) throw invalidKey(field, 'It is not encrypted.');
      return undefined;
    default:
      throw invalidKey(field, `${crypto.$type} is no operation.`);
  }
}

/** The home of the VM: its key stands in the configuration, the wrapped keys in encryption.bundle. */
export function applyHomeEncryption(inventory: Inventory, config: VimObject, spec: VimObject, self: VmState | undefined): void {
  const crypto = objectAt(spec, 'crypto');
  const policy = wantedPolicy(inventory, listAt(spec, 'vmProfile'));
  const current = objectAt(config, 'keyId');
  let key = current;
  if (crypto) key = changedKey(inventory, current, crypto, 'configSpec.crypto');
  else if (policy?.encrypts === true && !current) key = generateKey(inventory, undefined);
  if (key === current) return;
  if (self && self.powerState !== 'poweredOff')
    throw new SimFault('InvalidPowerState', 'A running VM cannot be encrypted.', {
      requestedState: 'poweredOff',
      existingState: self.powerState,
    });
  if (self && self.snapshots.length > 0) throw new SimFault('InvalidState', 'A VM with snapshots cannot be encrypted.');
  if (key) config.keyId = key;
  else delete config.keyId;
  const options = listAt(config, 'extraConfig').filter((option) => option.key !== BUNDLE);
  const given = listAt(spec, 'extraConfig').find((option) => option.key === BUNDLE);
  if (key)
    options.push(
      given ??
        vim('OptionValue', {
          key: BUNDLE,
          value: `vmware:key/list/(pair/(fqid/<VMWARE-NULL>/${String(key.keyId)},${randomBytes(48).toString('base64')}))`,
        }),
    );
  config.extraConfig = options;
}

/**
 * Only an encrypted home can have encrypted disks. A vTPM keeps its secrets in the home, too, and needs EFI.
 * @throws SimFault
 */
export function requireEncryptedHome(config: VimObject): void {
  const devices = listAt(config.hardware as VimObject, 'device');
  const encrypted = devices.some((device) => objectAt(objectAt(device, 'backing') ?? device, 'keyId') !== undefined);
  if (encrypted && config.keyId === undefined) throw invalidKey('configSpec.crypto', 'Encrypted disks need an encrypted virtual machine.');
  if (!devices.some((device) => device.$type === 'VirtualTPM')) return;
  if (config.keyId === undefined) throw invalidKey('configSpec.crypto', 'A virtual TPM needs an encrypted virtual machine.');
  if (config.firmware !== 'efi')
    throw new SimFault('InvalidVmConfig', 'A virtual TPM needs EFI firmware.', { property: 'configSpec.firmware' });
}

/** @throws SimFault for a policy vCenter does not know. */
export function wantedPolicy(inventory: Inventory, profiles: readonly VimObject[]) {
  const id = profiles.map((profile) => stringAt(profile, 'profileId')).find((value) => value !== undefined);
  if (id === undefined) return undefined;
  const policy = (inventory.state.storagePolicies ?? []).find((candidate) => candidate.id === id);
  if (!policy) throw new SimFault('InvalidArgument', `There is no storage policy ${id}.`, { invalidProperty: 'profileId' });
  return policy;
}

function invalidKey(property: string, message: string): SimFault {
  return new SimFault('InvalidVmConfig', message, { property });
}
