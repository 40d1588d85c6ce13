import { generateKey, isKeyAvailable, keyIdOf, keyProviders } from '../model/encryption.js';
import type { Inventory } from '../model/inventory.js';
import { listAt, moRef, objectAt, stringAt, vim, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { value, type Call, type Handler } from './call.js';

/** CryptoManagerKmip: key providers and their keys, never the keys themselves. */
export const cryptoOperations: Record<string, Handler> = {
  ListKmipServers: (call) => value(kmipServers(call.core.model.inventory)),
  GenerateKey: (call) => {
    const { inventory } = call.core.model;
    try {
      const keyId = generateKey(inventory, stringAt(call.args.keyProvider as VimObject | undefined, 'id'));
      return value(vim('CryptoKeyResult', { keyId, success: true }));
    } catch (error) {
      if (!(error instanceof SimFault)) throw error;
      return value(vim('CryptoKeyResult', { keyId: vim('CryptoKeyId', { keyId: '' }), success: false, reason: error.message }));
    }
  },
  ListKeys: (call) =>
    value(keyProviders(call.core.model.inventory).flatMap((provider) => provider.keyIds.map((keyId) => keyIdOf(provider, keyId)))),
  QueryCryptoKeyStatus: (call) => value(listAt(vim('', call.args), 'keyIds').map((keyId) => keyStatus(call, keyId))),
};

/** CryptoManagerKmip.kmipServers */
export function kmipServers(inventory: Inventory): VimObject[] {
  return keyProviders(inventory).map(({ id, isDefault }) =>
    vim('KmipClusterInfo', { clusterId: vim('KeyProviderId', { id }), useAsDefault: isDefault, managementType: 'vCenter' }),
  );
}

function keyStatus(call: Call, keyId: VimObject): VimObject {
  const { inventory } = call.core.model;
  const keyAvailable = isKeyAvailable(inventory, keyId);
  const encrypted = inventory.state.vms.filter(({ config }) => objectAt(config, 'keyId')?.keyId === keyId.keyId);
  return vim('CryptoManagerKmipCryptoKeyStatus', {
    keyId,
    keyAvailable,
    reason: keyAvailable ? undefined : 'KeyStateMissingInKMS',
    encryptedVMs: encrypted.map((vm) => moRef('VirtualMachine', vm.moRef)),
  });
}
